# SPDX-License-Identifier: MIT
"""Stands in for a daemon's control socket: fake_control.py SOCKET ANSWERS

ANSWERS is a file of JSON, read again for every request: {"ps": [row, ...], "conns": [...], ...}.
A command that is not in it is answered as a daemon answers one it does not know; "ps": "text" is
an error of that text. Each request is written to ANSWERS.asked, one a line. A file ANSWERS.mute
makes it take requests and say nothing while it is there."""
import json
import os
import socket
import sys
import threading
import time


def end(error=None):
    row = {"type": "end", "ok": error is None}
    if error is not None:
        row["error"] = error
    return row


def rows_for(answers, request):
    with open(answers) as file:
        rows = json.load(file).get(request.get("cmd"), "unknown command")
    if isinstance(rows, str):
        return [end(rows)]
    words = request.get("filter") or []
    if words[:1] == ["pid"]:
        rows = [row for row in rows if str(row.get("pid")) == words[1]]
    return rows + [end()]


def serve(client, answers):
    with client, client.makefile("rb") as lines:
        for line in lines:
            with open(answers + ".asked", "ab") as asked:
                asked.write(line)
            while os.path.exists(answers + ".mute"):
                time.sleep(0.02)
            reply = "".join(json.dumps(row) + "\n" for row in rows_for(answers, json.loads(line)))
            try:
                client.sendall(reply.encode())
            except OSError:
                return


def main():
    path, answers = sys.argv[1:]
    with socket.socket(socket.AF_UNIX) as listener:
        listener.bind(path)
        listener.listen(16)
        while True:
            client, _ = listener.accept()
            threading.Thread(target=serve, args=(client, answers), daemon=True).start()


main()
