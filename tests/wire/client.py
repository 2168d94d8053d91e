# SPDX-License-Identifier: MIT
"""Clients in Python: client.py KIND N URL; prints how many of N requests were answered."""
import socket
import sys
import urllib.parse
import urllib.request


def get_urllib(url):
    with urllib.request.urlopen(url, timeout=20) as reply:
        return b"hello" in reply.read()


def wait_for_eof(s):
    s.settimeout(2)
    try:
        return s.recv(1) == b""
    except TimeoutError:
        return True


def get_patient(url):
    """Knows where the answer ends, and yet waits for the server to close first."""
    place = urllib.parse.urlsplit(url)
    with socket.create_connection((place.hostname, place.port), timeout=20) as s:
        s.sendall(f"GET / HTTP/1.1\r\nHost: {place.netloc}\r\nConnection: close\r\n\r\n".encode())
        answer = b""
        while not answer.endswith(b"hello\n") and not answer.endswith(b"hello"):
            part = s.recv(1000)
            if not part:
                return False
            answer += part
        return wait_for_eof(s)


def get_redis(url, patient=False):
    """PING and QUIT in one; the server closes after it has answered, and so do we."""
    place = urllib.parse.urlsplit(url)
    with socket.create_connection((place.hostname, place.port), timeout=20) as s:
        s.sendall(b"PING\r\nQUIT\r\n")
        answer = b""
        while len(answer) < len(b"+PONG\r\n+OK\r\n"):
            part = s.recv(100)
            if not part:
                return False
            answer += part
        if patient:
            wait_for_eof(s)
        return answer == b"+PONG\r\n+OK\r\n"


def get_redis_patient(url):
    return get_redis(url, patient=True)


KINDS = {"urllib": get_urllib, "patient": get_patient, "redis": get_redis,
         "redis_patient": get_redis_patient}


def main():
    get = KINDS[sys.argv[1]]
    good = 0
    for _ in range(int(sys.argv[2])):
        try:
            good += bool(get(sys.argv[3]))
        except OSError as error:
            print(f"{sys.argv[1]}: {error}", file=sys.stderr)
    print(good)


main()
