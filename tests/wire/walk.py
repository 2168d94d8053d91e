# SPDX-License-Identifier: MIT
"""walk.py PORT COUNT SECONDS SEED: COUNT connections to itself, each on a random walk.

Opened, shut down on one side, closed by either, reset; some are left wherever they are. Ports: PORT
as it is; a filter drops the SYNs to PORT+1, the SYN-ACKs of PORT+2, and the FINs of PORT+3, so that
they stay in SYN_SENT, SYN_RECV, FIN_WAIT1, CLOSING and LAST_ACK. Prints "walking", at the end "over",
and stays."""
import random
import signal
import socket
import struct
import sys
import time

PLAIN, NO_SYN, NO_SYN_ACK, NO_FIN = range(4)


class Conn:
    """Both ends; None: it has been closed."""

    def __init__(self, client, server):
        self.ends = [client, server]
        self.shut = [False, False]

    def step(self, rng):
        """true: both ends are closed."""
        at = rng.randrange(2)
        if self.ends[at] is None:
            at = 1 - at
        end, what = self.ends[at], rng.random()
        try:
            if what < 0.2:
                end.send(b"x" * rng.randrange(1, 2000))
            elif what < 0.3:
                end.recv(100000)
            elif what < 0.5 and not self.shut[at]:
                end.shutdown(socket.SHUT_WR)
                self.shut[at] = True
            else:
                if what > 0.9:
                    end.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
                end.close()
                self.ends[at] = None
        except OSError:
            pass
        return self.ends == [None, None]


class Walk:
    def __init__(self, port, seed):
        self.rng = random.Random(seed)
        self.port = port
        self.listeners = [self.listener(port + i) for i in range(4)]
        self.conns = []
        self.waiting = []

    @staticmethod
    def listener(port):
        sock = socket.create_server(("127.0.0.1", port), backlog=4096)
        sock.settimeout(1)
        return sock

    def open(self):
        kind = self.rng.choices(range(4), [75, 3, 3, 19])[0]
        client = socket.socket()
        client.setblocking(False)
        client.connect_ex(("127.0.0.1", self.port + kind))
        if kind in (NO_SYN, NO_SYN_ACK):
            self.waiting.append(client)
            return
        try:
            server = self.listeners[kind].accept()[0]
        except OSError:
            client.close()
            return
        server.setblocking(False)
        self.conns.append(Conn(client, server))

    def move(self):
        """One step of one of them; some stay where they are for good."""
        if self.waiting and self.rng.random() < 0.02:
            self.waiting.pop(self.rng.randrange(len(self.waiting))).close()
        if not self.conns:
            return
        at = self.rng.randrange(len(self.conns))
        if self.conns[at].step(self.rng):
            self.conns[at] = self.conns[-1]
            self.conns.pop()


def main():
    port, count, seconds, seed = map(int, sys.argv[1:])
    walk = Walk(port, seed)
    print("walking", flush=True)
    began = time.monotonic()
    for i in range(count):
        while (time.monotonic() - began) / seconds < i / count:
            time.sleep(0.001)
        walk.open()
        for _ in range(2):
            walk.move()
    print("over", flush=True)
    signal.pause()


main()
