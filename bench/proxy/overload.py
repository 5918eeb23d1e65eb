#!/usr/bin/python3
# SPDX-License-Identifier: BSD-2-Clause
"""Proxies with far more to do than they can: how many good answers are left of their best?

First with as many connections as give the most answers, then with 12,000 that never wait before
they ask again. So that clients on one processor can ask for more than twice what is sustained, the
proxy has a quarter of its own: three programs that never wait have the rest, all along. A client
of high priority asks beside. Shunt may not be killed, and its goodput must stay above 85 % of its best. The peers stand
beside it: what they lose, too, is lost to the client and to the kernel."""
import argparse
import collections
import http.client
import json
import os
import re
import select
import subprocess
import sys

import run
from common import BenchError
from lab import PYTHON, Lab
from scenarios import SMALL, Scenario
from targets import NS_PER_S, TARGETS, Shunt, probe

CONNECTIONS, PEAK_CONNECTIONS = 12000, (64, 256)
QUICK_CONNECTIONS = 600
GOAL = 0.85
ALL = ("shunt", "nginx", "haproxy")  # the floor would need two descriptors for each connection
OVERLOAD = {"requests": 256, "lag": "5s", "memory": "512MiB"}
BESIDE = 3
BUSY_LOOP = ["sh", "-c", "while :; do :; done"]
HIGH = "/bytes/128?high"
MIB, NS_PER_US = 1 << 20, 1e3


class Shedding(Shunt):
    def config(self):
        config = super().config()
        config["overload"] = OVERLOAD
        config["services"]["bench"]["routes"] = [
            {"match": {"query": {"high": {"present": True}}}, "pool": "origin",
             "priority": "high"}]
        return config


def load(target, connections, seconds):
    """Good answers a second, what each took of the proxy's processor, the counts of all others."""
    cpu = target.cpu_ns()
    argv = ["wrk", "-t1", f"-c{connections}", f"-d{seconds}s", "--timeout", "10s", target.url()]
    with target.bench.popen(argv, target.bench.options.client_cpu, text=True,
                            stdout=subprocess.PIPE, stderr=subprocess.STDOUT) as proc:
        out = proc.communicate(timeout=seconds + 120)[0]
    found = re.search(r"(\d+) requests in (?:(\d+)m)?([0-9.]+)(m?)s", out)
    if proc.returncode or not found:
        raise BenchError(f"wrk ended with {proc.returncode}: {out}")
    refused = re.search(r"Non-2xx or 3xx responses: (\d+)", out)
    broken = re.search(r"Socket errors: (.*)", out)
    refused = int(refused[1]) if refused else 0
    took = int(found[2] or 0) * 60 + float(found[3]) * (1e-3 if found[4] else 1)
    good, cpu = int(found[1]) - refused, target.cpu_ns() - cpu
    return {"connections": connections, "goodput": good / took, "refused": refused,
            "us": cpu / NS_PER_US / max(good, 1), "busy": cpu / NS_PER_S / took,
            "broken": broken[1] if broken else ""}


def ask_high(port):
    """Requests of high priority, one after the other, until the input ends: what was answered."""
    statuses = collections.Counter()
    while not select.select([sys.stdin], [], [], 0)[0]:
        try:
            conn = http.client.HTTPConnection("127.0.0.1", port, timeout=30)
            conn.request("GET", HIGH)
            statuses[str(conn.getresponse().status)] += 1
            conn.close()
        except OSError as exc:
            statuses[type(exc).__name__] += 1
    print(json.dumps(statuses))


def measure_target(bench, scenario, name, options):
    for _ in range(options.beside):
        bench.popen(BUSY_LOOP, options.proxy_cpu)
    target = Shedding(bench, scenario) if name == "shunt" else TARGETS[name](bench, scenario)
    target.start()
    probe(target)
    best = max((load(target, n, options.seconds) for n in PEAK_CONNECTIONS),
               key=lambda row: row["goodput"])
    asker = bench.ns.popen([PYTHON, __file__, "--ask", str(target.port)],
                           stdin=subprocess.PIPE, stdout=subprocess.PIPE)
    over = load(target, options.connections, options.seconds)
    high = json.loads(asker.communicate(timeout=60)[0])
    if target.proc.poll() is not None:
        raise BenchError(f"{name} ended with {target.proc.returncode}: {target.log()}")
    row = {"best": best, "over": over, "ratio": over["goodput"] / best["goodput"], "high": high,
           "memory": target.memory(), "shed": None}
    if name == "shunt":
        counts = target.daemon.ctl_json("service", "show", "bench")["http"]
        row["shed"] = [counts[f"shed_{level}"] for level in ("low", "normal", "high")]
    return row


def measure(options):
    scenario = Scenario("overload", "far more than can be done", "wrk", body=SMALL)
    rows = {}
    for name in options.only or ALL:
        with Lab() as lab:
            rows[name] = measure_target(run.Bench(lab, options, scenario), scenario, name, options)
        show(name, rows[name])
    return rows


def show(name, row):
    for kind in ("best", "over"):
        part = row[kind]
        print(f"{name:8} {part['connections']:6} connections: {part['goodput']:9,.0f} good answers "
              f"a second, {part['us']:.1f} us each, busy {part['busy']:.0%}, "
              f"{part['refused']} refused {part['broken']}".rstrip())
    shed = f", shed low/normal/high {row['shed']}" if row["shed"] else ""
    print(f"{name:8} goodput {row['ratio']:.0%} of its best, {row['memory'] / MIB:.0f} MiB{shed}, "
          f"answers to high priority {row['high']}", flush=True)


def main():
    cpus = sorted(os.sched_getaffinity(0))
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--seconds", type=int, default=10, help="of each run (10)")
    parser.add_argument("--connections", type=int, default=CONNECTIONS)
    parser.add_argument("--beside", type=int, default=BESIDE, metavar="N",
                        help=f"busy programs on the proxy's processor ({BESIDE})")
    parser.add_argument("--proxy-cpu", type=int, default=cpus[0])
    parser.add_argument("--client-cpu", type=int, default=cpus[-1])
    parser.add_argument("--only", action="append", choices=ALL,
                        help="this proxy (again: and this)")
    parser.add_argument("--quick", action="store_true", help="does it run?")
    parser.add_argument("--json", metavar="FILE", help="write the result there too")
    parser.add_argument("--ask", type=int, metavar="PORT", help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.ask:
        ask_high(options.ask)
        return
    if options.quick:
        options.seconds, options.connections = 1, QUICK_CONNECTIONS
    run.prepare(options)
    rows = measure(options)
    if options.json:
        with open(options.json, "w", encoding="utf-8") as file:
            json.dump(rows, file, indent=1)
            file.write("\n")
    if not options.quick and "shunt" in rows and rows["shunt"]["ratio"] < GOAL:
        sys.exit(f"bench: shunt missed its goal of {GOAL:.0%}")


if __name__ == "__main__":
    try:
        main()
    except (BenchError, AssertionError, subprocess.SubprocessError) as exc:
        sys.exit(f"bench: {exc}")
