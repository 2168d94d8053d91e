# SPDX-License-Identifier: MIT
"""Speaks to the daemon's sockets as a shim would, or should not: wire.py SOCKET TEST [N]

Each test prints a line and exits 0 if the daemon did what it should; common/wire.h is the contract."""
import os
import random
import resource
import selectors
import socket
import struct
import sys
import threading
import time

MAGIC, VERSION = 0x434c5344, 1
HELLO = struct.Struct("=IHHII1000s8x")
RECORD = struct.Struct("=IHBBQ20s20sIiBBBBIIIIiIBBBBI12x")
OPEN, CLOSE, LET_GO, HAND_OVER = 1, 2, 3, 4
SIZE = {"hello": HELLO.size, "record": RECORD.size}
assert SIZE == {"hello": 1024, "record": 112}


def hello(magic=MAGIC, version=VERSION, size=1024, options=b""):
    return HELLO.pack(magic, version, size, 1024, 0, options)


def endpoint(address):
    host, port = address
    return b"\0" * 10 + b"\xff\xff" + socket.inet_aton(host) + struct.pack("=HH", port, socket.AF_INET)


def record(kind, sock=None, magic=MAGIC, version=VERSION, grace=60000, cookie=None):
    local = remote = b"\0" * 20
    if sock is not None:
        local, remote = endpoint(sock.getsockname()), endpoint(sock.getpeername())
        cookie = struct.unpack("=Q", sock.getsockopt(socket.SOL_SOCKET, 57, 8))[0]
    return RECORD.pack(magic, version, kind, 1, cookie or 1, local, remote, 0, 3, 1, 1, 0, 0, 0, 0, 0,
                       grace, -1, 30000, 0, 0, 1, 0, 100)


class Session:
    def __init__(self, path, first=None):
        self.sock = socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        self.sock.settimeout(5)
        self.sock.connect(path)
        if first is not None:
            self.sock.send(first)

    def welcome(self):
        message, fds, _, _ = socket.recv_fds(self.sock, 100, 4)
        for fd in fds:
            os.close(fd)
        return len(message) == 16 and struct.unpack_from("=IH", message) == (MAGIC, VERSION)

    def send_fd(self, message, fd):
        socket.send_fds(self.sock, [message], [fd])

    def ended(self):
        """Has the daemon hung up?"""
        try:
            while True:
                if not self.sock.recv(4096):
                    return True
        except TimeoutError:
            return False
        except OSError:
            return True


def alive(path):
    """A proper session is welcomed still."""
    return Session(path, hello()).welcome()


def bad_hello(path, message):
    session = Session(path, message)
    return session.ended() and alive(path)


def test_garbage(path):
    rand = random.Random(1)
    return all(bad_hello(path, rand.randbytes(n)) for n in (1, 16, 100, 1024))


def test_short(path):
    return bad_hello(path, hello()[:100])


def test_oversized(path):
    return bad_hello(path, hello() + b"\0" * 100000)


def test_version(path):
    return bad_hello(path, hello(version=99)) and bad_hello(path, hello(magic=1))


def test_options(path):
    """Nonsense in the options, and options without an end."""
    for options in (b"\xff" * 1000, b"=,=,,", b"tag=" + b"x" * 996):
        Session(path, hello(options=options)).sock.close()
    return alive(path)


def test_records(path):
    """Bad records on a good session: whatever becomes of it, others go on."""
    rand = random.Random(2)
    for message in (b"x", record(OPEN)[:50], record(OPEN) + b"\0" * 5000, record(OPEN, magic=2),
                    record(OPEN, version=9), record(77), record(0), rand.randbytes(112), b"\xff" * 112):
        session = Session(path, hello())
        if not session.welcome():
            return False
        for _ in range(3):
            try:
                session.sock.send(message)
            except OSError:
                break
        session.sock.close()
    return alive(path)


def test_nothing(path):
    """Connections that say nothing, and empty messages."""
    silent = [Session(path) for _ in range(50)]
    silent[0].sock.send(b"")
    good = alive(path)
    for session in silent:
        session.sock.close()
    return good and alive(path)


def test_not_tcp(path):
    """A descriptor that is not a TCP socket is closed; the session goes on."""
    session = Session(path, hello())
    session.welcome()
    read_end, write_end = os.pipe()
    near, far = socket.socketpair()
    udp = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    listener = socket.socket()
    listener.bind(("127.0.0.1", 0))
    listener.listen()
    with open("/dev/null", "rb") as null:
        for fd in (write_end, far.fileno(), udp.fileno(), null.fileno()):
            session.send_fd(record(HAND_OVER, cookie=7), fd)
    session.send_fd(record(HAND_OVER, cookie=8), listener.fileno())
    session.send_fd(record(OPEN, cookie=9), udp.fileno())  # one that should carry none
    os.close(write_end)
    far.close()
    near.settimeout(5)
    if os.read(read_end, 1) or near.recv(1):
        return False  # EOF on both: the daemon has let go
    # and a hand-over that says it carries one and does not
    session.sock.send(record(HAND_OVER, cookie=10))
    # the session goes on: a true one is taken
    client = socket.create_connection(listener.getsockname())
    served, _ = listener.accept()
    session.send_fd(record(HAND_OVER, served, grace=200), served.fileno())
    served.close()
    client.settimeout(5)
    return client.recv(1) == b"" and alive(path)


def test_many_fds(path):
    """Several descriptors with one record."""
    session = Session(path, hello())
    session.welcome()
    pairs = [socket.socketpair() for _ in range(20)]
    socket.send_fds(session.sock, [record(HAND_OVER, cookie=7)], [far.fileno() for _, far in pairs])
    for near, far in pairs:
        far.close()
        near.settimeout(5)
        if near.recv(1):
            return False
    return alive(path)


def test_control(path):
    """Bad requests on the control socket: an answer that says so, or the end; others go on."""
    requests = [b"\n", b"garbage\n", b"{\n", b"[]\n", b"{}\n", b'{"v":1}\n', b'{"v":1,"cmd":7}\n',
                b'{"v":1,"cmd":"nosuch"}\n', b'{"v":99,"cmd":"status"}\n', b'{"v":"x","cmd":"status"}\n',
                b"\xff\xfe\0\0\n", b"x" * 1000000, b"[" * 100000 + b"\n",
                b'{"v":1,"cmd":"conns","filter":"nonsense words"}\n', b'{"v":1,"cmd":"status"']
    for request in requests:
        with socket.socket(socket.AF_UNIX) as s:
            s.settimeout(5)
            s.connect(path)
            try:
                s.sendall(request)
                s.shutdown(socket.SHUT_WR)
                answer = b""
                while part := s.recv(65536):
                    answer += part
            except TimeoutError:
                print(f"no answer and no end: {request[:40]!r}")
                return False
            except OSError:
                continue
            if b'"ok":true' in answer.replace(b" ", b""):
                print(f"accepted: {request[:40]!r}")
                return False
    return True


class Peers:
    """The far ends of many connections, on 127.0.0.0/8: kept until EOF comes."""

    def __init__(self):
        self.listener = socket.socket()
        self.listener.bind(("0.0.0.0", 0))
        self.listener.listen(4096)
        self.listener.setblocking(False)
        self.port = self.listener.getsockname()[1]
        self.selector = selectors.EpollSelector()
        self.selector.register(self.listener, selectors.EVENT_READ)
        self.open = self.ended = 0
        self.done = False
        threading.Thread(target=self.run, daemon=True).start()

    def run(self):
        while not self.done:
            for key, _ in self.selector.select(0.1):
                if key.fileobj is self.listener:
                    try:
                        while True:
                            peer, _ = self.listener.accept()
                            peer.setblocking(False)
                            self.selector.register(peer, selectors.EVENT_READ)
                            self.open += 1
                    except BlockingIOError:
                        continue
                try:
                    key.fileobj.recv(100)
                except BlockingIOError:
                    continue
                except OSError:
                    pass
                self.selector.unregister(key.fileobj)
                key.fileobj.close()
                self.open -= 1
                self.ended += 1


def test_flood(path, count=100000):
    """Hands over as many as it is told, whatever its credits: it must not be held up by it."""
    hard = resource.getrlimit(resource.RLIMIT_NOFILE)[1]
    resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
    peers = Peers()
    session = Session(path, hello())
    session.welcome()
    refused = 0
    begin = time.monotonic()
    for i in range(count):
        sock = socket.socket()
        sock.connect((f"127.0.{i // 20000}.1", peers.port))
        try:
            session.send_fd(record(HAND_OVER, sock), sock.fileno())
        except OSError:
            refused += 1
            if refused == 1:
                session.sock.close()
                session = Session(path, hello())
                session.welcome()
        sock.close()
    took = time.monotonic() - begin
    time.sleep(0.5)
    print(f"{count} handed over in {took:.1f} s, {refused} not taken;"
          f" {peers.ended} ended, {peers.open} held still")
    good = alive(path)
    session.sock.close()
    return good


def main():
    path, name, *rest = sys.argv[1:]
    good = globals()["test_" + name](path, *map(int, rest))
    sys.exit(0 if good else 1)


main()
