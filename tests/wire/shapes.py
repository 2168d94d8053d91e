# SPDX-License-Identifier: MIT
"""What connections look like on the wire, apart from their times: reads the lines of
`tcpdump -nn -tt -S` and, if given, the rows of `closeside watch -f jsonl`. Prints a line for each
different shape of each arm: how many connections, arm, shape.

    shapes.py CAPTURE PORT [WATCH]

arm    steered, control, as the rows say; none: no row tells of it; all: no rows were given
shape  c: the client, s: the server (which has PORT): S, F, R, or bytes in one go. Acknowledgements and
       what was sent again are left out: they hang on moments."""

import json
import re
import sys

LINE = re.compile(r"^[\d.]+ IP6? (\S+)\.(\d+) > (\S+)\.(\d+): Flags \[([^\]]*)\](?:, seq (\d+)(?::(\d+))?)?"
                  r".*?length (\d+)")


class Conn:
    def __init__(self):
        self.seen = set()
        self.words = []

    def take(self, side, flags, seq, length):
        for flag in "SFR":
            if flag in flags and (side, flag) not in self.seen:
                self.seen.add((side, flag))
                if flag == "F" and length:
                    self.data(side, seq, length)
                self.words.append((side, flag))
        if length and not set("SFR") & set(flags):
            self.data(side, seq, length)

    def data(self, side, seq, length):
        if (side, seq) in self.seen:
            return
        self.seen.add((side, seq))
        if self.words and self.words[-1][0] == side and isinstance(self.words[-1][1], int):
            length += self.words.pop()[1]
        self.words.append((side, length))

    def shape(self):
        return " ".join(f"{side}:{what}" for side, what in self.words)


def read_capture(path, port):
    conns = {}
    done = []
    with open(path, encoding="ascii", errors="replace") as lines:
        for line in lines:
            match = LINE.match(line)
            if not match:
                continue
            source, sport, target, dport, flags, seq, _, length = match.groups()
            if port not in (sport, dport):
                continue
            side, key = ("s", f"{target}:{dport}") if sport == port else ("c", f"{source}:{sport}")
            if side == "c" and flags == "S" and key in conns and len(conns[key].words) > 2:
                done.append((key, conns.pop(key)))
            conns.setdefault(key, Conn()).take(side, flags, seq, int(length))
    return done + list(conns.items())


def read_arms(path):
    """By the client's end: the arms of the connections that had it, one after the other."""
    arms = {}
    cookies = {}
    with open(path, encoding="utf-8") as rows:
        for line in rows:
            row = json.loads(line)
            if row.get("type") != "transition" or not row.get("policy"):
                continue
            if row["cookie"] not in cookies:
                cookies[row["cookie"]] = True
                arms.setdefault(row["remote"], []).append("control" if row["control"] else "steered")
    return arms


def main():
    arms = read_arms(sys.argv[3]) if len(sys.argv) > 3 else None
    counts = {}
    for key, conn in read_capture(sys.argv[1], sys.argv[2]):
        arm = "all" if arms is None else arms[key].pop(0) if arms.get(key) else "none"
        counts[arm, conn.shape()] = counts.get((arm, conn.shape()), 0) + 1
    for (arm, shape), count in sorted(counts.items(), key=lambda item: -item[1]):
        print(count, arm, shape)


main()
