#!/usr/bin/python3
# SPDX-License-Identifier: BSD-2-Clause
"""Datagrams with contents and source of the test's choice, from one process.

    datagrams.py < JSON    a list of {"to": [ADDR, PORT], "from": [ADDR, PORT], "hex": TEXT}

Sends them all, one that gets no answer within a second up to twice more, and prints a JSON list:
the first word of each answer (a backend of servers.py says its name), null where none came.
"""
import json
import select
import socket
import sys
import time

WAIT_S, TRIES = 1, 3


def open_socket(item):
    family = socket.AF_INET6 if ":" in item["to"][0] else socket.AF_INET
    sock = socket.socket(family, socket.SOCK_DGRAM)
    sock.bind(tuple(item["from"]))
    sock.connect(tuple(item["to"]))
    return sock


def ask(items, names):
    """One try for each that has no answer yet."""
    poll, waiting = select.poll(), {}
    for i, item in enumerate(items):
        if names[i] is None:
            sock = open_socket(item)
            sock.send(bytes.fromhex(item["hex"]))
            poll.register(sock, select.POLLIN)
            waiting[sock.fileno()] = (i, sock)
    deadline = time.monotonic() + WAIT_S
    while waiting and time.monotonic() < deadline:
        for fd, _ in poll.poll(50):
            i, sock = waiting.pop(fd)
            poll.unregister(fd)
            try:
                names[i] = sock.recv(65536).split(b" ")[0].decode()
            except OSError:
                pass
            sock.close()
    for _, sock in waiting.values():
        sock.close()


def main():
    items = json.load(sys.stdin)
    names = [None] * len(items)
    for _ in range(TRIES):
        ask(items, names)
    print(json.dumps(names))


if __name__ == "__main__":
    main()
