# SPDX-License-Identifier: MIT
"""watch_rate.py SOCKET RATE SECONDS: what readers of `watch` see of RATE transitions a second.

A session as a shim's: connections that open and, reset, are gone, two transitions each. One reader
takes what comes, the other nothing until all has happened. Prints a line of JSON: "made", and for
each reader "seen" and "lost", "chains" that were complete, and "wrong" ones."""
import collections
import json
import socket
import sys
import threading
import time

import hostile

BASE = 0x7000000000000000  # no cookie of the kernel's is there


class Reader:
    def __init__(self, path, slow):
        self.sock = socket.socket(socket.AF_UNIX)
        if slow:
            self.sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
        self.sock.connect(path)
        self.sock.sendall(b'{"v":1,"cmd":"watch","filter":"sport = :4242"}\n')
        self.parts = []
        self.thread = threading.Thread(target=self.read, daemon=True)

    def read(self):
        while True:
            data = self.sock.recv(1 << 20)
            if not data:
                return
            self.parts.append(data)

    def settled(self):
        """Nothing more comes."""
        before = -1
        while before != len(self.parts):
            before = len(self.parts)
            time.sleep(0.5)

    def result(self):
        states = collections.defaultdict(list)
        seen = lost = 0
        for line in b"".join(self.parts).splitlines():
            row = json.loads(line)
            if row["type"] == "lost":
                lost += row["count"]
            elif row["type"] == "transition":
                seen += 1
                states[row["cookie"]].append((row["from"], row["to"]))
        whole = [(None, "ESTABLISHED"), ("ESTABLISHED", None)]
        chains = sum(chain == whole for chain in states.values())
        wrong = sum(not all(step in whole for step in chain) or len(chain) > 2
                    for chain in states.values())
        return {"seen": seen, "lost": lost, "chains": chains, "wrong": wrong}


def main():
    path, rate, seconds = sys.argv[1], int(sys.argv[2]), int(sys.argv[3])
    session = hostile.Session(path)
    readers = {"fast": Reader(path + ".control", False), "slow": Reader(path + ".control", True)}
    readers["fast"].thread.start()
    time.sleep(0.2)
    here, there = hostile.endpoint(("10.77.0.1", 4242)), hostile.endpoint(("10.77.0.2", 5555))
    opened = bytearray(hostile.record(hostile.OPEN, 0, local=here, remote=there, close_first=0))
    closed = bytearray(hostile.record(hostile.CLOSE, 0, local=here, remote=there, close_first=0,
                                      action=0, unread=1))
    count = rate * seconds // 2
    began = time.monotonic()
    for i in range(count):
        while i % 50 == 0 and (time.monotonic() - began) * rate < i * 2:
            time.sleep(0.001)
        opened[8:16] = closed[8:16] = (BASE + i).to_bytes(8, "little")
        session.sock.send(opened)
        session.sock.send(closed)
    took = time.monotonic() - began
    readers["slow"].thread.start()
    result = {"made": 2 * count, "rate": round(2 * count / took)}
    for name, reader in readers.items():
        reader.settled()
        result[name] = reader.result()
    print(json.dumps(result))


main()
