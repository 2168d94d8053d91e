# SPDX-License-Identifier: MIT
"""A server or a client whose every step is told.

    actor.py serve|fork PORT [OPTIONS] STEP...
    actor.py connect HOST PORT N [OPTIONS] STEP...
    actor.py hash N

`serve` has a thread for each connection; `fork` a process, and the parent closes its copy;
`connect` makes N connections, one after the other (all at once with --together). A line of JSON
for each connection goes to stdout once its steps are done, with what the steps learned.

OPTIONS: --bind ADDRESS (0.0.0.0; with `connect` the source), --dual (:: and IPv4 by mapped
addresses), --no-reuse (without SO_REUSEADDR), --backlog N, --keepalive (on the listener),
--getsockname (between bind and connect; it must stay true), --together,
--opts (of the listener).

STEPS, in order, for each connection:
    text:WORD     send WORD and a newline          send:N       send N bytes of a known pattern
    more:N        send N bytes with MSG_MORE       cork         TCP_CORK on
    nagle         TCP_NODELAY off                  trickle:MS   send a little every 20 ms
    line          receive up to a newline          recv:N       receive N bytes
    eof           receive until EOF                slow:MS      eof, but a pause every 256 kB, of MS in all
    shut_rd, shut_wr, shut_rdwr, close             reset        SO_LINGER {1,0} and close
    small         a small SO_RCVBUF                big           a big SO_SNDBUF
    sleep:MS      linger:S (SO_LINGER {1,S})       opts         note socket options and addresses
    hold          keep it open until SIGTERM       fate:FILE    wait until FILE exists
    until:FILE    receive until FILE exists, or EOF
    exit          end the process (orderly)        exit0        end it with _exit()
"""
import errno
import hashlib
import json
import os
import signal
import socket
import struct
import sys
import threading
import time

BLOCK = 65536
LINGER2 = 8
LOCAL_PORT_RANGE = 51
BIND_NO_PORT = 24


def pattern(start, count):
    """Bytes that depend on their place, so that a hash of them shows loss and repetition."""
    first = start // 8
    words = range(first, (start + count) // 8 + 1)
    return struct.pack(f">{len(words)}Q", *words)[start % 8:start % 8 + count]


def pattern_hash(count):
    digest = hashlib.sha256()
    for start in range(0, count, BLOCK):
        digest.update(pattern(start, min(BLOCK, count - start)))
    return digest.hexdigest()


class Conn:
    def __init__(self, sock):
        self.sock = sock
        self.digest = hashlib.sha256()
        self.note = {"got": 0, "sent": 0, "eof": False, "error": None, "step": None, "ms": {}}

    def receive(self, most=BLOCK):
        part = self.sock.recv(most)
        self.note["got"] += len(part)
        self.digest.update(part)
        if not part:
            self.note["eof"] = True
        return part

    def send(self, data, flags=0):
        self.sock.sendall(data, flags)
        self.note["sent"] += len(data)

    def do_text(self, word):
        self.send(word.encode() + b"\n")

    def do_send(self, count):
        for start in range(0, int(count), BLOCK):
            self.send(pattern(start, min(BLOCK, int(count) - start)))

    def do_more(self, count):
        self.send(pattern(0, int(count)), socket.MSG_MORE)

    def do_trickle(self, ms):
        end = time.monotonic() + int(ms) / 1000
        while time.monotonic() < end:
            self.send(b"." * 500)
            time.sleep(0.02)

    def do_cork(self, _):
        self.sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_CORK, 1)

    def do_small(self, _):
        self.sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)

    def do_big(self, _):
        self.sock.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, 1 << 20)

    def do_nagle(self, _):
        self.sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 0)

    def do_line(self, _):
        part = b"."
        while part and b"\n" not in part:
            part = self.receive()

    def do_recv(self, count):
        left = int(count)
        while left > 0:
            part = self.receive(left)
            if not part:
                break
            left -= len(part)

    def do_eof(self, _):
        while self.receive():
            pass

    def do_slow(self, ms):
        rest = 8e6 / 262144
        part = b"."
        while part:
            before = self.note["got"]
            while part and self.note["got"] - before < 262144:
                part = self.receive()
            time.sleep(int(ms) / rest / 1000)

    def do_shut_rd(self, _):
        self.sock.shutdown(socket.SHUT_RD)

    def do_shut_wr(self, _):
        self.sock.shutdown(socket.SHUT_WR)

    def do_shut_rdwr(self, _):
        self.sock.shutdown(socket.SHUT_RDWR)

    def do_close(self, _):
        self.sock.close()

    def do_linger(self, seconds):
        self.sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, int(seconds)))

    def do_reset(self, _):
        self.do_linger(0)
        self.sock.close()

    def do_sleep(self, ms):
        time.sleep(int(ms) / 1000)

    def do_hold(self, _):
        while True:
            time.sleep(60)

    def do_fate(self, path):
        while not os.path.exists(path):
            time.sleep(0.03)

    def do_until(self, path):
        self.sock.settimeout(0.02)
        while not os.path.exists(path) and not self.note["eof"]:
            try:
                self.receive()
            except TimeoutError:
                pass

    def do_exit(self, _):
        report(self.note)
        # from a thread, sys.exit() would end that alone
        os.kill(os.getpid(), signal.SIGTERM)
        self.do_hold(None)

    def do_exit0(self, _):
        report(self.note)
        os._exit(0)

    def do_opts(self, _):
        def get(level, option, size=4):
            try:
                value = self.sock.getsockopt(level, option, size)
            except OSError as error:
                return errno.errorcode[error.errno]
            return struct.unpack("i" * (size // 4), value)

        tcp = socket.IPPROTO_TCP
        self.note["opts"] = {
            "keepalive": get(socket.SOL_SOCKET, socket.SO_KEEPALIVE)[0],
            "idle": get(tcp, socket.TCP_KEEPIDLE)[0],
            "interval": get(tcp, socket.TCP_KEEPINTVL)[0],
            "probes": get(tcp, socket.TCP_KEEPCNT)[0],
            "user_timeout": get(tcp, socket.TCP_USER_TIMEOUT)[0],
            "linger": get(socket.SOL_SOCKET, socket.SO_LINGER, 8),
            "linger2": get(tcp, LINGER2)[0],
            "reuse_address": get(socket.SOL_SOCKET, socket.SO_REUSEADDR)[0],
            "reuse_port": get(socket.SOL_SOCKET, socket.SO_REUSEPORT)[0],
            "bind_no_port": get(socket.SOL_IP, BIND_NO_PORT)[0],
            "local_ports": get(socket.SOL_IP, LOCAL_PORT_RANGE),
            "local": self.sock.getsockname()[:2],
        }

    def run(self, steps):
        for step in steps:
            name, _, argument = step.partition(":")
            self.note["step"] = step
            begin = time.monotonic()
            try:
                getattr(self, "do_" + name)(argument)
            except OSError as error:
                self.note["error"] = errno.errorcode.get(error.errno, str(error))
                break
            finally:
                self.note["ms"][name] = round((time.monotonic() - begin) * 1000, 2)
        self.note["sha"] = self.digest.hexdigest()
        self.note["pid"] = os.getpid()
        return self.note


report_lock = threading.Lock()


def report(note):
    with report_lock:
        print(json.dumps(note), flush=True)


def listener(port, options):
    family = socket.AF_INET6 if options.get("dual") else socket.AF_INET
    s = socket.socket(family, socket.SOCK_STREAM)
    if options.get("dual"):
        s.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 0)
    if not options.get("no-reuse"):
        s.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    if options.get("keepalive"):
        s.setsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1)
    s.bind((options.get("bind", "::" if options.get("dual") else "0.0.0.0"), port))
    s.listen(int(options.get("backlog", 4096)))
    if options.get("opts"):
        report(Conn(s).run(["opts"]))
    return s


def serve(port, options, steps, fork):
    if fork:
        signal.signal(signal.SIGCHLD, signal.SIG_IGN)
    s = listener(port, options)

    def one(sock):
        report(Conn(sock).run(steps))

    while True:
        sock, _ = s.accept()
        if not fork:
            threading.Thread(target=one, args=(sock,), daemon=True).start()
            continue
        if os.fork() == 0:
            s.close()
            one(sock)
            os._exit(0)
        sock.close()


def connect(host, port, count, options, steps):
    failed = 0

    def one():
        nonlocal failed
        begin = time.monotonic()
        family = socket.AF_INET6 if ":" in host else socket.AF_INET
        sock = socket.socket(family, socket.SOCK_STREAM)
        try:
            if "bind" in options:
                sock.bind((options["bind"], 0))
            if "getsockname" in options:
                asked = sock.getsockname()
            sock.connect((host, port))
        except OSError as error:
            failed += 1
            report({"error": errno.errorcode.get(error.errno, str(error)), "step": "connect",
                    "ms": {}, "got": 0})
            return
        if "getsockname" in options and "bind" in options and sock.getsockname() != asked:
            failed += 1
            report({"error": "another name", "step": "connect", "ms": {}, "got": 0})
            return
        took = (time.monotonic() - begin) * 1000
        note = Conn(sock).run(steps)
        note["ms"]["connect"] = round(took, 2)
        failed += note["error"] is not None
        report(note)

    if options.get("together"):
        threads = [threading.Thread(target=one) for _ in range(count)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
    else:
        for _ in range(count):
            one()
    sys.exit(failed != 0)


def main():
    words = sys.argv[1:]
    kind = words.pop(0)
    if kind == "hash":
        print(pattern_hash(int(words[0])))
        return
    fixed = [words.pop(0) for _ in range(3 if kind == "connect" else 1)]
    options = {}
    while words and words[0].startswith("--"):
        name = words.pop(0)[2:]
        options[name] = words.pop(0) if name in ("bind", "backlog") else True
    # an orderly end: interpreter and libc run their exits
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(0))
    threading.stack_size(256 * 1024)
    if kind == "connect":
        connect(fixed[0], int(fixed[1]), int(fixed[2]), options, words)
    else:
        serve(int(fixed[0]), options, words, fork=kind == "fork")


main()
