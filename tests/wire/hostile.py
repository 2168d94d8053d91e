# SPDX-License-Identifier: MIT
"""Speaks to a daemon as no shim would: hostile.py SOCKET WHAT [NUMBER]

A session's messages as common/wire.h lays them out, right and wrong. Prints one line of JSON:
"served" is whether the session was welcomed, "alive" whether the daemon still listens to it at
the end; what else there is depends on WHAT, one of the functions below."""
import array
import collections
import ctypes
import fcntl
import json
import os
import resource
import select
import socket
import struct
import sys
import threading
import time

MAGIC, VERSION = 0x434C5344, 1
OPEN, CLOSE, LET_GO, HAND_OVER, DEFER, AT_EXIT = range(1, 7)
ROLE_SERVER, ESTABLISHED, ACTION_HAND_OVER = 1, 1, 1
SO_COOKIE = 57


class Endpoint(ctypes.Structure):
    _fields_ = [("addr", ctypes.c_uint8 * 16), ("port", ctypes.c_uint16), ("family", ctypes.c_uint16)]


class Record(ctypes.Structure):
    _fields_ = [
        ("magic", ctypes.c_uint32), ("version", ctypes.c_uint16), ("type", ctypes.c_uint8),
        ("role", ctypes.c_uint8), ("cookie", ctypes.c_uint64), ("local", Endpoint),
        ("remote", Endpoint), ("policy", ctypes.c_uint32), ("fd", ctypes.c_int32),
        ("state", ctypes.c_uint8), ("action", ctypes.c_uint8), ("side", ctypes.c_uint8),
        ("how", ctypes.c_uint8), ("unread", ctypes.c_uint32), ("unacked", ctypes.c_uint32),
        ("idle_ms", ctypes.c_uint32), ("grace_ms", ctypes.c_uint32),
        ("time_wait_ms", ctypes.c_int32), ("drain_max_ms", ctypes.c_uint32),
        ("grace_learn", ctypes.c_uint8), ("peer_time_wait", ctypes.c_uint8),
        ("close_first", ctypes.c_uint8), ("patience", ctypes.c_uint8),
        ("rtt_us", ctypes.c_uint32), ("late", ctypes.c_uint32), ("why", ctypes.c_uint8),
        ("control", ctypes.c_uint8), ("pad", ctypes.c_uint8 * 2), ("reserved", ctypes.c_uint32)]


assert ctypes.sizeof(Record) == 112


def hello(version=VERSION, size=1024, magic=MAGIC, options=b""):
    return struct.pack("=IHHII1000s8x", magic, version, size, 1024, 0, options)


def record(kind, cookie=0, **members):
    usual = dict(role=ROLE_SERVER, state=ESTABLISHED, action=ACTION_HAND_OVER, fd=9, grace_ms=30000,
                 time_wait_ms=-1, drain_max_ms=1000, close_first=1)
    return Record(magic=MAGIC, version=VERSION, type=kind, cookie=cookie, **{**usual, **members})


class Session:
    """A connection to the daemon, greeted if greet."""

    def __init__(self, path, greet=True):
        self.sock = socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        self.sock.connect(path)
        self.served = False
        if greet:
            self.send(hello())
            self.welcome()

    def send(self, message, *fds):
        ancillary = [(socket.SOL_SOCKET, socket.SCM_RIGHTS, array.array("i", fds))] if fds else []
        self.sock.sendmsg([bytes(message)], ancillary)

    def try_send(self, message, *fds):
        try:
            self.send(message, *fds)
        except OSError:
            pass  # the daemon has hung up

    def welcome(self):
        """Waits for it, or for the end."""
        self.sock.settimeout(10)
        try:
            data, fds, _, _ = socket.recv_fds(self.sock, 100, 4)
        except ConnectionError:
            data, fds = b"", []
        self.sock.settimeout(None)
        for fd in fds:
            os.close(fd)
        self.served = len(data) == 16

    def is_alive(self):
        """Has the daemon read all that was sent, and does it listen still?"""
        deadline = time.monotonic() + 10
        while time.monotonic() < deadline:
            events = select.poll()
            events.register(self.sock, 0)
            if events.poll(0):
                return False
            unread = bytearray(4)
            fcntl.ioctl(self.sock, 0x5411, unread)  # SIOCOUTQ: bytes it has not read
            if struct.unpack("=i", unread)[0] == 0:
                break
            time.sleep(0.01)
        time.sleep(0.05)  # it acts on what it has read
        return not events.poll(0)


listener = None


def connection(number=0):
    """Both ends of a TCP connection: the one to hand over, and its peer. The peers are many."""
    global listener
    if not listener:
        listener = socket.socket()
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        listener.bind(("0.0.0.0", 0))
        listener.listen(16)
    peer = socket.socket()
    peer.connect((f"127.0.0.{1 + number % 200}", listener.getsockname()[1]))
    return listener.accept()[0], peer


def cookie(sock):
    return struct.unpack("=Q", sock.getsockopt(socket.SOL_SOCKET, SO_COOKIE, 8))[0]


def hand_over(session, sock, kind=HAND_OVER, **members):
    session.send(record(kind, cookie(sock), **members), sock.fileno())
    sock.close()


def at_eof(peer, seconds=0):
    """Has the other end closed?"""
    events = select.poll()
    events.register(peer, select.POLLIN)
    return bool(events.poll(seconds * 1000)) and peer.recv(1) == b""


# --- WHAT ---

def endpoint(address):
    packed = bytes(10) + b"\xff\xff" + socket.inet_aton(address[0])
    return Endpoint((ctypes.c_uint8 * 16)(*packed), address[1], socket.AF_INET)


def other_end_later(path, _):
    """close-first = self: the hand-over comes before the record that opens its other end."""
    sock, peer = connection()
    here, there = endpoint(sock.getsockname()), endpoint(sock.getpeername())
    server, client = Session(path), Session(path)
    hand_over(server, sock, local=here, remote=there, grace_ms=600000)
    held = not at_eof(peer) and server.is_alive()
    client.send(record(OPEN, cookie(peer), local=there, remote=here, fd=peer.fileno(), close_first=2))
    return {"held": held, "eof": at_eof(peer, 20)}


def no_hello(path, _):
    """Each in place of a hello: none of them is served."""
    messages = [b"x", os.urandom(1024), b"\0" * 1024, hello(magic=1), hello()[:1023], hello()[:9],
                hello() + b"\0", hello() + b"\0" * 100000, hello(size=8), bytes(record(OPEN, 1))]
    served = alive = 0
    for message in messages:
        session = Session(path, greet=False)
        session.try_send(message)
        session.welcome()
        served += session.served
        alive += session.is_alive()
    return {"served": served, "alive": alive, "sent": len(messages)}


def options(path, _):
    """Nonsense in the options: served all the same, by its socket it is a shim."""
    texts = [b"\xff" * 1000, b"=,=,,", b"tag=" + b"x" * 996, b"tag=", b"tag=a,tag=b", b"%s%n"]
    served = 0
    for text in texts:
        session = Session(path, greet=False)
        session.send(hello(options=text))
        session.welcome()
        served += session.served
    return {"served": served, "sent": len(texts)}


def silent(path, number):
    """Connections that say nothing, one that says it explicitly, and one that leaves at once."""
    sessions = [Session(path, greet=False) for _ in range(number)]
    sessions[0].send(b"")
    sessions[0].welcome()
    Session(path, greet=False).send(hello())
    return {"served": sessions[0].served, "alive": sum(s.is_alive() for s in sessions)}


def version(path, number):
    session = Session(path, greet=False)
    session.send(hello(version=number))
    session.welcome()
    return {"served": session.served, "alive": session.is_alive()}


def garbage(path, _):
    """After a hello: each message is counted, and the session goes on."""
    session = Session(path)
    good = bytes(record(OPEN, 1))
    endpoint = bytearray(good)
    endpoint[34] = 2  # AF_INET, but no mapped address
    messages = [b"x", os.urandom(len(good)), os.urandom(5000), good[:-1], good + b"\0",
                good + b"\0" * 100000, record(0, 1), record(7, 1), record(255, 1), hello(), bytes(endpoint)]
    for member, value in [("version", 2), ("magic", 1), ("role", 9), ("state", 200), ("action", 99),
                          ("side", 99), ("close_first", 9), ("why", 200), ("control", 2)]:
        bad = Record.from_buffer_copy(good)
        setattr(bad, member, value)
        messages.append(bad)
    for message in messages:
        session.send(message)
    alive = session.is_alive()
    sock, peer = connection()
    hand_over(session, sock)
    return {"served": session.served, "alive": alive and session.is_alive(), "sent": len(messages),
            "held": not at_eof(peer)}


def flood_garbage(path, number):
    """It ends, sooner or later."""
    session = Session(path)
    for _ in range(number):
        session.try_send(os.urandom(50))
    return {"served": session.served, "alive": session.is_alive()}


def not_tcp(path, _):
    """Handed over: not one TCP connection among them."""
    session = Session(path)
    listening = socket.socket()
    listening.bind(("127.0.0.1", 0))
    listening.listen(1)
    unix = socket.socketpair()
    pipe = os.pipe()
    own = socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET)
    own.connect(path)
    fds = [listening.fileno(), socket.socket(socket.AF_INET, socket.SOCK_DGRAM).detach(),
           socket.socket(socket.AF_INET, socket.SOCK_RAW, socket.IPPROTO_TCP).detach(),
           unix[0].fileno(), pipe[0], pipe[1], os.open("/", os.O_RDONLY), os.open("/", os.O_PATH),
           os.open("/dev/null", os.O_RDWR), os.memfd_create("x"), select.epoll().fileno(),
           os.pidfd_open(os.getpid()), own.fileno(), session.sock.fileno()]
    for fd in fds:
        session.send(record(HAND_OVER, 1), fd)
        session.send(record(DEFER, 2), fd)
    return {"served": session.served, "alive": session.is_alive(), "sent": 2 * len(fds)}


def not_asked(path, _):
    """A descriptor with what takes none, none with what takes one."""
    session = Session(path)
    sock, _ = connection()
    for kind in OPEN, CLOSE, LET_GO:
        session.send(record(kind, 1), sock.fileno())
    for kind in HAND_OVER, DEFER, AT_EXIT:
        session.send(record(kind, 1))
    session.send(b"x", sock.fileno())
    return {"served": session.served, "alive": session.is_alive(), "sent": 7}


def several(path, number):
    """So many descriptors in each of 20 messages: none is taken, the session ends."""
    session = Session(path)
    peers = []
    for i in range(20):
        sock, peer = connection()
        session.try_send(record(HAND_OVER, cookie(sock)), sock.fileno(), *([0] * (number - 1)))
        sock.close()
        peers.append(peer)
    alive = session.is_alive()
    return {"served": session.served, "alive": alive,
            "held": sum(not at_eof(p, 10) for p in peers)}


def lingering(path, number):
    """Descriptors whose close() blocks for a minute, where they have no place; then it hangs up."""
    session = Session(path)
    peers = []
    for i in range(number):
        sock, peer = connection()
        sock.setblocking(False)
        try:
            while True:
                sock.send(b"x" * 65536)
        except BlockingIOError:
            pass
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 60))
        kind = (OPEN, 255, CLOSE, HAND_OVER)[i % 4]
        filler = [0] * 50 if i % 8 > 3 else []
        session.try_send(b"x" if i % 3 == 0 else record(kind, 1), *filler, sock.fileno())
        # At once, so that the message's reference is the last. If it is not, we are the one to wait.
        threading.Thread(target=sock.close, daemon=True).start()
        peers.append(peer)
    return {"served": session.served, "alive": session.is_alive()}


def polite(path, number):
    """Hands over one connection, says so on stdout, and on EOF of stdin whether it is held still."""
    session = Session(path)
    sock, peer = connection()
    hand_over(session, sock, grace_ms=600000)
    alive = session.is_alive()
    print("ready", flush=True)
    sys.stdin.read()
    ended = at_eof(peer)
    peer.close()
    return {"served": session.served, "alive": alive and session.is_alive(), "held": not ended}


def flood(path, number):
    """Hands over so many connections that stay open, and ends its own ends once they are over."""
    session = Session(path)
    limit = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (limit[1], limit[1]))
    peers = collections.deque()
    ended = stuck = 0
    for i in range(number):
        sock, peer = connection(i)
        hand_over(session, sock, idle_ms=0)
        peers.append(peer)
        if len(peers) >= limit[1] - 100:
            oldest = peers.popleft()
            if at_eof(oldest, 10):
                ended += 1
            else:
                stuck += 1
            oldest.close()
    alive = session.is_alive()
    print("ready", flush=True)
    sys.stdin.read()
    over = [at_eof(peer) for peer in peers]
    first_held = over.index(False) if False in over else len(over)
    return {"served": session.served, "alive": alive, "sent": number, "stuck": stuck,
            "ended": ended + sum(over), "in_order": not any(over[first_held:])}


def main():
    path, what, *number = sys.argv[1:]
    result = globals()[what](path, int(number[0]) if number else 0)
    print(json.dumps(result), flush=True)
    os._exit(0)  # whatever still waits


if __name__ == "__main__":
    main()
