#!/usr/bin/python3
# SPDX-License-Identifier: BSD-2-Clause
"""Connections that have had one answer each and then do nothing.

    idle.py PORT http|https|websocket COUNT...

For each COUNT: open connections until there are so many, one after the other; say "COUNT", and wait
for a line."""
import resource
import socket
import ssl
import sys

TIMEOUT_S = 10
REQUEST = b"GET /bytes/128 HTTP/1.1\r\nHost: bench.example\r\n\r\n"
UPGRADE = (b"GET /ws HTTP/1.1\r\nHost: bench.example\r\nConnection: Upgrade\r\n"
           b"Upgrade: websocket\r\nSec-WebSocket-Version: 13\r\n"
           b"Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n")
END = b"\r\n\r\n"


def client_context():
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
    return context


def receive(sock, answer, size):
    while len(answer) < size or END not in answer:
        piece = sock.recv(65536)
        if not piece:
            raise OSError(f"the connection was closed after {answer!r}")
        answer += piece
    return answer


def open_one(port, kind, context):
    sock = socket.create_connection(("127.0.0.1", port), TIMEOUT_S)
    if kind == "https":
        sock = context.wrap_socket(sock)
    sock.sendall(UPGRADE if kind == "websocket" else REQUEST)
    answer = receive(sock, b"", 0)
    status = b"HTTP/1.1 101 " if kind == "websocket" else b"HTTP/1.1 200 "
    if not answer.startswith(status):
        raise OSError(f"the answer was {answer!r}")
    if kind != "websocket":
        receive(sock, answer, answer.index(END) + len(END) + 128)
    return sock


def main():
    port, kind, counts = int(sys.argv[1]), sys.argv[2], map(int, sys.argv[3:])
    most = resource.getrlimit(resource.RLIMIT_NOFILE)[1]
    resource.setrlimit(resource.RLIMIT_NOFILE, (most, most))
    context, kept = client_context(), []
    for count in counts:
        while len(kept) < count:
            kept.append(open_one(port, kind, context))
        print(count, flush=True)
        sys.stdin.readline()


if __name__ == "__main__":
    try:
        main()
    except OSError as exc:
        sys.exit(f"idle: {exc}")
