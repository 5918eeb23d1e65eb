#!/usr/bin/python3
# SPDX-License-Identifier: BSD-2-Clause
"""What it takes to relay a body, by each way that the kernel has for it.

    source --- relay --- sink        all on the loopback device

By turns: straight from the source to the sink; recv() and send() as shuntd does it; splice(); a
sockmap that the backend's socket is put into for each body, or for as long as it is there; and
where the client has TLS, records that user space seals, or the kernel (kTLS), from a buffer or a
pipe.
Counted is the processor time of all threads that have a part in it, the kernel's included, and what
the same bytes take without a relay is taken off. On one processor all share its caches, and nothing
waits for another one; on two, the relay has one and both ends have the other."""
import argparse
import json
import os
import platform
import statistics
import subprocess
import sys

HERE = os.path.dirname(os.path.abspath(__file__))
ROOT = os.path.dirname(os.path.dirname(HERE))
sys.path[:0] = [os.path.join(ROOT, "bench"), os.path.join(ROOT, "tests", "net")]

# pylint: disable=wrong-import-position
from common import (JSON_MARK, BenchError, cpu_model, run_in_machine, run_main, shunt_version,
                    write_json)
from lab import binary

WAYS = {"direct": "no relay", "copy": "recv, send", "splice": "splice",
        "sockmap-body": "sockmap, each body", "sockmap-tunnel": "sockmap, a connection",
        "seal": "TLS: recv, seal, send", "ktls-copy": "kTLS: recv, send",
        "ktls-splice": "kTLS: splice"}
BASES = {"plain": "copy", "tls": "seal"}
BODIES = [1 << 10, 1 << 14, 1 << 16, 1 << 20, 1 << 24]
MIB = 1 << 20
# kTLS, and the instructions for AES that it has; where they are not modules, or not there at all,
# the program says what is missing.
MODULES = ("tls", "aesni_intel")
VM_CPU = "Nehalem,+aes,+pclmulqdq"


def base_of(way):
    return BASES["tls" if way in ("seal", "ktls-copy", "ktls-splice") else "plain"]


def run_ways(options, cpus):
    """Samples, and {way: what it lacks}."""
    command = [binary("bench/relay/ways"), "--cpus", f"{cpus[0]},{cpus[1]}",
               "--rounds", str(options.rounds), "--seconds", str(options.seconds),
               "--bodies", ",".join(map(str, options.bodies)),
               *(["--spoil"] if options.spoil else []),
               *(["--only", options.only] if options.only else [])]
    done = subprocess.run(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
                          stdin=subprocess.DEVNULL, check=False)
    if done.returncode:
        raise BenchError(done.stderr.strip() or f"ways ended with status {done.returncode}")
    lines = [json.loads(line) for line in done.stdout.splitlines()]
    return ([line for line in lines if "lacks" not in line],
            {line["way"]: line["lacks"] for line in lines if "lacks" in line})


def all_ns(sample):
    return sample["relay_ns"] + sample["ends_ns"] + sample["kernel_ns"]


def us_of(sample, ns):
    return ns / 1e3 * sample["body"] / sample["bytes"]


def summarise(samples):
    """{(way, body): medians over the rounds}."""
    by_key = {(s["way"], s["body"], s["round"]): s for s in samples}
    rows = {}
    for way, body in dict.fromkeys((s["way"], s["body"]) for s in samples):
        costs, ratios, own = [], [], []
        for (its_way, its_body, turn), sample in by_key.items():
            if (its_way, its_body) != (way, body):
                continue
            direct = by_key["direct", body, turn]
            base = by_key[base_of(way), body, turn]
            nothing = us_of(direct, all_ns(direct)) if way != "direct" else 0
            costs.append(us_of(sample, all_ns(sample)) - nothing)
            if way != "direct":
                ratios.append(costs[-1] / (us_of(base, all_ns(base)) - nothing))
            own.append(sample)
        rows[way, body] = {
            "us": statistics.median(costs), "us_min": min(costs),
            "x_base": statistics.median(ratios) if ratios else None,
            "relay_us": statistics.median(us_of(s, s["relay_ns"]) for s in own),
            "kernel_us": statistics.median(us_of(s, s["kernel_ns"]) for s in own),
            "mib_s": statistics.median(s["bytes"] / MIB / (s["wall_ns"] / 1e9) for s in own),
            "setup_us": statistics.median(s["setup_ns"] / 1e3 for s in own)}
    return rows


def measure(options):
    for module in MODULES:
        try:
            subprocess.run(["modprobe", "-q", module], stderr=subprocess.DEVNULL, check=False)
        except FileNotFoundError:
            break
    first, last = options.cpus
    together, lacks = run_ways(options, (first, first))
    apart, _ = run_ways(options, (first, last))
    one, two = summarise(together), summarise(apart)
    busy = {name: sum(map(all_ns, samples)) / max(1, sum(s["busy_ns"] for s in samples))
            for name, samples in (("one", together), ("two", apart))}
    return {"version": shunt_version(), "kernel": platform.release(), "cpu": cpu_model(),
            "rounds": options.rounds, "seconds": options.seconds, "lacks": lacks,
            "accounted": busy,
            "results": [{"way": way, "body": body, "one": one[way, body], "two": two[way, body]}
                        for body in options.bodies for way in WAYS if (way, body) in one]}


def size(body):
    return f"{body // MIB} MiB" if body >= MIB else f"{body // 1024} KiB"


def number(value, spec):
    return "" if value is None else format(value, spec)


def show(data):
    print(f"\nLinux {data['kernel']}, {data['cpu']}; {data['rounds']} rounds of "
          f"{data['seconds']:g} s\n")
    print(f"{'':8} {'':22} | {'one processor':>16} | {'two processors':>16} | "
          f"{'of the relay':>12} {'the kernel':>10} {'MiB/s':>7}")
    print(f"{'body':8} {'way':22} | {'us':>10} {'x':>5} | {'us':>10} {'x':>5} | "
          f"{'us':>12} {'us':>10} {'':>7}")
    for row in data["results"]:
        one, two = row["one"], row["two"]
        print(f"{size(row['body']):8} {WAYS[row['way']]:22} | {one['us']:10.1f} "
              f"{number(one['x_base'], '.2f'):>5} | {two['us']:10.1f} "
              f"{number(two['x_base'], '.2f'):>5} | {two['relay_us']:12.1f} "
              f"{two['kernel_us']:10.1f} {two['mib_s']:7,.0f}")
    for way, why in data["lacks"].items():
        print(f"{'':8} {WAYS[way]:22} | not measured: {why}")
    for way in ("sockmap-tunnel", "ktls-copy"):
        setups = [row["two"]["setup_us"] for row in data["results"] if row["way"] == way]
        if setups:
            print(f"{WAYS[way]}: {statistics.median(setups):.1f} us of the relay's thread for each "
                  "connection besides")
    print("in it is so much of the time that /proc/stat says all processors were busy: "
          + ", ".join(f"{name} {part:.0%}" for name, part in data["accounted"].items()))


def arguments(argv):
    cpus = sorted(os.sched_getaffinity(0))
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rounds", type=int, default=7)
    parser.add_argument("--seconds", type=float, default=0.25, help="of each sample (0.25)")
    parser.add_argument("--bodies", default=",".join(map(str, BODIES)),
                        type=lambda text: [int(n) for n in text.split(",")],
                        help="bytes of a body, several with commas")
    parser.add_argument("--cpus", default=(cpus[0], cpus[-1]), metavar="RELAY,ENDS",
                        type=lambda text: tuple(int(n) for n in text.split(",")),
                        help="processors (the first and the last one)")
    parser.add_argument("--quick", action="store_true", help="does it run? one round, short")
    parser.add_argument("--json", metavar="FILE", help="write the result there too")
    parser.add_argument("--vm", metavar="KERNEL", help="do it on this kernel of vm/kernels.list")
    parser.add_argument("--only", choices=list(WAYS), help=argparse.SUPPRESS)
    parser.add_argument("--spoil", action="store_true",
                        help="send one byte that is another one: the run must fail")
    parser.add_argument("--in-machine", action="store_true", help=argparse.SUPPRESS)
    options = parser.parse_args(argv)
    if options.rounds < 1 or options.seconds <= 0 or len(options.cpus) != 2 \
            or min(options.bodies) < 1:
        parser.error("--rounds, --seconds, --cpus, --bodies: not possible")
    if options.only and not options.spoil:
        parser.error("--only: goes with --spoil; else ways are compared")
    if options.quick:
        options.rounds, options.seconds = 1, min(options.seconds, 0.05)
    return options


def main():
    argv = sys.argv[1:]
    options = arguments(argv)
    if os.geteuid() != 0:
        raise BenchError("a sockmap needs root")
    if options.vm and not options.in_machine:
        data = run_in_machine(options.vm, __file__, argv, {"VM_CPU": VM_CPU})
    else:
        data = measure(options)
    if options.in_machine:
        print(JSON_MARK + json.dumps(data), flush=True)
        return
    show(data)
    write_json(options.json, data)


if __name__ == "__main__":
    run_main(main)
