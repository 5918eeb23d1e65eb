#!/usr/bin/python3
# SPDX-License-Identifier: BSD-2-Clause
"""How long a change takes, and how many can come: a shuntd that steers 1,000 services with 10,000
backends in a namespace of its own, and clients on its control socket.

One change at a time: the weight of a backend, as `shuntctl backend weight` sends it. What it took
is the daemon's own word: from the moment it begins until workers and kernel have it; and which rows
of the kernel's tables it wrote. All at once: as many connections as there may be ask for changes as
fast as they are answered. And discovery: a file with ten backends of one more pool is replaced as
fast as possible, each time with another weight of each, while commands go on."""
import argparse
import json
import os
import selectors
import socket
import statistics
import subprocess
import sys
import time

HERE = os.path.dirname(os.path.abspath(__file__))
ROOT = os.path.dirname(os.path.dirname(HERE))
sys.path[:0] = [os.path.join(ROOT, "bench"), os.path.join(ROOT, "tests", "net")]

# pylint: disable=wrong-import-position
from common import cpu_model, shunt_version, write_json
from daemon import Daemon
from lab import Lab, mount_bpffs, sweep_dead_runs

POOL_BACKENDS, FOUND_BACKENDS = 10, 10
FULL = {"services": 1000, "changes": 50, "seconds": 5.0, "connections": 1000}
QUICK = {"services": 20, "changes": 5, "seconds": 0.5, "connections": 20}
GOAL_MS, GOAL_RATE = 20.0, 10000

# Replaces the file until its input ends; prints how often it did.
WRITER = """
import os, select, sys
count, path, backends = 0, sys.argv[1], int(sys.argv[2])
while count % 64 or not select.select([0], [], [], 0)[0]:
    count += 1
    with open(path + ".new", "w", encoding="ascii") as f:
        f.write("".join(f"- {{address: 10.200.0.{i}, weight: {(count + i) % 100 + 1}}}\\n"
                        for i in range(1, backends + 1)))
    os.rename(path + ".new", path)
print(count)
"""


def config(services, found):
    def pool(i):
        return {"forward": "ipip", "health": "none", "backends": [
            {"name": f"b{j}", "address": f"10.{i // 250}.{i % 250}.{j + 1}"}
            for j in range(POOL_BACKENDS)]}
    return {
        "node": {"interfaces": ["eth0"], "workers": 2,
                 "limits": {"services": 1024, "backends": 16384, "ring_slots": 1 << 22}},
        "pools": {**{f"p{i}": pool(i) for i in range(services)},
                  "found": {"forward": "ipip", "health": "none", "discover": {"file": found}}},
        "services": {"found": {"listen": "198.19.0.1:80/tcp", "mode": "l4", "pool": "found",
                               "ring_size": 1021},
                     **{f"s{i}": {"listen": f"198.18.{i // 250}.{i % 250 + 1}:80/tcp", "mode": "l4",
                               "pool": f"p{i}", "ring_size": 1021} for i in range(services)}},
    }


class Client:
    """A connection that asks for one change after the other."""

    def __init__(self, path, pool, backend):
        self.sock = socket.socket(socket.AF_UNIX)
        self.sock.connect(path)
        self.path, self.weight, self.data = f"/v1/pools/{pool}/backends/{backend}", 1, b""

    def ask(self):
        self.weight = self.weight % 100 + 1
        body = json.dumps({"weight": self.weight}).encode()
        self.sock.sendall(b"PATCH %s HTTP/1.1\r\nHost: x\r\nContent-Length: %d\r\n\r\n%s" % (
            self.path.encode(), len(body), body))

    def take(self):
        """The reply, once it is whole; else None."""
        self.data += self.sock.recv(1 << 16)
        head, separator, body = self.data.partition(b"\r\n\r\n")
        if not separator:
            return None
        fields = dict(line.split(b": ", 1) for line in head.lower().split(b"\r\n")[1:])
        if len(body) < int(fields[b"content-length"]):
            return None
        self.data = b""
        if not head.startswith(b"HTTP/1.1 200"):
            raise SystemExit(f"bench-apply: the daemon answered {head!r} {body!r}")
        return body


def main_thread_ms(pid):
    """Processor time of the daemon's main thread, where changes are made; other programs cost it
    cache lines and no more."""
    with open(f"/proc/{pid}/task/{pid}/schedstat", encoding="ascii") as f:
        return int(f.read().split()[0]) / 1e6


def one_by_one(daemon, services, count, alone=True):
    """(milliseconds of each, rows that each wrote, processor milliseconds of one). alone: nothing
    else changes meanwhile."""
    took, written = [], []
    pid = daemon.ctl_json("status")["pid"]
    before = main_thread_ms(pid)
    client = Client(daemon.socket, f"p{services // 2}", "b3")
    for _ in range(count):
        client.ask()
        reply = None
        while reply is None:
            reply = client.take()
        reply = json.loads(reply)
        assert reply["change_count"] == 1 or not alone, reply
        took.append(reply["duration_us"] / 1000)
        written.append(sum(reply["written"].values()))
    return took, written, (main_thread_ms(pid) - before) / count


def all_at_once(daemon, services, connections, seconds):
    """(changes answered, seconds, generations)"""
    before = daemon.generation()
    selector = selectors.DefaultSelector()
    for i in range(connections):
        client = Client(daemon.socket, f"p{i % services}", f"b{i // services % POOL_BACKENDS}")
        selector.register(client.sock, selectors.EVENT_READ, client)
        client.ask()
    begin, answered, waiting = time.monotonic(), 0, connections
    while waiting:
        for key, _ in selector.select(20):
            if key.data.take() is None:
                continue
            answered += 1
            if time.monotonic() - begin < seconds:
                key.data.ask()
            else:
                waiting -= 1
                selector.unregister(key.fileobj)
                key.fileobj.close()
    return answered, time.monotonic() - begin, daemon.generation() - before


def discovered(daemon, services, found, seconds):
    """A file that changes all the time: how often it did, generations, milliseconds of commands
    meanwhile, the share of the main thread without them, and whether the last of it is in force."""
    pid = daemon.ctl_json("status")["pid"]
    argv = [sys.executable, "-c", WRITER, found, str(FOUND_BACKENDS)]
    with subprocess.Popen(argv, stdin=subprocess.PIPE, stdout=subprocess.PIPE,
                          text=True) as writer:
        before, spent, begin = daemon.generation(), main_thread_ms(pid), time.monotonic()
        time.sleep(seconds)
        lasted = time.monotonic() - begin
        spent = main_thread_ms(pid) - spent
        generations = daemon.generation() - before
        took, _, _ = one_by_one(daemon, services, 20, alone=False)
        count = int(writer.communicate("")[0])
        whole = time.monotonic() - begin
    with open(found, encoding="ascii") as f:
        last = f.read().split("weight: ", 1)[1].split("}")[0]
    deadline = time.monotonic() + 20
    while time.monotonic() < deadline:
        rows = daemon.ctl_json("backend", "list", "found")["backends"]
        if any(b["name"] == "10.200.0.1" and b["weight"] == int(last) for b in rows):
            break
    else:
        raise SystemExit("bench-apply: the last of the file did not take effect")
    return {"replaced_a_second": count / whole,
            "changes_a_second": count * FOUND_BACKENDS / whole,
            "generations_a_second": generations / lasted,
            "main_thread_percent": spent / lasted / 10,
            "command_ms": statistics.median(took)}


def measure(size):
    with Lab() as lab:
        box, other = lab.namespace("balancer"), lab.namespace("router")
        lab.link(box, "eth0", other, "lb")
        for ns, ifname, number in ((box, "eth0", 1), (other, "lb", 2)):
            ns.ip(f"link set {ifname} up", f"addr add 10.255.0.{number}/24 dev {ifname}")
        found = lab.path("found.yaml")
        with open(found, "w", encoding="ascii") as f:
            f.write("- 10.200.0.1\n")
        daemon = Daemon(lab, config(size["services"], found), ns=box,
                        args=["-l", "warning"]).start(60)
        took, written, processor_ms = one_by_one(daemon, size["services"], size["changes"])
        answered, seconds, generations = all_at_once(daemon, size["services"],
                                                     size["connections"], size["seconds"])
        discovery = discovered(daemon, size["services"], found, size["seconds"])
    return {"services": size["services"], "backends": size["services"] * POOL_BACKENDS,
            "change_ms": {"median": statistics.median(took), "least": min(took),
                          "most": max(took)},
            "processor_ms": processor_ms,
            "rows_written": {"median": statistics.median(written), "most": max(written)},
            "changes_a_second": answered / seconds, "generations": generations,
            "discovery": discovery, "changes": answered, "cpu": cpu_model(),
            "shunt": shunt_version()}


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--quick", action="store_true", help="does it run?")
    parser.add_argument("--json", metavar="FILE", help="write the result there")
    args = parser.parse_args()
    mount_bpffs()
    sweep_dead_runs()
    r = measure(QUICK if args.quick else FULL)
    ms = r["change_ms"]
    print(f"{r['services']} services, {r['backends']} backends")
    print(f"one change: {ms['median']:.1f} ms (least {ms['least']:.1f}, most {ms['most']:.1f}; "
          f"goal {GOAL_MS:.0f}), rows written {r['rows_written']['median']:.0f} (most "
          f"{r['rows_written']['most']})")
    print(f"processor time of one, on the main thread: {r['processor_ms']:.1f} ms")
    print(f"all at once: {r['changes_a_second']:.0f} changes a second, "
          f"{r['changes']} in {r['generations']} generations")
    f = r["discovery"]
    print(f"discovery: {f['changes_a_second']:.0f} changes a second (goal {GOAL_RATE}) in "
          f"{f['replaced_a_second']:.0f} files are {f['generations_a_second']:.1f} "
          f"generations, {f['main_thread_percent']:.0f} % of the "
          f"main thread; a command meanwhile: {f['command_ms']:.1f} ms")
    write_json(args.json, r)
    return 0


if __name__ == "__main__":
    sys.exit(main())
