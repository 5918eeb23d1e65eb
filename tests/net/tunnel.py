#!/usr/bin/python3
# SPDX-License-Identifier: BSD-2-Clause
"""tunnel.py BACKEND CLIENT VIP PORT [KIND]: a UDP question in a tunnel, as a balancer sends it.

Sends a datagram CLIENT -> VIP:PORT inside an outer packet to BACKEND (each of either family; the
kernel makes the outer header) and prints the answer, which comes straight from VIP. Exit status 1:
no answer within two seconds. KIND: ipip; gue (with no header of its own), gue0 (with one), each of
them with :PORT where that is not 6080.
"""
import socket
import sys

from scapy.layers.inet import IP, UDP
from scapy.layers.inet6 import IPv6
from scapy.packet import Raw

SO_NO_CHECK = 11  # UDP checksum 0; asm-generic/socket.h


def family(addr):
    return socket.AF_INET6 if ":" in addr else socket.AF_INET


def wrap(kind, question, backend):
    """Send the inner packet."""
    proto = socket.IPPROTO_IPV6 if question[0] >> 4 == 6 else socket.IPPROTO_IPIP
    if kind == "ipip":
        with socket.socket(family(backend), socket.SOCK_RAW, proto) as tunnel:
            tunnel.sendto(question, (backend, 0))
        return
    variant, _, port = kind.partition(":")
    header = {"gue": b"", "gue0": bytes([1, proto, 0, 0]) + b"skip"}[variant]
    with socket.socket(family(backend), socket.SOCK_DGRAM) as tunnel:
        if ":" not in backend:
            tunnel.setsockopt(socket.SOL_SOCKET, SO_NO_CHECK, 1)
        tunnel.sendto(header + question, (backend, int(port or 6080)))


def main():
    backend, client, vip, port = sys.argv[1:5]
    kind = sys.argv[5] if len(sys.argv) > 5 else "ipip"
    with socket.socket(family(client), socket.SOCK_DGRAM) as answers:
        answers.bind((client, 0))
        answers.settimeout(2)
        ip = IPv6 if ":" in vip else IP
        question = ip(src=client, dst=vip) / UDP(sport=answers.getsockname()[1], dport=int(port))
        wrap(kind, bytes(question / Raw(b"hello")), backend)
        try:
            data, source = answers.recvfrom(2048)
        except socket.timeout:
            return 1
        assert source[0] == vip, source
        print(data.decode(errors="replace"))
    return 0


if __name__ == "__main__":
    sys.exit(main())
