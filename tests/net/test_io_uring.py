# SPDX-License-Identifier: BSD-2-Clause
"""System calls of many sockets made as one, and one by one where the kernel has no such thing."""
import json
import sys
import threading

import pytest

ROUNDS, CLIENTS = 20, 16

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
                assert c.ask("GET / HTTP/1.1\r\nHost: example.org\r\n\r\n").status == 200
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
