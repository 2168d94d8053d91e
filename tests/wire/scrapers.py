# SPDX-License-Identifier: MIT
"""Clients of the metrics' listener that behave badly, and one that does not: scrapers.py HOST PORT WHAT

Prints what came of it as one line."""
import re
import socket
import sys
import time


def connect():
    s = socket.create_connection((sys.argv[1], int(sys.argv[2])), timeout=20)
    s.settimeout(20)
    return s


def read_all(s):
    data = b""
    try:
        while chunk := s.recv(65536):
            data += chunk
    except ConnectionResetError:
        pass
    return data


def ask(text, half_close=False):
    s = connect()
    try:
        s.sendall(text)
    except OSError:
        pass  # an early answer, and gone
    if half_close:
        s.shutdown(socket.SHUT_WR)
    return read_all(s)


def status(data):
    return " ".join(code.decode() for code in re.findall(rb"HTTP/1\.[01] (\d{3}) ", data)) or "closed"


def good(path=b"/metrics", word=b"GET"):
    return word + b" " + path + b" HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n"


def hang(seconds):
    """A hundred: without a word, in the middle of a line, of the head, a byte now and then, and such as
    ask and do not read."""
    kinds = [b"", b"GET /met", b"GET /metrics HTTP/1.1\r\nHo", b"slow", b"mute"]
    clients = []
    for i in range(100):
        s = connect()
        kind = kinds[i % len(kinds)]
        if kind == b"mute":
            s.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 1024)
            s.sendall(b"GET /metrics HTTP/1.1\r\nHost: a\r\n\r\n" * 50)
        elif kind != b"slow":
            s.sendall(kind)
        clients.append((s, kind))
    print("hanging", flush=True)
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        for s, kind in clients:
            if kind == b"slow":
                try:
                    s.send(b"G")
                except OSError:
                    pass
        time.sleep(0.2)
    gone = 0
    for s, _ in clients:
        s.setblocking(False)
        try:
            while s.recv(65536):
                pass
            gone += 1
        except BlockingIOError:
            pass
        except OSError:
            gone += 1
    print(gone)


def keep():
    """One connection, ten requests."""
    s = connect()
    answers = 0
    for _ in range(10):
        s.sendall(b"GET / HTTP/1.1\r\nHost: a\r\n\r\n")
        data = b""
        while b"</html>" not in data:
            data += s.recv(65536)
        answers += data.startswith(b"HTTP/1.1 200")
    return str(answers)


WHAT = {
    "get": lambda: status(ask(good())),
    "not-http": lambda: status(ask(b"\x16\x03\x01\x02\x00\x01\x00\xfc\x03\x03" * 10 + b"\r\n\r\n")),
    "ssh": lambda: status(ask(b"SSH-2.0-OpenSSH_9.2\r\n\r\n")),
    "nul": lambda: status(ask(b"GET /\x00metrics HTTP/1.1\r\nHost: a\r\n\r\n", True)),
    "long-url": lambda: status(ask(good(b"/" + b"a" * 100000))),
    "long-header": lambda: status(ask(b"GET /metrics HTTP/1.1\r\nX: " + b"a" * 100000 + b"\r\n\r\n")),
    "many-headers": lambda: status(ask(b"GET /metrics HTTP/1.1\r\n" + b"X: y\r\n" * 20000 + b"\r\n")),
    "endless-line": lambda: status(ask(b"G" * 1000000)),
    "huge-body": lambda: status(ask(b"POST /metrics HTTP/1.1\r\nHost: a\r\nConnection: close\r\n"
                                    b"Content-Length: 99999999999\r\n\r\n" + b"x" * 100000)),
    "negative-body": lambda: status(ask(b"POST / HTTP/1.1\r\nContent-Length: -5\r\n\r\n", True)),
    "chunks": lambda: status(ask(b"POST / HTTP/1.1\r\nTransfer-Encoding: chunked\r\nConnection: close\r\n\r\n"
                                 b"ffffffffffffffff\r\nx", True)),
    "http-0.9": lambda: status(ask(b"GET /metrics\r\n\r\n", True)),
    "unknown-method": lambda: status(ask(good(b"/metrics", b"BREW"), True)),
    "pipeline": lambda: status(ask(b"GET / HTTP/1.1\r\nHost: a\r\n\r\n" * 20 + good())),
    "half-closed": lambda: status(ask(b"GET /metrics HTTP/1.0\r\n\r\n", True)),
    "absolute": lambda: status(ask(good(b"http://elsewhere/metrics"))),
    "query": lambda: status(ask(good(b"/metrics?x=../..%00"))),
    "keep": keep,
}

if __name__ == "__main__":
    if sys.argv[3] == "hang":
        hang(float(sys.argv[4]))
    else:
        print(WHAT[sys.argv[3]]())
