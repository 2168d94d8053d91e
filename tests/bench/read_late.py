# SPDX-License-Identifier: MIT
"""A client of HTTP that is late: read_late.py HOST PORT PATH CONNECTIONS MS. All connect and ask at
once, begin to read after MS milliseconds, and read until the end: a line of JSON for each, with the
bytes it got in all, those of the body (which must be x's), and how it ended."""
import errno
import json
import socket
import sys
import threading
import time


def read_all(sock):
    data = bytearray()
    while True:
        try:
            part = sock.recv(65536)
        except OSError as error:
            return data, errno.errorcode.get(error.errno, "TIMEOUT")
        if not part:
            return data, None
        data += part


def ask(host, port, path, ms, rows):
    row = {"got": 0, "body": 0, "error": "CONNECT"}
    rows.append(row)
    with socket.create_connection((host, port), timeout=60) as sock:
        sock.sendall(f"GET {path} HTTP/1.1\r\nHost: bench\r\nConnection: close\r\n\r\n".encode())
        time.sleep(ms / 1000)
        data, error = read_all(sock)
    body = bytes(data).partition(b"\r\n\r\n")[2]
    row.update(got=len(data), body=len(body), error="WRONG" if body.strip(b"x") else error)


def main():
    host, port, path, connections, ms = sys.argv[1:]
    rows = []
    threads = [threading.Thread(target=ask, args=(host, int(port), path, int(ms), rows))
               for _ in range(int(connections))]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    for row in rows:
        print(json.dumps(row))


main()
