"""Serves Keystone as Juno's own server did: the public API on 5000, the administrator's on 35357, one process.

This release of Keystone has no server of its own any more; waitress is a plain WSGI server.
"""

import threading

import waitress.server
from keystone.server import wsgi
from keystone.version import service

public = wsgi.initialize_public_application()
admin = service.loadapp("config:/etc/keystone/keystone-paste.ini", "admin")

for application, port in ((public, 5000), (admin, 35357)):
    server = waitress.server.create_server(application, map={}, host="0.0.0.0", port=port, threads=8)
    thread = threading.Thread(target=server.run)
    thread.daemon = True
    thread.start()

while True:  # a join without a limit would not let a signal through
    thread.join(3600)
