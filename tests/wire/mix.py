# SPDX-License-Identifier: MIT
"""mix.py ADDRESS PORT PORTS COUNT SEED [serve|connect]: COUNT connections, each by its own plan.

Server and client in one process, or one of them; PORTS ports from PORT on, in turn, so that each
can have a policy. The plan of a connection follows from SEED and its number: who closes first and
after how long, FIN or RST, shut down before or not, both at once, data left unread, keep-alive.
The client tells the server its number."""
import random
import socket
import struct
import sys
import threading
import time

KINDS = 15 * ["client", "server"] + 3 * ["server-half", "client-half", "server-reset", "client-reset",
                                         "unread", "keepalive", "late"] + ["both"]
PLACES = 8  # connections at a time


def plan(seed, number):
    rng = random.Random(seed * 1000003 + number)
    return rng.choice(KINDS), rng.randrange(1, 20000)


def abort(sock):
    sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    sock.close()


def receive(sock, count):
    while count:
        part = sock.recv(min(count, 65536))
        if not part:
            return
        count -= len(part)


def serve(sock, seed):
    try:
        sock.settimeout(20)
        sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        (number,) = struct.unpack("!I", sock.recv(4, socket.MSG_WAITALL))
        kind, size = plan(seed, number)
        rounds = 3 if kind == "keepalive" else 1
        for _ in range(rounds):
            receive(sock, 10)
            if kind == "server-reset":
                break
            sock.sendall(b"x" * size)
        if kind == "server-half":
            sock.shutdown(socket.SHUT_WR)
        if kind == "late":
            time.sleep(0.12)
        if kind == "server-reset":
            abort(sock)
            return
        if kind in ("client", "client-half", "client-reset", "server-half", "keepalive",
                    "unread"):
            sock.recv(1)
    except (OSError, struct.error):
        pass
    sock.close()


def connect(address, port, seed, number):
    kind, size = plan(seed, number)
    sock = socket.create_connection((address, port), timeout=20)
    try:
        sock.sendall(struct.pack("!I", number))
        rounds = 3 if kind == "keepalive" else 1
        for _ in range(rounds):
            sock.sendall(b"r" * 10)
            receive(sock, size - (1 if kind == "unread" and size > 1 else 0))
        if kind == "client-half":
            sock.shutdown(socket.SHUT_WR)
        if kind == "client-reset":
            abort(sock)
            return
        if kind in ("server", "server-half", "client-half", "server-reset", "late"):
            sock.recv(1)
    except OSError:
        pass
    sock.close()


def listen(address, port, seed):
    family = socket.AF_INET6 if ":" in address else socket.AF_INET
    listener = socket.create_server((address, port), family=family, backlog=1024)

    def loop():
        while True:
            sock, _ = listener.accept()
            threading.Thread(target=serve, args=(sock, seed), daemon=True).start()

    threading.Thread(target=loop, daemon=True).start()


def main():
    address, port, ports, count, seed = sys.argv[1], *map(int, sys.argv[2:6])
    part = sys.argv[6] if len(sys.argv) > 6 else "both"
    if part != "connect":
        for i in range(ports):
            listen(address, port + i, seed)
    if part == "serve":
        threading.Event().wait()
    where = "::ffff:127.0.0.1" if address == "mapped" else address
    numbers, lock = iter(range(count)), threading.Lock()

    def client():
        while True:
            with lock:
                number = next(numbers, None)
            if number is None:
                return
            connect(where, port + number % ports, seed, number)

    threads = [threading.Thread(target=client) for _ in range(PLACES)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    time.sleep(0.3)  # the servers' last closes


main()
