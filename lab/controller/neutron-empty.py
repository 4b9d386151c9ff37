"""A Neutron without networks on port 9696: every list is empty, every quota is unlimited.

This newer nova asks Neutron about each instance. Juno's, as the guide leaves it at this point, has no network either.
"""

import json

import BaseHTTPServer
import SocketServer


class Neutron(BaseHTTPServer.BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def do_GET(self):
        name = self.path.split("?")[0].split("/")[-1].replace(".json", "").replace("-", "_")
        if "/quotas" in self.path:
            answer = {
                "quota": dict.fromkeys(
                    ("network", "subnet", "port", "floatingip", "security_group", "security_group_rule"), -1
                )
            }
        else:
            answer = {name: []}
        body = json.dumps(answer)
        self.send_response(200)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_):
        pass


class Server(SocketServer.ThreadingMixIn, BaseHTTPServer.HTTPServer):
    daemon_threads = True


Server(("0.0.0.0", 9696), Neutron).serve_forever()
