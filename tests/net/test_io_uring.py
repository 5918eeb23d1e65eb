# SPDX-License-Identifier: BSD-2-Clause
"""System calls of many sockets made as one, and one by one where the kernel has no such thing."""
import contextlib
import json
import os
import signal
import sys
import threading

import pytest

from lab import TIMEOUT_S

ROUNDS, CLIENTS = 20, 16
REQUEST = "GET / HTTP/1.1\r\nHost: example.org\r\n\r\n"

# Runs its arguments with io_uring_setup() (425) refused, as containers often have it.
REFUSING = """
import ctypes, os, struct, sys
program = [(0x20, 0, 0, 0), (0x15, 0, 1, 425),  # the number of the call
           (0x06, 0, 0, 0x00050001), (0x06, 0, 0, 0x7fff0000)]  # EPERM, or go on
filters = ctypes.create_string_buffer(b"".join(struct.pack("HBBI", *i) for i in program))
rule = ctypes.create_string_buffer(struct.pack("HP", len(program), ctypes.addressof(filters)))
libc = ctypes.CDLL(None, use_errno=True)
if libc.prctl(38, 1, 0, 0, 0) or libc.prctl(22, 2, rule, 0, 0):
    sys.exit(os.strerror(ctypes.get_errno()))
os.execvp(sys.argv[1], sys.argv[1:])
"""


def batched(admin):
    return admin.metrics()['shunt_worker_batched_calls_total{worker="0"}']


def ask_at_once(admin):
    """Many clients, each of which asks again and again over one connection."""
    def client():
        with admin.proxy.connect() as c:
            start.wait()
            for _ in range(ROUNDS):
                assert c.ask(REQUEST).status == 200
            served.append(ROUNDS)

    served, start = [], threading.Barrier(CLIENTS)
    clients = [threading.Thread(target=client) for _ in range(CLIENTS)]
    for c in clients:
        c.start()
    for c in clients:
        c.join()
    assert sum(served) == ROUNDS * CLIENTS


def problems(admin):
    found = json.loads(admin.daemon.ctl("-o", "json", "doctor").stdout)["findings"]
    return [f["what"] for f in found if f["subject"] == "sockets" and f["level"] != "ok"]


@pytest.mark.vm
def test_calls_are_made_together(admin):
    a = admin(workers=1)
    ask_at_once(a)
    assert batched(a) > ROUNDS * CLIENTS and not problems(a)


def test_off(admin):
    a = admin(workers=1, node={"io_uring": "off"})
    ask_at_once(a)
    assert batched(a) == 0 and not problems(a)


def test_it_is_refused(admin):
    a = admin(workers=1, daemon={"wrap": (sys.executable, "-c", REFUSING)})
    ask_at_once(a)
    assert batched(a) == 0
    assert problems(a) == ["no io_uring: Operation not permitted"]


def test_what_was_read_comes_before_what_a_pipe_moves(http_proxy):
    """A large body goes by a pipe, past those bytes of it that were read with those of others."""
    def serve(peer):
        for go in rounds:
            peer.message()
            peer.send(b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n" % len(body))
            assert go.wait(TIMEOUT_S)
            peer.send(body[:8000])
            begun.release()
            peer.send(body[8000:])
        peer.to_end()

    body = os.urandom(300000)
    rounds, begun = [threading.Event() for _ in range(3)], threading.Semaphore(0)
    proxy = http_proxy(serve)
    with contextlib.ExitStack() as stack:
        clients = [stack.enter_context(proxy.connect()) for _ in range(CLIENTS)]
        for go in rounds:  # in the first one nobody knows yet that bodies are large
            for client in clients:
                client.send(REQUEST)
            for client in clients:
                assert client.head().status == 200
            proxy.daemon.signal(signal.SIGSTOP)  # all bodies begin in one turn
            go.set()
            for _ in clients:
                assert begun.acquire(timeout=TIMEOUT_S)
            proxy.daemon.signal(signal.SIGCONT)
            for client in clients:
                assert client.exactly(len(body)) == body
