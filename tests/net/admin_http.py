# SPDX-License-Identifier: BSD-2-Clause
"""Asking a daemon by its admin HTTP server."""
import contextlib
import http.client
import json
import socket

from lab import TIMEOUT_S

TOKEN = "a-word-of-24-bytes-or-so"


def request(port, method, path, body=None, addr="127.0.0.1", host=None, token=None, unix=None):
    """(status, headers, text)"""
    conn = http.client.HTTPConnection(addr, port, timeout=TIMEOUT_S)
    if unix:
        conn.sock = socket.socket(socket.AF_UNIX)
        conn.sock.settimeout(TIMEOUT_S)
        conn.sock.connect(unix)
    fields = {"Host": host} if host is not None else {}
    if token:
        fields["Authorization"] = f"Bearer {token}"
    with contextlib.closing(conn):
        conn.request(method, path, body, fields)
        reply = conn.getresponse()
        return reply.status, reply.headers, reply.read().decode()


def series(text):
    """{series as it is written: value} of what /metrics says"""
    return {name: float(value) for name, value in
            (line.rsplit(" ", 1) for line in text.splitlines() if not line.startswith("#"))}


class Admin:
    def __init__(self, proxy, port):
        self.proxy, self.port, self.daemon = proxy, port, proxy.daemon

    def ask(self, path, method="GET", body=None, **kw):
        status, _, text = request(self.port, method, path, body, **kw)
        return status, json.loads(text)

    def metrics(self):
        status, headers, text = request(self.port, "GET", "/metrics")
        assert status == 200 and headers["Content-Type"].startswith("text/plain; version=0.0.4")
        return series(text)
