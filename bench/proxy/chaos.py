#!/usr/bin/python3
# SPDX-License-Identifier: BSD-2-Clause
"""Backends that fail: how many requests get a good answer all the same, and how late?

Two of four backends reset, stall or answer 503 for a share of their requests. Clients ask one
after the other, by turns through Shunt without and with retries, hedging and ejection, and through
HAProxy with what it has for that. (A path that loses packets: lossy.py.)"""
import argparse
import http.client
import json
import random
import subprocess
import sys
import threading
import time

import run
from common import BenchError, run_main, write_json
from daemon import Daemon
from http1 import OK, Script
from lab import PYTHON, Lab, wait_until

PORTS = {"bare": 8001, "resilient": 8002, "haproxy": 8003}
BACKENDS = range(9101, 9105)
BAD_BACKENDS = 2
STALL_S, PATIENCE_S = 2, 10
BUSY = "HTTP/1.1 503 Busy\r\nContent-Length: 0\r\n\r\n"
RETRY = {"attempts": 4, "on": ["safe", "reset", "5xx", "timeout"], "per_try_timeout": "500ms",
         "budget": {"percent": 50, "min": 10}}

HAPROXY = """
global
    nbthread 1
defaults
    mode http
    retries 3
    option redispatch 1
    retry-on all-retryable-errors
    timeout connect 3s
    timeout client 60s
    timeout server 500ms
frontend clients
    bind 127.0.0.1:{port}
    default_backend origin
backend origin
    default-server check inter 1h observe layer7 error-limit 5 on-error mark-down
{servers}
"""


def serve_backends(share):
    """In a process of its own, until its input ends."""
    def behave(peer, bad):
        peer.sock.settimeout(None)
        while True:
            peer.message()
            if not bad or random.random() >= share:
                peer.send(OK)
                continue
            what = random.choice(("reset", "stall", "busy"))
            if what == "reset":
                peer.reset()
                return
            if what == "stall":
                time.sleep(STALL_S)
            peer.send(BUSY if what == "busy" else OK)
    for i, port in enumerate(BACKENDS):
        Script(lambda peer, bad=i < BAD_BACKENDS: behave(peer, bad), port=port)
    print("ready", flush=True)
    sys.stdin.read()


def ask(port, seconds, clients):
    """[[status or error, seconds], ...] of all requests, in a process of its own."""
    answers, end = [], time.monotonic() + seconds

    def client():
        conn = http.client.HTTPConnection("127.0.0.1", port, timeout=PATIENCE_S)
        while (start := time.monotonic()) < end:
            try:
                conn.request("GET", "/")
                reply = conn.getresponse()
                reply.read()
                what = reply.status
            except (OSError, http.client.HTTPException) as exc:
                what = type(exc).__name__
                conn.close()
            answers.append((what, time.monotonic() - start))
    threads = [threading.Thread(target=client) for _ in range(clients)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    print(json.dumps(answers))


def shunt_config(port, resilient):
    pool = {"health": "none", "backends": [
        {"name": f"b{p}", "address": f"127.0.0.1:{p}"} for p in BACKENDS]}
    service = {"listen": f"127.0.0.1:{port}/tcp", "mode": "http", "pool": "origin",
               "timeouts": {"response_header": f"{STALL_S}s"}, "retry": {"attempts": 1}}
    if resilient:
        service.update(retry=RETRY, hedge={"after": "100ms"})
        pool["outlier"] = {"consecutive": 5, "error_rate": 20, "min_requests": 20,
                           "interval": "1s", "base": "5s", "max_ejected": 50}
    return {"node": {"workers": 1, "drain_timeout": "1s"}, "pools": {"origin": pool},
            "services": {"chaos": service}}


def start_haproxy(lab, ns):
    path = lab.path("haproxy.cfg")
    servers = "\n".join(f"    server b{p} 127.0.0.1:{p}" for p in BACKENDS)
    with open(path, "w", encoding="ascii") as file:
        file.write(HAPROXY.format(port=PORTS["haproxy"], servers=servers))
    ns.popen(["haproxy", "-q", "-db", "-f", path], stdin=subprocess.DEVNULL)
    wait_until(lambda: f":{PORTS['haproxy']} " in ns.run(["ss", "-Hltn"]).stdout, 20,
               what="haproxy to listen")


def sum_up(answers):
    good = sorted(took for what, took in answers if what == 200)
    if not good:
        raise BenchError("no good answer at all")
    return {"requests": len(answers), "good": len(good) / len(answers),
            "p50_ms": 1e3 * good[len(good) // 2], "p99_ms": 1e3 * good[len(good) * 99 // 100]}


def measure(options):
    rows = {}
    with Lab() as lab:
        ns = lab.namespace("chaos")
        backends = ns.popen([PYTHON, __file__, "--serve", str(options.share)], text=True,
                            stdin=subprocess.PIPE, stdout=subprocess.PIPE)
        assert backends.stdout.readline() == "ready\n"
        for name in ("bare", "resilient"):
            Daemon(lab, shunt_config(PORTS[name], name == "resilient"), ns=ns).start()
        start_haproxy(lab, ns)
        for name, port in PORTS.items():
            out = ns.run([PYTHON, __file__, "--ask", str(port), "--seconds",
                          str(options.seconds), "--clients", str(options.clients)],
                         timeout=options.seconds + 120).stdout
            rows[name] = sum_up(json.loads(out))
    return rows


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--seconds", type=int, default=20, help="of each proxy (20)")
    parser.add_argument("--clients", type=int, default=16)
    parser.add_argument("--share", type=float, default=0.35,
                        help="of the requests of two backends that go wrong (0.35)")
    parser.add_argument("--quick", action="store_true", help="does it run?")
    parser.add_argument("--json", metavar="FILE", help="write the result there too")
    parser.add_argument("--serve", type=float, help=argparse.SUPPRESS)
    parser.add_argument("--ask", type=int, help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.serve is not None:
        serve_backends(options.serve)
        return
    if options.ask:
        ask(options.ask, options.seconds, options.clients)
        return
    if options.quick:
        options.seconds, options.clients = 2, 4
    run.need({"haproxy": "haproxy"})
    rows = measure(options)
    for name, row in rows.items():
        print(f"{name:10} {row['requests']:7,} requests, {row['good']:8.3%} good, median "
              f"{row['p50_ms']:6.1f} ms, 99 % within {row['p99_ms']:7.1f} ms")
    write_json(options.json, rows)


if __name__ == "__main__":
    run_main(main)
