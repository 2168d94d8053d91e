# SPDX-License-Identifier: MIT
"""verdicts.py CAPTURE VERDICTS: tcpdump's file (Ethernet) against what `run --verdicts` wrote.

Reads the capture anew, by itself, and says for each connection of VERDICTS who closed first. Prints
"N same, M other, K missing", and the first that are other."""
import collections
import ipaddress
import json
import struct
import sys

FIN, SYN, RST, ACK = 1, 2, 4, 16
Segment = collections.namedtuple("Segment", "time source target seq ack length flags")


def packets(path):
    with open(path, "rb") as file:
        magic, _, _, _, _, _, link = struct.unpack("<IHHiIII", file.read(24))
        assert magic in (0xa1b2c3d4, 0xa1b23c4d) and link == 1, (hex(magic), link)
        scale = 1 if magic == 0xa1b23c4d else 1000
        while True:
            header = file.read(16)
            if len(header) < 16:
                return
            seconds, part, here, _ = struct.unpack("<IIII", header)
            yield seconds * 10**9 + part * scale, file.read(here)


def parse(time, frame):
    kind, packet = struct.unpack("!H", frame[12:14])[0], frame[14:]
    if kind == 0x0800 and packet[9] == 6:
        begin, size = (packet[0] & 15) * 4, struct.unpack("!H", packet[2:4])[0]
        source, target = packet[12:16], packet[16:20]
    elif kind == 0x86dd and packet[6] == 6:
        begin, size = 40, 40 + struct.unpack("!H", packet[4:6])[0]
        source, target = packet[8:24], packet[24:40]
    else:
        return None
    sport, dport, seq, ack, offset, flags = struct.unpack("!HHIIBB", packet[begin:begin + 14])
    length = size - begin - (offset >> 4) * 4
    return Segment(time, (ipaddress.ip_address(source), sport),
                   (ipaddress.ip_address(target), dport), seq, ack, length, flags)


def endpoint(text):
    address, port = text.rsplit(":", 1)
    address = ipaddress.ip_address(address.strip("[]"))
    return getattr(address, "ipv4_mapped", None) or address, int(port)


def acknowledges(segment, fin):
    return ((segment.ack - (fin.seq + fin.length + 1)) & 0xffffffff) < 1 << 31


def first_closer(segments, us):
    """The same words as closeside's."""
    answered = any(s.flags & SYN and s.flags & ACK for s in segments)
    if not answered:
        return "never"
    ends = [s for s in segments if s.flags & (FIN | RST)]
    if not ends:
        return "open"
    if ends[0].flags & RST:
        return "reset"
    ours = next((s for s in ends if s.flags & FIN and s.source == us), None)
    theirs = next((s for s in ends if s.flags & FIN and s.source != us), None)
    if not ours or not theirs:
        return "us" if ours else "peer"
    if acknowledges(ours, theirs):
        return "peer"
    return "us" if acknowledges(theirs, ours) else "both"


def main():
    connections = collections.defaultdict(list)  # lists of segments, by their ends
    for time, frame in packets(sys.argv[1]):
        segment = parse(time, frame)
        if not segment:
            continue
        of_pair = connections[frozenset((segment.source, segment.target))]
        if segment.flags & SYN and not segment.flags & ACK and not (
                of_pair and of_pair[-1][0].seq == segment.seq):
            of_pair.append([])
        if not of_pair:
            of_pair.append([])
        of_pair[-1].append(segment)
    counts, others = collections.Counter(), []
    for line in open(sys.argv[2], encoding="utf-8"):
        row = json.loads(line)
        us, them = endpoint(row["local"]), endpoint(row["remote"])
        # both stamp in the kernel, but not in the same moment
        near = [c for c in connections[frozenset((us, them))]
                if abs(c[0].time - row["begun_ns"]) < 50 * 10**6]
        if not near:
            counts["missing"] += 1
            others.append(("missing", row))
            continue
        verdict = first_closer(near[0], us)
        counts["same" if verdict == row["wire"] else "other"] += 1
        if verdict != row["wire"]:
            others.append((verdict, row))
    print(f"{counts['same']} same, {counts['other']} other, {counts['missing']} missing")
    for other in others[:5]:
        print(*other)


main()
