#!/usr/bin/python3
# SPDX-License-Identifier: BSD-2-Clause
"""gue_tun.py PORT: unpack GUE variant 1 without any code of Shunt's. A datagram to UDP port PORT,
over IPv4 or IPv6 (the kernel has checked the outer headers and the checksum), is an IP packet: it
goes up the stack of this host by a TUN device. Prints "ready", then works until it is ended."""
import fcntl
import os
import select
import socket
import struct
import subprocess
import sys

TUNSETIFF, IFF_TUN, IFF_NO_PI = 0x400454CA, 0x0001, 0x1000


def main():
    tun = os.open("/dev/net/tun", os.O_RDWR)
    fcntl.ioctl(tun, TUNSETIFF, struct.pack("16sH22x", b"gue0", IFF_TUN | IFF_NO_PI))
    subprocess.run(["ip", "link", "set", "gue0", "up"], check=True)
    sockets = []
    for family, address in ((socket.AF_INET, "0.0.0.0"), (socket.AF_INET6, "::")):
        sock = socket.socket(family, socket.SOCK_DGRAM)
        if family == socket.AF_INET6:
            sock.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 1)
        sock.bind((address, int(sys.argv[1])))
        sockets.append(sock)
    print("ready", flush=True)
    while True:
        for sock in select.select(sockets, [], [])[0]:
            os.write(tun, sock.recv(65536))


if __name__ == "__main__":
    main()
