#!/usr/bin/python3
# SPDX-License-Identifier: BSD-2-Clause
"""fragments.py CLIENT VIP PORT ORDER: one UDP question in three fragments, sent in this order.

ORDER: "0,2,1" sends the first, the last, the middle one. Prints who answered. Exit status 1: no
answer within a second.
"""
import socket
import sys

from scapy.layers.inet import IP, UDP, fragment
from scapy.layers.inet6 import IPv6, IPv6ExtHdrFragment, fragment6
from scapy.packet import Raw


def main():
    client, vip, port = sys.argv[1:4]
    order = [int(n) for n in sys.argv[4].split(",")]
    family = socket.AF_INET6 if ":" in vip else socket.AF_INET
    with socket.socket(family, socket.SOCK_DGRAM) as answers:
        answers.bind((client, 0))
        answers.settimeout(1)
        udp = UDP(sport=answers.getsockname()[1], dport=int(port)) / Raw(b"q" * 1300)
        if family == socket.AF_INET6:
            whole = IPv6(src=client, dst=vip) / IPv6ExtHdrFragment(id=0x51a7e) / udp
            parts = fragment6(whole, 600)
        else:
            parts = fragment(IP(src=client, dst=vip, id=0x51a7) / udp, 480)
        assert len(parts) == 3, len(parts)
        with socket.socket(family, socket.SOCK_RAW, socket.IPPROTO_RAW) as raw:
            for n in order:
                raw.sendto(bytes(parts[n]), (vip, 0))
        try:
            data, source = answers.recvfrom(65536)
        except socket.timeout:
            return 1
        assert source[0] == vip, source
        print(data.split(b" ")[0].decode())
    return 0


if __name__ == "__main__":
    sys.exit(main())
