#!/usr/bin/python3
# SPDX-License-Identifier: BSD-2-Clause
"""big_datagrams.py VIP PORT SIZE COUNT: questions of SIZE bytes, each from a socket of its own.

The kernel sends them in fragments where they are larger than a packet. Prints JSON: how many each
backend answered in full, and how many were lost after three tries.
"""
import collections
import json
import socket
import sys


def ask(sock, data):
    """Who answered; None: nobody did."""
    for _ in range(3):
        sock.send(data)
        try:
            name, _, echo = sock.recv(65536).partition(b" ")
        except socket.timeout:
            continue
        assert echo == data, (len(echo), len(data))
        return name.decode()
    return None


def main():
    vip, port, size, count = sys.argv[1], int(sys.argv[2]), int(sys.argv[3]), int(sys.argv[4])
    by = collections.Counter()
    for n in range(count):
        family = socket.AF_INET6 if ":" in vip else socket.AF_INET
        with socket.socket(family, socket.SOCK_DGRAM) as sock:
            sock.settimeout(2)
            sock.connect((vip, port))
            by[ask(sock, bytes((n + i) % 251 for i in range(size)))] += 1
    print(json.dumps({"lost": by.pop(None, 0), "by": by}))


if __name__ == "__main__":
    main()
