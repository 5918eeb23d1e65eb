#!/usr/bin/python3
# SPDX-License-Identifier: BSD-2-Clause
"""Proxies with twice as much to do as they can: how many good answers are left of their best?

12,000 connections, and requests at a rate that does not depend on the answers. It is raised until a
proxy cannot follow any more: the most good answers in a second are its best. Then twice as many are
asked for, by a client of high priority beside, too. So that clients on one processor can do that,
the proxy has a quarter of its own: three programs that never wait have the rest, all along. Shunt
may not be killed, and its goodput must stay above 85 % of its best."""
import argparse
import collections
import http.client
import json
import os
import select
import subprocess
import sys

import run
from common import BenchError, cpu_model, run_main, shunt_version, write_json
from lab import PYTHON, Lab, binary
from scenarios import SMALL, Scenario
from targets import NS_PER_S, TARGETS, Shunt, probe

OFFER = "bench/proxy/offer"
CONNECTIONS, QUICK_CONNECTIONS = 12000, 300
FIRST_RATE, STEP, QUICK_STEP = 2000, 1.25, 4  # a second; the first must find all within 10 s
FOLLOWS = 0.95  # as large a part of what is asked for is answered
WARM_S, QUICK_WARM_S = 3, 0.2  # until all that can wait does
OVER = 2
SPARE = 100  # connections, for who asks beside
GOAL = 0.85
ALL = ("shunt", "nginx", "haproxy")  # the floor would need two descriptors for each connection
OVERLOAD = {"requests": 256, "lag": "5s", "memory": "512MiB"}
BESIDE = 3
BUSY_LOOP = ["sh", "-c", "while :; do :; done"]
HIGH = "/bytes/128?high"
MIB, NS_PER_US, US_PER_MS = 1 << 20, 1e3, 1e3


class Shedding(Shunt):
    def config(self):
        config = super().config()
        config["overload"] = OVERLOAD
        config["services"]["bench"]["routes"] = [
            {"match": {"query": {"high": {"present": True}}}, "pool": "origin",
             "priority": "high"}]
        return config


class Offer:
    """The connections to a proxy, all of them open."""

    def __init__(self, target, options):
        self.target, self.options = target, options
        argv = [binary(OFFER), str(target.port), str(options.connections), target.path()]
        self.proc = target.bench.ns.popen(["taskset", "-c", str(options.client_cpu), *argv],
                                          text=True, stdin=subprocess.PIPE, stdout=subprocess.PIPE,
                                          stderr=subprocess.STDOUT)

    def ask(self, rate):
        """So many requests a second: what became of them, and what they took of the proxy."""
        self.proc.stdin.write(f"{rate} {self.options.warm} {self.options.seconds}\n")
        self.proc.stdin.flush()
        self.read("counting")
        cpu = self.target.cpu_ns()
        row, cpu = json.loads(self.read("{")), self.target.cpu_ns() - cpu
        return {**row, "rate": rate, "goodput": row["good"] / row["seconds"],
                "us": cpu / NS_PER_US / max(row["good"], 1),
                "busy": cpu / NS_PER_S / row["seconds"]}

    def read(self, begin):
        line = self.proc.stdout.readline()
        if not line.startswith(begin):
            raise BenchError(f"{OFFER} to {self.target.name}: {line}{self.proc.stdout.read()}")
        return line

    def find_best(self):
        """The rate is raised until the proxy does not follow."""
        rows = [self.ask(FIRST_RATE)]  # which opens all connections on its side, too
        while not rows[1:] or rows[-1]["goodput"] > FOLLOWS * rows[-1]["rate"]:
            rows.append(self.ask(rows[-1]["rate"] * self.options.step))
        return max(rows[1:], key=lambda row: row["goodput"])


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
    offer = Offer(target, options)
    best = offer.find_best()
    asker = bench.ns.popen([PYTHON, __file__, "--ask", str(target.port)],
                           stdin=subprocess.PIPE, stdout=subprocess.PIPE)
    over = offer.ask(OVER * best["goodput"])
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
            bench = run.Bench(lab, options, scenario, options.connections + SPARE)
            rows[name] = measure_target(bench, scenario, name, options)
        show(name, rows[name])
    return rows


def show(name, row):
    for kind in ("best", "over"):
        part = row[kind]
        print(f"{name:8} {part['rate']:7,.0f} asked for in a second: {part['goodput']:7,.0f} good "
              f"answers, {part['us']:.1f} us each, busy {part['busy']:.0%}, p50 "
              f"{part['p50_us'] / US_PER_MS:,.0f} ms, p99 {part['p99_us'] / US_PER_MS:,.0f} ms; "
              f"{part['refused']} refused, {part['missed']} while all waited, "
              f"{part['broken']} broken, {part['open']} connections")
    shed = f", shed low/normal/high {row['shed']}" if row["shed"] else ""
    print(f"{name:8} goodput {row['ratio']:.0%} of its best, {row['memory'] / MIB:.0f} MiB{shed}, "
          f"answers to high priority {row['high']}", flush=True)


def main():
    cpus = sorted(os.sched_getaffinity(0))
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--seconds", type=int, default=5, help="of each rate (5)")
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
    options.step = QUICK_STEP if options.quick else STEP
    options.warm = QUICK_WARM_S if options.quick else WARM_S
    run.prepare(options)
    rows = measure(options)
    write_json(options.json, {"cpu": cpu_model(), "kernel": os.uname().release,
                              "version": shunt_version(), "connections": options.connections,
                              "over": OVER, "goal": GOAL, "results": rows})
    if not options.quick and "shunt" in rows and rows["shunt"]["ratio"] < GOAL:
        sys.exit(f"bench: shunt missed its goal of {GOAL:.0%}")


if __name__ == "__main__":
    run_main(main)
