"""Reports of the light nodes' nova-compute: what nova-conductor writes for the real one, without the message queue.

Runs on the controller. A nova-compute connects to port 5673 and says its host; as long as the connection is open its row of
nova's table `services` is renewed every 10 s (nova's report_interval). So the real nova-api shows it up, and down 60 s after
it ended. The database is the one that the controller's nova.conf names; without it nothing is reported.
"""

import datetime
import select
import socket
import sys
import time

import ConfigParser
import sqlalchemy

CONF = "/etc/nova/nova.conf"
PORT = 5673
FIRST_SECONDS = 2.0
EVERY_SECONDS = 10.0

FIND = sqlalchemy.text("SELECT id FROM services WHERE host = :host AND `binary` = 'nova-compute' AND deleted = 0")
# The version that nova's own services have: nova-api refuses to work with computes that are older than it.
ADD = sqlalchemy.text(
    "INSERT INTO services (created_at, host, `binary`, topic, report_count, disabled, forced_down, deleted, version)"
    " SELECT UTC_TIMESTAMP(), :host, 'nova-compute', 'compute', 0, 0, 0, 0, COALESCE(MAX(version), 0) FROM services"
)
# Nova deletes no record of a service whose hypervisor it has never heard of.
ADD_HYPERVISOR = sqlalchemy.text(
    "INSERT INTO compute_nodes (created_at, host, uuid, hypervisor_hostname, hypervisor_type, hypervisor_version, vcpus, memory_mb,"
    " local_gb, vcpus_used, memory_mb_used, local_gb_used, free_ram_mb, free_disk_gb, current_workload, running_vms, cpu_info,"
    " supported_instances, stats, deleted)"
    " VALUES (UTC_TIMESTAMP(), :host, UUID(), :host, 'light', 1, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, '{}', '[]', '{}', 0)"
)
REPORT = sqlalchemy.text(
    "UPDATE services SET updated_at = UTC_TIMESTAMP(), last_seen_up = UTC_TIMESTAMP(), report_count = report_count + 1"
    " WHERE id = :id AND deleted = 0"
)


class Node(object):
    """A connected nova-compute. Like nova's, it makes its row when it starts, and not again when somebody deletes it."""

    def __init__(self):
        self.heard = b""
        self.host = None
        self.id = None
        self.due = None


def connection_of_nova():
    """[database] connection, as nova reads it."""
    conf = ConfigParser.RawConfigParser()
    conf.read(CONF)
    return conf.get("database", "connection").strip("\"'").replace("$$", "$")


def report(nodes, engines):
    """Makes and renews the rows that are due. What fails is due again at the next try."""
    now = time.time()
    due = [node for node in nodes if node.host and (node.id is None or node.due <= now)]
    if not due:
        return
    url = connection_of_nova()
    if url not in engines:
        engines.clear()
        engines[url] = sqlalchemy.create_engine(url, pool_recycle=60)
    with engines[url].begin() as database:
        for node in due:
            if node.id is None:
                if database.execute(FIND, host=node.host).scalar() is None:
                    database.execute(ADD, host=node.host)
                    database.execute(ADD_HYPERVISOR, host=node.host)
                node.id = database.execute(FIND, host=node.host).scalar()
                node.due = now + FIRST_SECONDS
            else:
                database.execute(REPORT, id=node.id)
                node.due = now + EVERY_SECONDS


def main():
    listener = socket.socket()
    listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    listener.bind(("0.0.0.0", PORT))
    listener.listen(200)
    nodes, engines, tried, said = {}, {}, 0.0, ""
    while True:
        open_sockets = list(nodes)
        open_sockets.append(listener)
        readable, _, _ = select.select(open_sockets, [], [], 0.5)
        for each in readable:
            if each is listener:
                nodes[listener.accept()[0]] = Node()
                continue
            try:
                heard = each.recv(1024)
            except socket.error:
                heard = b""
            node = nodes[each]
            node.heard += heard
            if not heard:
                each.close()
                del nodes[each]
            elif node.host is None and b"\n" in node.heard:
                node.host = node.heard.split(b"\n")[0].decode("ascii", "replace")
        if time.time() - tried < 0.5:
            continue
        tried = time.time()
        try:
            report(nodes.values(), engines)
            problem = ""
        except (ConfigParser.Error, sqlalchemy.exc.SQLAlchemyError) as error:
            problem = str(error)
        if problem != said:
            said = problem
            print("%s %s" % (datetime.datetime.utcnow(), problem or "reporting again"))
            sys.stdout.flush()


main()
