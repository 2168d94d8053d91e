# SPDX-License-Identifier: MIT
"""speak.py: servers of Python's library that close first, and clients that know the answer's length.

The server's kinds: threads, forks, asyncio, TLS, http.server, a process pool. Each section prints how
many answers were whole."""
import asyncio
import hashlib
import http.client
import http.server
import multiprocessing
import os
import socket
import socketserver
import ssl
import subprocess
import sys
import threading
import time

COUNT = 40
CERTIFICATE = sys.argv[1]


def payload(n):
    return hashlib.sha256(str(n).encode()).digest() * (1 + n * 37 % 900)


def answer(line):
    body = payload(int(line))
    return b"%d\n%s" % (len(body), body)


def ask(port, n, context=None):
    with socket.create_connection(("127.0.0.1", port), timeout=20) as sock:
        if context:
            sock = context.wrap_socket(sock)
        sock.sendall(b"%d\n" % n)
        with sock.makefile("rb") as stream:
            body = stream.read(int(stream.readline()))
        time.sleep(0.01)  # in no hurry: the server closes first
        if context:
            sock.close()
    return body == payload(n)


def ask_all(port, context=None):
    good = []

    def some(first):
        for n in range(first, COUNT, 4):
            good.append(ask(port, n, context))

    threads = [threading.Thread(target=some, args=(i,)) for i in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    return sum(good)


class Handler(socketserver.StreamRequestHandler):
    def handle(self):
        self.wfile.write(answer(self.rfile.readline()))


def free_port():
    """One of 8000-8999 that can be bound."""
    for port in range(8000, 9000):
        with socket.socket() as sock:
            sock.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            try:
                sock.bind(("127.0.0.1", port))
                return port
            except OSError:
                pass
    raise SystemExit("no port")


def socketserver_of(base, context=None):
    base.allow_reuse_address = True
    base.request_queue_size = 50
    server = base(("127.0.0.1", free_port()), Handler)
    threading.Thread(target=server.serve_forever, args=(0.05,), daemon=True).start()
    good = ask_all(server.server_address[1], context)
    server.shutdown()
    server.server_close()
    return good


def of_asyncio():
    async def serve(reader, writer):
        writer.write(answer(await reader.readline()))
        await writer.drain()
        writer.close()

    async def run():
        server = await asyncio.start_server(serve, "127.0.0.1", free_port())
        port = server.sockets[0].getsockname()[1]
        async with server:
            return await asyncio.get_running_loop().run_in_executor(None, ask_all, port)

    return asyncio.run(run())


def of_tls():
    server_side = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    server_side.load_cert_chain(CERTIFICATE)
    client_side = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    client_side.check_hostname = False
    client_side.verify_mode = ssl.CERT_NONE

    class Server(socketserver.ThreadingTCPServer):
        def get_request(self):
            sock, address = self.socket.accept()
            return server_side.wrap_socket(sock, server_side=True), address

    return socketserver_of(Server, client_side)


class Web(http.server.BaseHTTPRequestHandler):
    def do_GET(self):
        body = payload(int(self.path[1:]))
        self.send_response(200)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_):
        pass


def of_http():
    server = http.server.ThreadingHTTPServer(("127.0.0.1", free_port()), Web)
    threading.Thread(target=server.serve_forever, args=(0.05,), daemon=True).start()
    good = 0
    for n in range(COUNT):
        with socket.create_connection(server.server_address, timeout=20) as sock:
            sock.sendall(b"GET /%d HTTP/1.0\r\n\r\n" % n)
            response = http.client.HTTPResponse(sock)
            response.begin()
            good += response.read() == payload(n)
            time.sleep(0.01)
    server.shutdown()
    server.server_close()
    return good


def worker(listener):
    for _ in range(COUNT // 4):
        sock, _ = listener.accept()
        with sock, sock.makefile("rb") as stream:
            sock.sendall(answer(stream.readline()))


def of_processes():
    listener = socket.create_server(("127.0.0.1", free_port()), backlog=50)
    workers = [multiprocessing.Process(target=worker, args=(listener,)) for _ in range(4)]
    for process in workers:
        process.start()
    good = ask_all(listener.getsockname()[1])
    for process in workers:
        process.join()
    return good


SECTIONS = {
    "threads": lambda: socketserver_of(socketserver.ThreadingTCPServer),
    "subprocess": lambda: subprocess.run(["echo", "hello"], stdout=subprocess.PIPE, check=True).stdout,
    "forks": lambda: socketserver_of(socketserver.ForkingTCPServer),
    "popen": lambda: os.popen("echo hello").read().strip(),
    "asyncio": of_asyncio,
    "tls": of_tls,
    "http": of_http,
    "processes": of_processes,
}

if __name__ == "__main__":
    for section in sys.argv[2:] or SECTIONS:
        print(section, SECTIONS[section]())
