#!/usr/bin/python3
# SPDX-License-Identifier: BSD-2-Clause
"""tunnel.py BACKEND CLIENT VIP PORT: one UDP question in a tunnel, as a balancer would send it.

Sends a datagram CLIENT -> VIP:PORT inside an outer packet to BACKEND (each of either family; the
kernel makes the outer header) and prints the answer, which comes straight from VIP. Exit status 1:
no answer within two seconds.
"""
import socket
import sys

from scapy.layers.inet import IP, UDP
from scapy.layers.inet6 import IPv6
from scapy.packet import Raw


def family(addr):
    return socket.AF_INET6 if ":" in addr else socket.AF_INET


def main():
    backend, client, vip, port = sys.argv[1:5]
    with socket.socket(family(client), socket.SOCK_DGRAM) as answers:
        answers.bind((client, 0))
        answers.settimeout(2)
        ip = IPv6 if ":" in vip else IP
        question = ip(src=client, dst=vip) / UDP(sport=answers.getsockname()[1], dport=int(port))
        question = bytes(question / Raw(b"hello"))
        proto = 41 if ":" in vip else 4
        with socket.socket(family(backend), socket.SOCK_RAW, proto) as tunnel:
            tunnel.sendto(question, (backend, 0))
        try:
            data, source = answers.recvfrom(2048)
        except socket.timeout:
            return 1
        assert source[0] == vip, source
        print(data.decode(errors="replace"))
    return 0


if __name__ == "__main__":
    sys.exit(main())
