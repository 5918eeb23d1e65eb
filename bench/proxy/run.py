#!/usr/bin/python3
# SPDX-License-Identifier: BSD-2-Clause
"""Proxies beside each other: Shunt, nginx, HAProxy, and the floor.

    wrk, h2load, shake ---> the proxy ---> origin (gRPC: nghttpd)
    one processor           another one    that of the clients

All in a network namespace of its own, over its loopback device. In each scenario all proxies stand,
and are measured in turn, round by round.
"""
import argparse
import os
import platform
import resource
import statistics
import struct
import subprocess
import sys
import time

HERE = os.path.dirname(os.path.abspath(__file__))
ROOT = os.path.dirname(os.path.dirname(HERE))
sys.path[:0] = [os.path.join(ROOT, "bench"), os.path.join(ROOT, "tests", "net")]

# pylint: disable=wrong-import-position
from certs import Authority
from common import BenchError, cpu_model, need, run_main, shunt_version, write_json
from lab import PYTHON, Lab, binary, sweep_dead_runs, wait_until
from load import CLIENTS, MARGINS_S, SHAKE, TooEarly
from scenarios import SCENARIOS
from targets import (GRPC_PATH, GRPC_PORT, MAX_CLIENTS, NS_PER_S, ORIGIN_PORT, RELAY, TARGETS,
                     Lacking, probe)

ORIGIN = "bench/proxy/origin"
NS_PER_US = 1e3
# Requests for each connection before the clock runs. Some get more than others, and until all have
# made their handshakes those would be counted too.
WARM_UP, WARM_UP_TLS = 3, 10
IDLE_FROM, IDLE_TO = 500, 4500  # connections; the first ones fill what is there once
QUICK_FROM, QUICK_TO = 50, 250
GRPC_PREFIX = struct.Struct(">BI")
PEERS = ("nginx", "haproxy")

# Program: the Debian package that has it.
TOOLS = {"wrk": "wrk", "h2load": "nghttp2-client", "nghttpd": "nghttp2-server",
         "nginx": "nginx-light", "haproxy": "haproxy", "curl": "curl", "openssl": "openssl",
         "ip": "iproute2", "ss": "iproute2", "taskset": "util-linux"}


class Bench:
    """What the proxies of one scenario have in common: namespace, backend, certificates."""

    def __init__(self, lab, options, scenario, clients=MAX_CLIENTS):
        self.lab, self.options, self.scenario = lab, options, scenario
        self.clients = clients  # connections that a proxy has room for
        self.ns = lab.namespace("bench")
        self.ns.sysctl({"net.ipv4.ip_local_port_range": "10000 65000",
                        "net.core.somaxconn": 65535,
                        # One that paces, as bbr does, would set the speed of large bodies; this one
                        # is in every kernel and allowed in every namespace.
                        "net.ipv4.tcp_congestion_control": "reno"})
        self.certificates = {}
        if scenario.is_tls:
            ca = Authority(lab.path("certs"))
            self.certificates = {kind: ca.issue("bench.example", kind=kind)
                                 for kind in ("ecdsa", "rsa")}
        # A gRPC call, which also is its answer: a flag, the length of what follows, that.
        length = scenario.body - GRPC_PREFIX.size
        self.message = self.write("message", GRPC_PREFIX.pack(0, length) + bytes(length))
        self.start_backend()

    def path(self, name):
        return self.lab.path(name)

    def write(self, name, content):
        path = self.path(name)
        with open(path, "wb") as file:
            file.write(content if isinstance(content, bytes) else content.encode())
        return path

    def popen(self, argv, cpu, **kw):
        return self.ns.popen(["taskset", "-c", str(cpu), *argv], stdin=subprocess.DEVNULL, **kw)

    def start_backend(self):
        argv, port = [binary(ORIGIN), str(ORIGIN_PORT), self.path("origin.count")], ORIGIN_PORT
        if self.scenario.front == "grpc":
            os.mkdir(self.path("grpc"))
            os.mkdir(self.path("grpc" + os.path.dirname(GRPC_PATH)))
            with open(self.message, "rb") as message:
                self.write("grpc" + GRPC_PATH, message.read())
            argv, port = ["nghttpd", "--no-tls", "-a", "127.0.0.1", "-d", self.path("grpc"),
                          "--trailer", "grpc-status: 0", str(GRPC_PORT)], GRPC_PORT
        with open(self.path("backend.out"), "wb") as log:
            proc = self.popen(argv, self.options.client_cpu, stdout=log, stderr=log)

        def listens():
            if proc.poll() is not None:
                raise BenchError(f"{argv[0]} ended with {proc.returncode}")
            return self.ns.run(["ss", "-Hltn", "sport", "=", f":{port}"]).stdout.strip()
        wait_until(listens, 20, what=f"{argv[0]} to listen")


def read_counter(path):
    try:
        with open(path, "rb") as file:
            return int.from_bytes(file.read(8), sys.byteorder)
    except FileNotFoundError:  # not yet
        return 0


def measure_window(target, client, seconds):
    """Requests, seconds and processor time of a piece of a run in which all is under way."""
    counter, s = client.counter(), target.scenario
    begin = read_counter(counter)
    more = (WARM_UP_TLS if s.is_tls else WARM_UP) * s.connections * s.streams

    def is_warm():
        return client.proc.poll() is not None or read_counter(counter) >= begin + more
    wait_until(is_warm, 20, what=lambda: f"answers of {target.name}: {target.log()}")
    before = time.monotonic(), target.cpu_ns(), read_counter(counter)
    time.sleep(seconds)
    after = time.monotonic(), target.cpu_ns(), read_counter(counter)
    if client.proc.poll() is not None:
        raise TooEarly(f"{s.client} ended too early: {client.proc.stdout.read()}")
    took, cpu, count = (b - a for a, b in zip(before, after))
    return {"requests": count, "seconds": took, "cpu_ns": cpu}


def sample(target, seconds):
    """One run against one proxy."""
    for margin in MARGINS_S:
        try:
            return sample_once(target, seconds, seconds + margin)
        except TooEarly as exc:
            last = exc  # other programs have the processors: it took longer to begin
    raise BenchError(str(last))


def sample_once(target, seconds, client_seconds):
    ticks = target.cpu_ticks()
    began, cpu = time.monotonic(), target.cpu_ns()
    client = CLIENTS[target.scenario.client](target, client_seconds)
    taken = measure_window(target, client, seconds) if client.counter() else None
    said = client.finish()
    if taken is None:  # then all of the run counts, its beginning too
        taken = {"requests": said["requests"], "seconds": time.monotonic() - began,
                 "cpu_ns": target.cpu_ns() - cpu}
    if not taken["requests"]:
        raise BenchError(f"{target.name}, {target.scenario.name}: not one request was answered: "
                         f"{said['error']} {target.log()}")
    user, system = (b - a for a, b in zip(ticks, target.cpu_ticks()))
    return {"us": taken["cpu_ns"] / NS_PER_US / taken["requests"],
            "user": user / ((user + system) or 1),
            "rps": taken["requests"] / taken["seconds"],
            "busy": taken["cpu_ns"] / NS_PER_S / taken["seconds"],
            **{key: said[key] for key in ("p50_us", "p99_us", "errors", "error")}}


def sample_idle(target, quick):
    """Bytes that the proxy has for each connection more."""
    s = target.scenario
    kind = "websocket" if s.websocket else s.front
    counts = (QUICK_FROM, QUICK_TO) if quick else (IDLE_FROM, IDLE_TO)
    argv = ["taskset", "-c", str(target.bench.options.client_cpu), PYTHON,
            os.path.join(HERE, "idle.py"), str(target.port), kind, *map(str, counts)]
    memory = []
    with target.bench.ns.popen(argv, text=True, stdin=subprocess.PIPE, stdout=subprocess.PIPE,
                               stderr=subprocess.STDOUT) as proc:
        for count in counts:
            line = proc.stdout.readline()
            if line.strip() != str(count):
                raise BenchError(f"{target.name}, {s.name}: {line}{proc.stdout.read()}")
            memory.append(target.memory())
            proc.stdin.write("\n")
            proc.stdin.flush()
    return {"bytes": (memory[1] - memory[0]) / (counts[1] - counts[0]), "errors": 0, "error": ""}


def start_targets(bench, scenario):
    """Those that take part, by name."""
    running = {}
    for name, cls in TARGETS.items():
        is_there = {"floor": scenario.has_floor, "before": bench.options.before}.get(name, True)
        if not is_there or name in bench.options.without:
            continue
        target = cls(bench, scenario)
        try:
            target.start()
            if not scenario.websocket:  # idle.py sees for itself
                probe(target)
        except Lacking as exc:
            raise BenchError(f"{name}, {scenario.name}: {exc}") from exc
        running[name] = target
    return running


def run_scenario(scenario, options):
    """Rows of one scenario, one a proxy."""
    samples = {}
    idle = scenario.client == "idle"
    with Lab() as lab:
        running = start_targets(Bench(lab, options, scenario), scenario)
        order = list(running)
        for number in range(1 if idle else options.rounds):
            for name in order[number % len(order):] + order[:number % len(order)]:
                taken = sample_idle(running[name], options.quick) if idle \
                    else sample(running[name], options.seconds)
                samples.setdefault(name, []).append(taken)
                print(f"{scenario.name:<16}{name:<9}{told(taken)}", flush=True)
    return [summarise(scenario, name, samples) for name in running]


def told(taken):
    if "bytes" in taken:
        return f"{taken['bytes']:8,.0f} bytes"
    errors = f", {taken['errors']} ERRORS: {taken['error']}" if taken["errors"] else ""
    return (f"{taken['us']:8.2f} us, {taken['rps']:9,.0f} a second, busy {taken['busy']:.0%}"
            + errors)


def summarise(scenario, name, samples):
    """Medians, also of the rounds' ratios."""
    taken = samples[name]
    row = {"scenario": scenario.name, "target": name,
           "errors": sum(s["errors"] for s in taken),
           "error": "; ".join(s["error"] for s in taken if s["error"])}
    key = "bytes" if scenario.client == "idle" else "us"
    for value in (key,) if key == "bytes" else ("us", "user", "rps", "busy", "p50_us", "p99_us"):
        row[value] = statistics.median(s[value] for s in taken)
    row[key + "_min"] = min(s[key] for s in taken)
    peers = {peer: statistics.median(s[key] for s in samples[peer])
             for peer in PEERS if peer in samples}
    best = min(peers, key=peers.get) if peers else None
    for ratio, other in (("x_best", best), ("x_floor", "floor"), ("x_before", "before")):
        if other in samples:
            row[ratio] = statistics.median(a[key] / b[key] if b[key] else float("nan")
                                           for a, b in zip(taken, samples[other]))
    if name == "shunt" and scenario.goal:
        value = {"floor": "x_floor", "best": "x_best", "bytes": "bytes"}[scenario.goal[0]]
        if value in row:  # not without those that it is set beside
            row["goal_of"], row["goal"] = scenario.goal
            row["met"] = row[value] <= row["goal"]
    row["rounds"] = taken
    return row


def number(row, key, spec):
    return format(row[key], spec) if key in row else ""


def goal(row):
    if "goal" not in row:
        return ""
    text = f"{row['goal']:,} B" if row["goal_of"] == "bytes" else \
        f"{row['goal']:.2f} x {row['goal_of']}"
    return text + ("" if row["met"] else ", missed")


def print_table(rows):
    print(f"{'scenario':<16}{'':<9}{'us':>9}{'least':>9}{'user':>6}{'a second':>11}{'p50 us':>9}"
          f"{'p99 us':>9}{'busy':>6}{'x best':>8}{'x floor':>8}{'x before':>9}{'errors':>8}  goal")
    for row in rows:
        start = f"{row['scenario']:<16}{row['target']:<9}"
        first = f"{row['bytes']:9,.0f} bytes" + " " * 44 if "bytes" in row else \
            "".join(f"{number(row, key, spec):>{width}}" for key, spec, width in (
                ("us", ".2f", 9), ("us_min", ".2f", 9), ("user", ".0%", 6), ("rps", ",.0f", 11),
                ("p50_us", ",.0f", 9), ("p99_us", ",.0f", 9), ("busy", ".0%", 6)))
        print(f"{start}{first}{number(row, 'x_best', '.2f'):>8}{number(row, 'x_floor', '.2f'):>8}"
              f"{number(row, 'x_before', '.3f'):>9}"
              f"{row['errors']:>8}  {goal(row)}".rstrip())
    for row in rows:
        if row.get("errors"):
            print(f"ERRORS in {row['scenario']}, {row['target']}: {row['error']}")


def prepare(options):
    need(TOOLS)
    for path in map(binary, ("shuntd", "shuntctl", ORIGIN, RELAY, SHAKE)):
        if not os.path.exists(path):
            raise BenchError(f"{path} is not there: make bench-proxy builds it")
    there = os.sched_getaffinity(0)
    for cpu in (options.proxy_cpu, options.client_cpu):
        if cpu not in there:
            raise BenchError(f"there is no processor {cpu} for this program")
    most = resource.getrlimit(resource.RLIMIT_NOFILE)[1]
    resource.setrlimit(resource.RLIMIT_NOFILE, (most, most))
    sweep_dead_runs()
    os.sched_setaffinity(0, {options.client_cpu})


def version_of(argv, pattern):
    done = subprocess.run(argv, capture_output=True, text=True, check=True)
    return pattern + (done.stdout + done.stderr).split(pattern, 1)[1].split()[0]


def arguments(argv):
    cpus = sorted(os.sched_getaffinity(0))
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter,
        epilog="scenarios: " + "; ".join(f"{s.name}: {s.what}" for s in SCENARIOS))
    parser.add_argument("--rounds", type=int, default=7)
    parser.add_argument("--seconds", type=float, default=1, help="of each sample (1)")
    parser.add_argument("--only", default="", help="these scenarios, such as keepalive,tls (all)")
    parser.add_argument("--before", metavar="SHUNTD", help="another build to measure in turn")
    parser.add_argument("--without", default="", help="these proxies, such as nginx,haproxy (none)")
    parser.add_argument("--proxy-cpu", type=int, default=cpus[0], help="the proxies' processor")
    parser.add_argument("--client-cpu", type=int, default=cpus[-1],
                        help="that of clients and backends")
    parser.add_argument("--quick", action="store_true", help="does it run? one round, short")
    parser.add_argument("--json", metavar="FILE", help="write the result there too")
    options = parser.parse_args(argv)
    if options.rounds < 1 or options.seconds <= 0:
        parser.error("--rounds, --seconds: not possible")
    options.without = options.without.split(",")
    if set(options.without) - {"", *TARGETS}:
        parser.error(f"no such proxy; known: {', '.join(TARGETS)}")
    names = [name for name in options.only.replace(",", " ").split()]
    unknown = set(names) - {s.name for s in SCENARIOS}
    if unknown:
        parser.error(f"no such scenario: {', '.join(sorted(unknown))}")
    options.scenarios = [s for s in SCENARIOS if not names or s.name in names]
    if options.quick:
        options.rounds, options.seconds = 1, min(options.seconds, 0.3)
    return options


def main():
    options = arguments(sys.argv[1:])
    if os.geteuid() != 0:
        raise BenchError("namespaces need root")
    prepare(options)
    started, rows = time.monotonic(), []
    for scenario in options.scenarios:
        rows += run_scenario(scenario, options)
    data = {"version": shunt_version(), "kernel": platform.release(), "cpu": cpu_model(),
            "peers": [version_of(["nginx", "-v"], "nginx/"),
                      version_of(["haproxy", "-v"], "HAProxy version ")],
            "rounds": options.rounds, "seconds": options.seconds,
            "scenarios": {s.name: s.what for s in options.scenarios}, "results": rows}
    print(f"\nLinux {data['kernel']}, {data['cpu']}, {', '.join(data['peers'])}; "
          f"{time.monotonic() - started:.0f} s")
    print_table(rows)
    write_json(options.json, data)


if __name__ == "__main__":
    run_main(main)
