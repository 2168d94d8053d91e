# SPDX-License-Identifier: MIT
"""Requests without end: load.py KIND HOST PORT THREADS STOP-FILE [PAUSE-MS]

KIND: closer   a connection for each request, closed once the answer is complete
      reader   the same, but it reads on until EOF
      pool     one connection kept open by each thread, looked at before it is used again, as
               pooling clients do; a pause of 0 to PAUSE-MS between requests
Ends when STOP-FILE is there and prints one line of JSON."""
import collections
import json
import os
import random
import select
import socket
import sys
import threading
import time

REQUEST = b"GET / HTTP/1.1\r\nHost: test\r\n%s\r\n"


class Load:
    def __init__(self, kind, host, port, stop, pause):
        self.kind, self.host, self.port, self.stop, self.pause = kind, host, port, stop, pause
        self.lock = threading.Lock()
        self.requests = self.failed = self.connects = 0
        self.worst_eof = self.worst_answer = 0.0
        self.errors = collections.Counter()

    def answer(self, sock):
        data = b""
        while b"\r\n\r\n" not in data:
            part = sock.recv(4096)
            if not part:
                raise ConnectionError("EOF before the answer" if not data else "EOF within it")
            data += part
        head, _, body = data.partition(b"\r\n\r\n")
        length = int(head.lower().split(b"content-length:")[1].split()[0])
        if not head.startswith(b"HTTP/1.1 200"):
            raise ConnectionError(head[:12].decode())
        while len(body) < length:
            part = sock.recv(4096)
            if not part:
                raise ConnectionError("EOF within the answer")
            body += part
        return b"connection: close" not in head.lower()

    def connect(self):
        sock = socket.create_connection((self.host, self.port), timeout=20)
        with self.lock:
            self.connects += 1
        return sock

    def single(self):
        with self.connect() as sock:
            begin = time.monotonic()
            sock.sendall(REQUEST % b"Connection: close\r\n")
            self.answer(sock)
            done = time.monotonic()
            self.worst_answer = max(self.worst_answer, done - begin)
            if self.kind == "reader":
                if sock.recv(1):
                    raise ConnectionError("bytes after the answer")
                self.worst_eof = max(self.worst_eof, time.monotonic() - done)

    def pooled(self, sock):
        if sock is not None and select.select([sock], [], [], 0)[0]:
            sock.close()  # the server has closed it
            sock = None
        sock = sock or self.connect()
        sock.sendall(REQUEST % b"")
        if not self.answer(sock):
            sock.close()
            sock = None
        return sock

    def run(self, seed):
        rand = random.Random(seed)
        sock = None
        while not os.path.exists(self.stop):
            try:
                if self.kind == "pool":
                    sock = self.pooled(sock)
                else:
                    self.single()
            except OSError as error:
                with self.lock:
                    self.failed += 1
                    self.errors[str(error)] += 1
                if self.kind == "pool":
                    sock = None
                time.sleep(0.01)
            with self.lock:
                self.requests += 1
            if self.pause:
                time.sleep(rand.uniform(0, self.pause))

    def report(self):
        return {"requests": self.requests, "failed": self.failed, "connects": self.connects,
                "errors": dict(self.errors), "worst_eof_ms": round(self.worst_eof * 1000),
                "worst_answer_ms": round(self.worst_answer * 1000)}


def main():
    kind, host, port, threads, stop = sys.argv[1:6]
    pause = int(sys.argv[6]) / 1000 if len(sys.argv) > 6 else 0
    load = Load(kind, host, int(port), stop, pause)
    workers = [threading.Thread(target=load.run, args=(i,)) for i in range(int(threads))]
    for worker in workers:
        worker.start()
    for worker in workers:
        worker.join()
    print(json.dumps(load.report()))


main()
