# SPDX-License-Identifier: MIT
"""A control server without a daemon: control.py SOCKET FOLDER

To a request {"cmd":"X"} it answers the lines of FOLDER/X.jsonl, as they are, and an end. If there is
no such file it does not know the command. To "watch" it answers what is in the file and what is
appended to it later, without end; a line that is not JSON, "close", closes the connection. What was
asked is in FOLDER/requests."""
import os
import socket
import sys
import threading
import time


def send_file(connection, path, follow):
    """True: the connection is to be closed."""
    with open(path, "rb") as lines:
        rest = b""
        while True:
            rest += lines.read()
            complete, newline, rest = rest.rpartition(b"\n")
            for line in (complete + newline).splitlines():
                if line == b"close":
                    return True
                connection.sendall(line + b"\n")
            if not follow:
                return False
            time.sleep(0.02)


def answer(connection, folder):
    for line in connection.makefile("rb"):
        with open(os.path.join(folder, "requests"), "ab") as requests:
            requests.write(line)
        name = line.split(b'"cmd":"')[1].split(b'"')[0].decode()
        path = os.path.join(folder, name + ".jsonl")
        if not os.path.exists(path):
            connection.sendall(b'{"type":"end","ok":false,"error":"unknown command"}\n')
            continue
        if send_file(connection, path, name == "watch"):
            return
        connection.sendall(b'{"type":"end","ok":true}\n')


def serve(connection, folder):
    try:
        with connection:
            answer(connection, folder)
            connection.shutdown(socket.SHUT_RDWR)
    except OSError:
        pass  # it has gone


def main():
    path, folder = sys.argv[1:]
    with socket.socket(socket.AF_UNIX) as listener:
        listener.bind(path + ".new")
        listener.listen()
        os.rename(path + ".new", path)
        while True:
            connection, _ = listener.accept()
            threading.Thread(target=serve, args=(connection, folder), daemon=True).start()


main()
