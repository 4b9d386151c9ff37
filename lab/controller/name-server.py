"""A name server on port 53 that knows what /etc/hosts says, and that nothing else exists.

The nodes find each other by /etc/hosts. But eventlet, in Glance and nova, asks a name server all the same whether a name
has an IPv6 address too, and without an answer waits half a minute each time.
"""

import struct

import SocketServer

A, IN = 1, 1


def addresses():
    """Name -> IPv4 address, as /etc/hosts is now."""
    known = {}
    with open("/etc/hosts") as hosts:
        for line in hosts:
            words = line.split("#")[0].split()
            if words and ":" not in words[0]:
                known.update(dict.fromkeys(words[1:], words[0]))
    return known


def answer(query):
    """The answer to a query with one question: the address, nothing of that kind, or no such name."""
    labels, end = [], 12
    while ord(query[end]):
        labels.append(query[end + 1 : end + 1 + ord(query[end])])
        end += 1 + ord(query[end])
    question = query[12 : end + 5]
    kind = struct.unpack(">H", question[-4:-2])[0]
    address = addresses().get(".".join(labels).lower())
    record = b""
    if address and kind == A:
        record = struct.pack(">HHHLH", 0xC00C, A, IN, 60, 4) + bytearray(int(part) for part in address.split("."))
    flags = 0x8580 if address else 0x8583  # an authoritative answer; 3: no such name
    return query[:2] + struct.pack(">HHHHH", flags, 1, 1 if record else 0, 0, 0) + question + record


class Query(SocketServer.BaseRequestHandler):
    def handle(self):
        query, socket = self.request
        socket.sendto(answer(query), self.client_address)


SocketServer.ThreadingUDPServer(("0.0.0.0", 53), Query).serve_forever()
