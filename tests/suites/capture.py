# SPDX-License-Identifier: MIT
"""Does a capture show what time-wait = none is? capture.py FILE (text of tcpdump -tt -S)

Looks for connections of which one end sent FIN, and then, once it was acknowledged, RST before the
other end sent anything: a write of the other end then fails at once (EPIPE, ECONNRESET). An
ordinary close waits for such data, and sends RST only in answer to it. Prints these connections;
exit status 1 if there is none."""
import re
import sys

PACKET = re.compile(
    r"^([\d.]+) IP6? (\S+) > (\S+): Flags \[([^\]]*)\](?:, seq (\d+)(?::(\d+))?)?"
    r"(?:, ack (\d+))?.*?(?:length (\d+))?$"
)


class Connection:
    def __init__(self):
        self.lines = []
        self.fin = None  # (who, its number)
        self.acked = self.spoke = self.shown = False

    def packet(self, line, who, flags, seq, end, ack, length):
        self.lines.append(line)
        if self.fin is None:
            if "F" in flags:
                self.fin = (who, (end or seq or 0) + 1)
            return
        if who != self.fin[0]:
            self.acked |= ack is not None and ack >= self.fin[1]
            self.spoke |= length > 0 or "F" in flags or "R" in flags
        elif "R" in flags and self.acked and not self.spoke:
            self.shown = True


def main():
    connections = {}
    with open(sys.argv[1], encoding="ascii", errors="replace") as file:
        for line in file:
            match = PACKET.match(line.strip())
            if not match:
                continue
            _, source, to, flags, seq, end, ack, length = match.groups()
            key = tuple(sorted((source, to)))
            if "S" in flags and "." not in flags:
                connections.setdefault(key, []).append(Connection())
            if key in connections:
                numbers = [int(n) if n else None for n in (seq, end, ack)]
                connections[key][-1].packet(line, source, flags, *numbers, int(length or 0))
    shown = [c for group in connections.values() for c in group if c.shown]
    for connection in shown:
        print("".join(connection.lines))
    print(f"{len(shown)} of {sum(map(len, connections.values()))} connections ended by FIN, "
          "acknowledged, and RST of the same end")
    sys.exit(not shown)


main()
