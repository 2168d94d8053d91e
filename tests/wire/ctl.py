# SPDX-License-Identifier: MIT
"""Asks a daemon by its control socket: ctl.py SOCKET COMMAND [PATH] [KEY=VALUE...]

Without a path prints the rows of the reply, one JSON object a line; with one, as custody.peer,
that value of each row. Exit 1: the daemon said no; 3: there is none."""
import json
import socket
import sys


def ask(path, request):
    with socket.socket(socket.AF_UNIX) as s:
        s.settimeout(5)
        s.connect(path)
        s.sendall(json.dumps(request).encode() + b"\n")
        for line in s.makefile("rb"):
            row = json.loads(line)
            if row.get("type") == "end":
                if not row.get("ok"):
                    print(row.get("error"), file=sys.stderr)
                    sys.exit(1)
                return
            yield row
    sys.exit("the reply has no end")


def main():
    socket_path, command, *rest = sys.argv[1:]
    request = {"v": 1, "cmd": command}
    value_path = None
    for word in rest:
        if "=" in word:
            key, value = word.split("=", 1)
            request[key] = value
        else:
            value_path = word
    try:
        for row in ask(socket_path, request):
            if value_path is None:
                print(json.dumps(row))
                continue
            for part in value_path.split("."):
                row = row.get(part) if isinstance(row, dict) else None
            print(json.dumps(row) if isinstance(row, (dict, list, bool)) else row)
    except OSError as error:
        print(f"{socket_path}: {error}", file=sys.stderr)
        sys.exit(3)


main()
