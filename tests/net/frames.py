#!/usr/bin/python3
# SPDX-License-Identifier: BSD-2-Clause
"""Whole frames in and out of an interface, as lines of hexadecimal digits.

    frames.py send IF         frames from standard input
    frames.py capture IF      prints "ready", then each frame that comes in, until standard input
                              ends; frames that this host sends are left out
"""
import select
import socket
import sys

ETH_P_ALL = 3


def send(ifname):
    with socket.socket(socket.AF_PACKET, socket.SOCK_RAW) as sock:
        sock.bind((ifname, 0))
        for line in sys.stdin:
            sock.send(bytes.fromhex(line))


def capture(ifname):
    with socket.socket(socket.AF_PACKET, socket.SOCK_RAW, socket.htons(ETH_P_ALL)) as sock:
        sock.bind((ifname, ETH_P_ALL))
        print("ready", flush=True)
        poll = select.poll()
        poll.register(sock, select.POLLIN)
        poll.register(sys.stdin, select.POLLIN | select.POLLHUP)
        while True:
            ready = [fd for fd, _ in poll.poll()]
            if sock.fileno() in ready:
                data, addr = sock.recvfrom(65536)
                if addr[2] != socket.PACKET_OUTGOING:
                    print(data.hex(), flush=True)
            elif ready:
                return


if __name__ == "__main__":
    {"send": send, "capture": capture}[sys.argv[1]](sys.argv[2])
