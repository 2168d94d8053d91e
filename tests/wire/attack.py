# SPDX-License-Identifier: MIT
"""What a hostile local user does to a daemon, with the messages of hostile.py: attack.py SOCKET
WHAT [NUMBER...]

Prints "ready" once it is at its worst, goes on until the file $OVER is there, then prints one line of JSON with
what it did. `steady` and `watch` are no attacks: a client of the server that must not notice, and
what is measured meanwhile."""
import ctypes
import fcntl
import json
import mmap
import os
import random
import resource
import select
import socket
import struct
import sys
import threading
import time

from hostile import (AT_EXIT, CLOSE, DEFER, HAND_OVER, LET_GO, OPEN, Record, Session, connection,
                     cookie, hello, record)

libc = ctypes.CDLL(None, use_errno=True)
CLONE_NEWUSER, CLONE_NEWNET = 0x10000000, 0x40000000
SO_LINGER = struct.pack("ii", 1, 32000)
over = threading.Event()


def until_told():
    """Ready; then waits for the file."""
    print("ready", flush=True)
    while not os.path.exists(os.environ["OVER"]):
        time.sleep(0.02)
    over.set()


def in_threads(count, function, *args):
    """Runs it again and again in so many threads until it is over; returns how often."""
    done = [0] * count

    def run(index):
        while not over.is_set():
            try:
                function(*args)
                done[index] += 1
            except OSError:
                time.sleep(0.001)

    threads = [threading.Thread(target=run, args=(i,), daemon=True) for i in range(count)]
    for thread in threads:
        thread.start()
    until_told()
    for thread in threads:
        thread.join(5)
    return sum(done)


def all_files():
    hard = resource.getrlimit(resource.RLIMIT_NOFILE)[1]
    resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))


# --- those who must not notice ---

def steady(address, _):
    """A client of HOST:PORT that asks, reads the answer and closes, one after the other."""
    host, port = address.rsplit(":", 1)
    done = [0, 0, 0.0]

    def once():
        begin = time.monotonic()
        with socket.create_connection((host, int(port)), 20) as s:
            s.sendall(b"hello\n")
            got = 0
            while got < 1000 and (part := s.recv(4096)):
                got += len(part)
            time.sleep(0.005)  # the server has called close() by now: it would be the first
        done[got == 1000] += 1
        done[2] = max(done[2], time.monotonic() - begin)
        time.sleep(0.005)

    in_threads(1, once)
    while sum(done[:2]) < 20:  # the attack was short, or the machine is busy
        once()
    return {"answered": done[1], "failed": done[0], "worst_ms": round(done[2] * 1000)}


def watch(control, pid):
    """How long the daemon takes to answer, and the most that it had of files and memory."""
    waits, files, memory, busy = [], 0, 0, 0

    def ticks():
        with open(f"/proc/{pid}/stat", encoding="ascii") as f:
            fields = f.read().rsplit(")", 1)[1].split()
        return int(fields[11]) + int(fields[12])

    first, begin = ticks(), time.monotonic()
    threading.Thread(target=until_told, daemon=True).start()
    while not over.is_set():
        start = time.monotonic()
        with socket.socket(socket.AF_UNIX) as s:
            s.settimeout(30)
            s.connect(control)
            s.sendall(b'{"v":1,"cmd":"status"}\n')
            s.makefile("rb").readline()
        waits.append((time.monotonic() - start) * 1000)
        try:
            files = max(files, len(os.listdir(f"/proc/{pid}/fd")))
            with open(f"/proc/{pid}/status", encoding="ascii") as f:
                memory = max(memory, next(int(l.split()[1]) for l in f if l.startswith("VmRSS")))
            busy = ticks() - first
        except (OSError, StopIteration):
            pass
        over.wait(0.02)
    waits.sort()
    spent = time.monotonic() - begin
    return {"asked": len(waits), "median_ms": round(waits[len(waits) // 2], 1),
            "worst_ms": round(waits[-1], 1), "files": files, "rss_kb": memory,
            "cpu_percent": round(100 * busy / os.sysconf("SC_CLK_TCK") / spent)}


# --- sessions ---

def connects(path, number):
    """Connects and hangs up, with and without half a hello."""
    texts = [b"", hello()[:9], b"x", hello(), hello() * 2]

    def once():
        session = Session(path, greet=False)
        session.sock.setblocking(False)
        session.try_send(random.choice(texts))
        session.sock.close()

    return {"did": in_threads(number, once)}


def is_open(sock):
    events = select.poll()
    events.register(sock, 0)
    return not events.poll(0)


def crowd(path, number, said):
    """So many sessions from several processes, that say hello and do not read its answer (said),
    or say nothing."""
    all_files()
    read, write = os.pipe()
    served = 0
    for _ in range(4):
        if os.fork() == 0:
            sessions = []
            for _ in range(number // 4):
                try:
                    session = Session(path, greet=False)
                    sessions.append(session)
                    if said:
                        session.send(hello())
                except OSError:
                    pass
            time.sleep(0.5)
            os.write(write, struct.pack("=i", sum(is_open(s.sock) for s in sessions)))
            until_told()
            os._exit(0)
    for _ in range(4):
        served += struct.unpack("=i", os.read(read, 4))[0]
    until_told()
    return {"sent": number, "served": served}


def dropped_rights(path, uid):
    """A session of root's, whose process gives up its rights and then floods."""
    session = Session(path)
    os.setresgid(uid, uid, uid)
    os.setresuid(uid, uid, uid)
    peers = []
    for i in range(400):
        sock, peer = connection(i)
        session.send(record(HAND_OVER, cookie(sock)), sock.fileno())
        sock.close()
        peers.append(peer)
    for i in range(20000):
        session.try_send(record(OPEN, 0x7000000000000000 + i))
    alive = session.is_alive()
    until_told()
    return {"alive": alive}


# --- descriptors ---

def other_namespace():
    """Both ends of a TCP connection in another network namespace, or None."""
    read, write = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
    if os.fork() == 0:
        try:
            if libc.unshare(CLONE_NEWUSER | CLONE_NEWNET) == 0:
                with socket.socket() as s:
                    request = struct.pack("16sh22x", b"lo", 1)  # IFF_UP
                    fcntl.ioctl(s, 0x8914, request)  # SIOCSIFFLAGS
                ends = connection()
                socket.send_fds(write, [b"x"], [end.fileno() for end in ends])
        finally:
            os._exit(0)
    write.close()
    fds = socket.recv_fds(read, 1, 2)[1]
    os.wait()
    return [socket.socket(fileno=fd) for fd in fds] or None


def cycle():
    """A socket that is queued in itself, and one that is queued in one that is queued in it."""
    a, b = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
    c, d = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
    for via, what in (a, b), (a, a), (c, b), (a, d):
        socket.send_fds(via, [b"x"], [what.fileno()])
    fds = [s.fileno() for s in (a, b, c, d)]
    return os.dup(fds[0]), os.dup(fds[3])


def every_kind(path, session):
    """A descriptor of each kind that is no connection of ours, and what keeps them alive."""
    keep = []

    def sock(*args):
        keep.append(socket.socket(*args))
        return keep[-1]

    listening, calling, unbound = sock(), sock(), sock()
    listening.bind(("127.0.0.1", 0))
    listening.listen(1)
    calling.setblocking(False)
    try:
        calling.connect(("10.77.0.9", 9))  # nobody answers: SYN_SENT
    except BlockingIOError:
        pass
    own = Session(path, greet=False)
    keep.append(own)
    epoll = select.epoll()
    epoll.register(session.sock, select.EPOLLIN)
    inner = select.epoll()
    inner.register(epoll, select.EPOLLIN)
    keep += [epoll, inner]
    pipe = os.pipe()
    pair = socket.socketpair()
    keep += pair
    fds = [listening.fileno(), unbound.fileno(), calling.fileno(),
           sock(socket.AF_INET, socket.SOCK_DGRAM).fileno(),
           sock(socket.AF_INET6, socket.SOCK_STREAM).fileno(),
           sock(socket.AF_UNIX, socket.SOCK_DGRAM).fileno(), pair[0].fileno(), own.sock.fileno(),
           session.sock.fileno(), *pipe, *cycle(), epoll.fileno(), inner.fileno(),
           os.eventfd(0), os.memfd_create("x"), os.pidfd_open(os.getpid()),
           os.open("/", os.O_RDONLY), os.open("/etc/passwd", os.O_RDONLY),
           os.open("/", os.O_PATH), os.open("/dev/null", os.O_RDWR),
           os.open("/dev/zero", os.O_RDONLY), os.open("/proc/self/maps", os.O_RDONLY),
           os.open("/proc/self/fd", os.O_RDONLY)]
    try:
        fds.append(sock(socket.AF_NETLINK, socket.SOCK_RAW, 4).fileno())
    except OSError:
        pass
    return fds, keep


def kinds(path, rounds):
    """Every kind with every record that takes one, and its right cookie where it has one."""
    session = Session(path)
    fds, keep = every_kind(path, session)
    away = other_namespace()
    if away:
        fds += [end.fileno() for end in away]
        keep += away
    sent = 0
    for _ in range(rounds):
        for fd in fds:
            try:
                known = cookie(keep[fds.index(fd)]) if fd in fds[:5] else 1
            except (OSError, IndexError, AttributeError):
                known = 1
            for kind in HAND_OVER, DEFER, AT_EXIT:
                session.try_send(record(kind, known, grace_ms=100), fd)
                sent += 1
    if away:
        for end in away:
            session.try_send(record(HAND_OVER, cookie(end), grace_ms=100), end.fileno())
    alive = session.is_alive()
    until_told()
    return {"alive": alive, "sent": sent, "kinds": len(fds), "away": bool(away)}


def stuffed(path, number):
    """Sessions that each send so many descriptors in each message, and come again."""
    all_files()
    fds = [os.open("/dev/null", os.O_RDONLY) for _ in range(number)]

    def once():
        session = Session(path, greet=False)
        session.sock.setblocking(False)
        session.try_send(hello())
        for _ in range(30):
            session.send(record(HAND_OVER, 1), *fds)
            sent[0] += 1

    sent = [0]
    in_threads(4, once)
    return {"did": sent[0]}


# --- records ---

def cookies_around(path, _):
    """Claims connections before they are there, and closes them: cookies are easily guessed."""
    session = Session(path)
    count = [0]

    def once():
        sock, peer = connection()
        first = cookie(peer)
        for at in range(first, first + 200):
            for kind in OPEN, CLOSE, OPEN, LET_GO, OPEN:
                session.send(record(kind, at, fd=0))
                count[0] += 1
        sock.close()
        peer.close()

    in_threads(1, once)
    return {"did": count[0], "alive": session.is_alive()}


def opens(path, number):
    """So many OPENs of made-up cookies, from four sessions."""
    count = [0, 0, 0, 0]

    def run(index):
        session = Session(path)
        made = record(OPEN, 0, fd=5, close_first=2)
        made.local.family = made.remote.family = 2
        for ep in made.local, made.remote:
            ep.addr[10] = ep.addr[11] = 255
        for i in range(number // 4):
            made.cookie = (index + 1) << 40 | i
            made.local.port, made.remote.port = i & 0xffff, i >> 16
            try:
                session.sock.send(bytes(made))
                count[index] += 1
            except OSError:
                break
        finished.append(session)

    finished = []
    threads = [threading.Thread(target=run, args=(i,), daemon=True) for i in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    until_told()
    return {"sent": sum(count), "alive": sum(session.is_alive() for session in finished)}


def retires(path, number):
    """CLOSEs whose TIME_WAIT is to be ended in an hour, of connections that never were."""
    session = Session(path)
    made = record(CLOSE, 0)
    made.action, made.side, made.time_wait_ms = 3, 1, 3600000  # CLOSE_RETIRE
    made.local.family = made.remote.family = 2
    for ep in made.local, made.remote:
        ep.addr[10] = ep.addr[11] = 255
    for i in range(number):
        made.cookie = 1 << 41 | i
        session.try_send(made)
    alive = session.is_alive()
    until_told()
    return {"alive": alive}


def noise(path, number):
    """Records whose every member is a random number, but for what would end the session; and tags."""
    rng = random.Random(1)
    sessions = []
    for i in range(100):
        sessions.append(Session(path, greet=False))
        sessions[-1].try_send(hello(options=b"tag=hostile%d" % i))
    sock, peer = connection()
    for i in range(number):
        made = Record.from_buffer_copy(rng.randbytes(ctypes.sizeof(Record)))
        made.magic, made.version, made.type = 0x434c5344, 1, rng.randrange(1, 7)
        made.role, made.state, made.action = rng.randrange(3), rng.randrange(13), rng.randrange(8)
        made.side, made.close_first, made.why = rng.randrange(5), rng.randrange(3), rng.randrange(8)
        made.control = rng.randrange(2)
        for ep in made.local, made.remote:
            ep.family = rng.choice((0, 10))
        if rng.random() < 0.5:
            made.cookie = cookie(rng.choice((sock, peer)))
        fds = [sock.fileno()] if made.type >= HAND_OVER else []
        try:
            sessions[i % 100].send(made, *fds)
        except OSError:
            sessions[i % 100] = Session(path)
    until_told()
    return {"sent": number, "alive": sum(session.is_alive() for session in sessions)}


def poison(path, policy, port):
    """Teaches that the peers of a policy and port never close first: with connections to that port,
    and from that port in a network namespace of its own."""
    session = Session(path)
    done = [0, 0]

    def hand(sock, role):
        session.send(record(HAND_OVER, cookie(sock), grace_ms=1, policy=policy, role=role,
                            grace_learn=1), sock.fileno())
        sock.close()

    def once():
        sock = socket.create_connection(("10.77.0.1", port))
        hand(sock, 2)
        done[0] += 1
        for end in away:
            hand(socket.socket(fileno=os.dup(end.fileno())), 1)
            done[1] += 1

    away = other_namespace() or []
    in_threads(1, once)
    return {"did": done, "alive": session.is_alive()}


# --- pages ---

def scribble(path, _):
    """The session page: written to, cut, grown, punched and sealed while the daemon uses it."""
    session = Session(path, greet=False)
    session.send(hello())
    _, fds, _, _ = socket.recv_fds(session.sock, 100, 4)
    page = fds[0]
    refused = []
    for name, attempt in [
            ("truncate", lambda: os.ftruncate(page, 0)),
            ("grow", lambda: os.ftruncate(page, 1 << 30)),
            ("seal", lambda: fcntl.fcntl(page, 1033, 8)),  # F_ADD_SEALS, F_SEAL_WRITE
            ("fallocate", lambda: os.posix_fallocate(page, 0, 1 << 30))]:
        try:
            attempt()
        except OSError:
            refused.append(name)
    memory = mmap.mmap(page, 0)
    for policy in ".policy", ".off", ".control":
        try:
            os.close(os.open(path + policy, os.O_RDWR))
        except OSError:
            refused.append(policy)
    try:
        os.rename(path, path + ".mine")
    except OSError:
        refused.append("rename")
    rng = random.Random(2)

    def once():
        memory[:16] = rng.randbytes(16)
        libc.fallocate(page, 3, ctypes.c_long(0), ctypes.c_long(4096))  # a hole
        sock, peer = connection()
        session.send(record(HAND_OVER, cookie(sock)), sock.fileno())
        sock.close()
        peer.close()

    return {"did": in_threads(1, once), "refused": refused, "alive": session.is_alive()}


# --- sockets handed over ---

def stuck_peer():
    """A connection whose peer does not read: its close() would linger."""
    sock, peer = connection()
    sock.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, 4096)
    sock.setblocking(False)
    try:
        while True:
            sock.send(b"x" * 65536)
    except BlockingIOError:
        pass
    sock.setblocking(True)
    return sock, peer


def linger(path, number):
    """SO_LINGER set again and again on duplicates of what is handed over, which are closed at the
    moment when the daemon closes its own. number threads."""
    peers, lock = [], threading.Lock()
    session = Session(path)

    def once():
        sock, peer = stuck_peer()
        with lock:
            peers.append(peer)
            if len(peers) > 100:
                peers.pop(0).close()
        session.send(record(HAND_OVER, cookie(sock), grace_ms=1), sock.fileno())
        end = time.monotonic() + random.uniform(0.0005, 0.004)
        while time.monotonic() < end:
            sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, SO_LINGER)
        threading.Thread(target=sock.close, daemon=True).start()

    return {"did": in_threads(number, once), "alive": session.is_alive()}


def in_queue(path, number):
    """Lingering sockets that the message alone holds, where none belongs: their last reference is
    the daemon's, or the kernel's queue."""
    def once():
        session = Session(path)
        for _ in range(8):
            sock, peer = stuck_peer()
            sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, SO_LINGER)
            session.try_send(record(OPEN, 1), sock.fileno())
            threading.Thread(target=sock.close, daemon=True).start()
            keep.append(peer)
        session.try_send(b"x" * 10, *([0] * 200))
        del keep[:-100]

    keep = []
    return {"did": in_threads(number, once)}


def meddle(path, _):
    """Goes on using what it has handed over, in every way."""
    session = Session(path)
    rng = random.Random(3)
    listener = socket.socket()
    listener.bind(("127.0.0.1", 0))
    listener.listen(100)
    ways = [
        lambda s: s.send(b"x" * 1000, socket.MSG_DONTWAIT),
        lambda s: s.recv(1000, socket.MSG_DONTWAIT),
        lambda s: s.shutdown(socket.SHUT_WR), lambda s: s.shutdown(socket.SHUT_RD),
        lambda s: s.setblocking(True),
        lambda s: s.setsockopt(socket.SOL_SOCKET, socket.SO_RCVLOWAT, 1 << 30),
        lambda s: s.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 1),
        lambda s: s.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, SO_LINGER),
        lambda s: s.setsockopt(socket.SOL_SOCKET, socket.SO_OOBINLINE, 1),
        lambda s: s.setsockopt(socket.IPPROTO_TCP, socket.TCP_CORK, 1),
        lambda s: s.setsockopt(socket.IPPROTO_TCP, 19, 1),  # TCP_REPAIR
        lambda s: s.setsockopt(socket.IPPROTO_TCP, 31, b"tls\0"),  # TCP_ULP
        lambda s: libc.connect(s.fileno(), bytes(16), 16),  # AF_UNSPEC
        lambda s: s.connect(listener.getsockname()),
        lambda s: s.listen(1),
    ]

    def once():
        sock, peer = connection()
        peer.setblocking(False)
        kind = rng.choice((HAND_OVER, DEFER, AT_EXIT))
        session.send(record(kind, cookie(sock), grace_ms=rng.choice((1, 50)),
                            peer_time_wait=rng.randrange(2), time_wait_ms=rng.choice((-1, 0, 5))),
                     sock.fileno())
        for _ in range(20):
            way = rng.choice(ways)
            for end in sock, peer:
                try:
                    if way is not ways[0] or end is peer:
                        way(end)
                except OSError:
                    pass
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 0, 0))
        sock.close()
        peer.close()

    return {"did": in_threads(4, once), "alive": session.is_alive()}


def locked(path, _):
    """A socket whose lock is kept: a thread sends from memory that does not come (userfaultfd; who
    may not have that takes a file of FUSE)."""
    libc.mmap.restype = ctypes.c_void_p
    libc.send.argtypes = [ctypes.c_int, ctypes.c_void_p, ctypes.c_size_t, ctypes.c_int]
    libc.ioctl.argtypes = [ctypes.c_int, ctypes.c_ulong, ctypes.c_void_p]
    number = {"x86_64": 323, "aarch64": 282}.get(os.uname().machine, -1)
    faults = libc.syscall(number, os.O_CLOEXEC)
    api = ctypes.create_string_buffer(struct.pack("QQQ", 0xaa, 0, 0), 24)
    if faults < 0 or libc.ioctl(faults, 0xc018aa3f, api):  # UFFDIO_API
        until_told()
        return {"locked": False}
    memory = libc.mmap(None, 4096, 3, 0x22, -1, 0)
    place = ctypes.create_string_buffer(struct.pack("QQQQ", memory, 4096, 1, 0), 32)
    libc.ioctl(faults, 0xc020aa00, place)  # UFFDIO_REGISTER
    session = Session(path)
    sock, _peer = connection()
    made = record(HAND_OVER, cookie(sock))
    threading.Thread(target=libc.send, args=(sock.fileno(), memory, 4096, 0), daemon=True).start()
    time.sleep(0.5)  # it is in there by now
    session.send(made, sock.fileno())
    until_told()
    os.close(faults)
    return {"locked": True}


# --- the control socket ---

def control(path, number):
    """So many clients that ask and ask, and never read; some in the middle of a line."""
    all_files()
    clients, sent = [], 0
    texts = [b'{"v":1,"cmd":"status"}\n' * 2000, b'{"v":1,"cmd":"conns"}\n' * 2000,
             b'{"v":1,"cmd":"policies"}\n' * 2000, b"[" * 60000, b'{"v":1,']
    for i in range(number):
        s = socket.socket(socket.AF_UNIX)
        try:
            s.connect(path)
            s.setblocking(False)
            clients.append((s, texts[i % len(texts)]))
        except OSError:
            pass

    def once():
        nonlocal sent
        for client, text in clients:
            try:
                sent += client.send(text)
            except OSError:
                pass
        time.sleep(0.01)

    once()
    in_threads(1, once)
    return {"clients": len(clients), "sent": sent}


def main():
    path, what, *numbers = sys.argv[1:]
    result = globals()[what](path, *([int(n) for n in numbers] or [0]))
    print(json.dumps(result), flush=True)
    os._exit(0)  # whatever still waits


main()
