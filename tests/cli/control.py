# SPDX-License-Identifier: MIT
"""A control server without a daemon: control.py SOCKET FOLDER

To a request {"cmd":"X"} it answers the lines of FOLDER/X.jsonl, as they are, and an end; of a request
with "filter":["pid","N"] only the rows of that process. If there is no such file it does not know the
command. To "watch" it answers what is in the file and what is appended to it later, without end; a
line that is not JSON, "close", closes the connection. What was asked is in FOLDER/requests. While
there is a file FOLDER/mute it takes requests and says nothing."""
import json
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


def send_process(connection, path, pid):
    with open(path, "rb") as lines:
        for line in lines:
            if str(json.loads(line).get("pid")) == pid:
                connection.sendall(line)


def answer(connection, folder):
    for line in connection.makefile("rb"):
        with open(os.path.join(folder, "requests"), "ab") as requests:
            requests.write(line)
        request = json.loads(line)
        words = request.get("filter") or []
        name = request["cmd"]
        path = os.path.join(folder, name + ".jsonl")
        while os.path.exists(os.path.join(folder, "mute")):
            time.sleep(0.02)
        if not os.path.exists(path):
            connection.sendall(b'{"type":"end","ok":false,"error":"unknown command"}\n')
            continue
        if words[:1] == ["pid"]:
            send_process(connection, path, words[1])
        elif send_file(connection, path, name == "watch"):
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
