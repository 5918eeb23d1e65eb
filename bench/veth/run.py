#!/usr/bin/python3
# SPDX-License-Identifier: BSD-2-Clause
"""Packets a second through real veth pairs: Shunt, the floor and IPVS in turn.

    flood --> router --lb------ balancer "shunt"    a shuntd, one service for each kind of tracking
                 |   --floor--- balancer "floor"    bench/floor.bpf.c
                 |   --ipvs---- balancer "ipvs"     with --ipvs
                 +--- b1, b2, ...                   backends, which drop what reaches them

Every box is a namespace, every link a veth pair. The router sends UDP datagrams to a balancer,
which sends them back in a tunnel to one of the backends; the router hands them on. All of that
happens on one processor, where the sender runs. Counted is what arrives at the backends.
"""
import argparse
import ipaddress
import json
import os
import platform
import re
import statistics
import subprocess
import sys
import time

import yaml

HERE = os.path.dirname(os.path.abspath(__file__))
ROOT = os.path.dirname(os.path.dirname(HERE))
sys.path[:0] = [os.path.join(ROOT, "bench"), os.path.join(ROOT, "tests", "net")]

# pylint: disable=wrong-import-position
from common import (JSON_MARK, BenchError, cpu_model, need, run_in_machine, run_main,
                    shunt_version, write_json)
from daemon import Daemon, SMALL_LIMITS
from lab import Lab, Topology, TUNNEL_MTU, binary, mount_bpffs, sweep_dead_runs, wait_until

FLOOD = "bench/veth/flood"
SEGMENT = "bench/veth/segment.bpf.o"
FLOOR = "bench/floor.bpf.o"
PASS = "tests/net/xdp_pass.bpf.o"
TRACKING = {"on-change": 7001, "always": 7002, "never": 7003}  # and the port of its service
FLOOR_PORT = IPVS_PORT = 7000
# These of IPVS choose by the source address alone, unless they are told otherwise.
PORT_FLAG = {"mh": ["-b", "mh-port"], "sh": ["-b", "sh-port"]}
MAX_BACKENDS = 99  # each has a number of two digits, which IPv6 reads as hexadecimal
CHUNK, VM_CHUNK = 262144, 65536
NS_PER_S = 1e9
WARM_UP = 4  # packets of each flow before the clock runs
ROOM = 16  # entries of a table for each flow: it is shared out among processors, one makes all
LEAST_ARRIVED = 0.5  # of what was sent; with less, something else than speed was measured

# Program: the Debian package that has it.
TOOLS = {"ip": "iproute2", "tc": "iproute2", "ethtool": "ethtool", "bpftool": "bpftool"}
IPVS_TOOLS = {"ipvsadm": "ipvsadm", "modprobe": "kmod"}
VM_TOOLS = {"qemu-system-x86_64": "qemu-system-x86", "busybox": "busybox-static",
            "depmod": "kmod"}


class Segment(Topology):
    """The drawing above. Members on top of Topology's: boxes, all balancers by name."""

    def __init__(self, lab, options, names):
        self.back, self.family, self.names = options.back, options.family, names
        self.boxes = {}
        super().__init__(lab, backends=options.backends)
        self.vip = self.vip4(10) if self.family == 4 else self.vip6(10)

    def own(self, ns):
        """A box's address, of the family that is measured."""
        return ns.addr4 if self.family == 4 else ns.addr6

    def at_port(self, address, port):
        return f"{address}:{port}" if self.family == 4 else f"[{address}]:{port}"

    def service(self, port):
        return self.at_port(self.vip, port)

    def _steer_to_balancer(self):
        """Nothing goes by the router's own routes here; instead, links and their programs."""
        self.boxes["shunt"] = self.balancer
        for number, name in enumerate(self.names, 2):
            self.boxes[name] = self._box(name, name, 20, number, TUNNEL_MTU)

    def link_name(self, name):
        """The router's end of the link to a balancer."""
        return "lb" if name == "shunt" else name

    def address(self, ns, ifname):
        return json.loads(ns.run(["ip", "-j", "link", "show", "dev", ifname]).stdout)[0]["address"]

    def connect(self):
        """Let packets come back, and end at the backends."""
        for name, ns in self.backends.items():
            if self.back == "xdp":
                attach_xdp(ns, "eth0", SEGMENT, "end_xdp")
            else:
                attach_tc(ns, "eth0", "tc/end")
        ports = {self.number(ns): self._ifindex(name) for name, ns in self.backends.items()}
        for name in self.boxes:
            link = self.link_name(name)
            if self.back == "xdp":
                attach_xdp(self.router, link, SEGMENT, "route_xdp")
            else:
                attach_tc(self.router, link, "tc")
                if name != "ipvs":  # what is sent by XDP_TX only an end with a program takes
                    attach_xdp(self.router, link, PASS, "xdp_pass")
            for number, ifindex in ports.items():
                write_map(self.router, link, "seg_ports", number.to_bytes(4, sys.byteorder),
                          ifindex.to_bytes(4, sys.byteorder))

    def number(self, ns):
        """The N of a backend, as segment.bpf.c finds it in the address."""
        packed = ipaddress.ip_address(self.own(ns)).packed
        return packed[2] if self.family == 4 else packed[5]

    def _ifindex(self, ifname):
        return json.loads(self.router.run(["ip", "-j", "link", "show", "dev",
                                           ifname]).stdout)[0]["ifindex"]


def attach_xdp(ns, ifname, obj, program):
    ns.run(["ip", "link", "set", "dev", ifname, "xdpdrv", "object", binary(obj), "program",
            program])


def attach_tc(ns, ifname, section):
    ns.run(["tc", "qdisc", "add", "dev", ifname, "clsact"])
    ns.run(["tc", "filter", "add", "dev", ifname, "ingress", "bpf", "direct-action", "object-file",
            binary(SEGMENT), "section", section])


def with_napi(ns, ifname):
    """A veth end takes XDP frames from its peer where it runs XDP or, with GRO, NAPI."""
    ns.run(["ethtool", "-K", ifname, "gro", "on"])


def write_map(ns, ifname, name, key, value):
    """Into a map of the program that is attached to an interface."""
    def tool(*args):
        return json.loads(ns.run(["bpftool", "-j", *args]).stdout or "null")

    attached = tool("net", "show", "dev", ifname)[0]
    programs = {entry[id_key] for way, id_key in (("xdp", "id"), ("tc", "prog_id"), ("tc", "id"))
                for entry in attached.get(way, []) if id_key in entry}
    for program in programs:
        for map_id in tool("prog", "show", "id", str(program)).get("map_ids", []):
            if tool("map", "show", "id", str(map_id)).get("name") == name:
                tool("map", "update", "id", str(map_id), "key", *map(str, key),
                     "value", *map(str, value))
                return
    raise BenchError(f"{ifname}: no attached program has a map {name}")


class Case:
    """One way of steering: where packets are sent, and what its maker counts."""

    def __init__(self, net, name, box, port):
        self.net, self.name, self.box, self.port = net, name, box, port
        self.ns = net.boxes[box]
        self.link = net.link_name(box)
        self.mac = net.address(self.ns, "eth0")

    def steered(self):
        """Packets that the balancer sent on since it is there."""
        return self.net.router.link_counters(self.link)["rx_packets"]

    def drops(self):
        return 0


class ShuntCase(Case):
    def __init__(self, net, daemon, tracking):
        super().__init__(net, tracking, "shunt", TRACKING[tracking])
        self.daemon = daemon

    def _counters(self):
        return self.daemon.ctl_json("service", "show", self.name)["l4"]

    def steered(self):
        return self._counters()["packets"]

    def drops(self):
        return sum(self._counters()["drops"].values())


class IpvsCase(Case):
    def steered(self):
        """By processor: the sums that ipvsadm shows are brought up to date every two seconds."""
        out = self.ns.run(["cat", "/proc/net/ip_vs_stats_percpu"]).stdout
        counts = re.findall(r"^ *[0-9A-F]+ +[0-9A-F]+ +([0-9A-F]+)(?: +[0-9A-F]+){3}$", out,
                            re.MULTILINE)
        return sum(int(packets, 16) for packets in counts)


def shunt_config(net, options):
    """Its tables have the sizes that every configuration gets; in a machine with little memory,
    where it takes minutes to fill, those that the flows need."""
    limits = {}
    if options.in_machine:
        limits = {**SMALL_LIMITS, "flows": max(SMALL_LIMITS["flows"], ROOM * options.flows)}
    backends = [{"name": name, "address": net.own(ns)} for name, ns in net.backends.items()]
    return yaml.safe_dump({
        "node": {"interfaces": ["eth0"], "pin_path": "@PIN@", "workers": 1,
                 "limits": limits},
        "pools": {"backends": {"forward": "ipip", "health": "none", "backends": backends}},
        "services": {tracking: {"listen": f"{net.service(port)}/udp", "mode": "l4",
                                "pool": "backends", "tracking": tracking}
                     for tracking, port in TRACKING.items()},
    })


def start_floor(net):
    ns = net.boxes["floor"]
    attach_xdp(ns, "eth0", FLOOR, f"floor{net.family}_udp")
    addresses = b"".join(ipaddress.ip_address(net.own(end)).packed.ljust(16, bytes(1))
                         for end in (ns, net.backends["b1"]))
    write_map(ns, "eth0", "fl_backend", bytes(4), addresses)
    return Case(net, "floor", "floor", FLOOR_PORT)


def start_ipvs(net, scheduler):
    ns = net.boxes["ipvs"]
    for module in ("ip_vs", f"ip_vs_{scheduler}"):
        done = subprocess.run(["modprobe", module], capture_output=True, text=True, check=False)
        if done.returncode:
            raise BenchError(f"this kernel has no module {module}: {done.stderr.strip()}")
    service = net.service(IPVS_PORT)
    ns.ip(f"addr add {net.vip}/{32 if net.family == 4 else 128} dev lo")
    with_napi(ns, "eth0")
    ns.run(["ipvsadm", "-A", "-u", service, "-s", scheduler, *PORT_FLAG.get(scheduler, [])])
    for backend in net.backends.values():
        ns.run(["ipvsadm", "-a", "-u", service, "-r", net.at_port(net.own(backend), IPVS_PORT),
                "-i"])
    return IpvsCase(net, "ipvs", "ipvs", IPVS_PORT)


def find_process(name):
    for pid in filter(str.isdigit, os.listdir("/proc")):
        try:
            with open(f"/proc/{pid}/comm", encoding="utf-8") as comm:
                if comm.read().strip() == name:
                    return pid
        except OSError:  # it has ended
            continue
    raise BenchError(f"cannot see {name}, whose time counts too: not in a PID namespace, please")


class Bench:
    def __init__(self, lab, options):
        self.lab, self.options = lab, options
        self.net = Segment(lab, options, ["floor"] + (["ipvs"] if options.ipvs else []))
        self.net.connect()
        self.ksoftirqd = find_process(f"ksoftirqd/{options.cpu}")
        self.cases = [start_floor(self.net)]
        daemon = Daemon(lab, shunt_config(self.net, options), ns=self.net.balancer).start()
        self.cases += [ShuntCase(self.net, daemon, tracking) for tracking in options.tracking]
        if options.ipvs:
            self.cases.append(start_ipvs(self.net, options.scheduler))

    def flood(self, case, *args):
        """Packets sent, seconds, and the processor's seconds for them."""
        out = self.net.router.run([
            binary(FLOOD), "--interface", case.link, "--to", case.mac,
            "--source", self.net.own(self.net.client), "--service",
            self.net.service(case.port),
            "--flows", str(self.options.flows), "--chunk", str(self.options.chunk),
            "--cpu", str(self.options.cpu), *args], timeout=120).stdout
        sent, seconds, cpu = re.fullmatch(r"sent (\d+) in ([0-9.]+), ([0-9.]+)\n", out).groups()
        return int(sent), float(seconds), float(cpu)

    def softirq_seconds(self):
        """Of the kernel's thread that takes over on the sender's processor when packets pile up."""
        with open(f"/proc/{self.ksoftirqd}/schedstat", encoding="utf-8") as stat:
            return int(stat.read().split()[0]) / NS_PER_S

    def counts(self, case):
        at_backends = {name: ns.link_counters("eth0")["rx_packets"]
                       for name, ns in self.net.backends.items()}
        return {"received": case.ns.link_counters("eth0")["rx_packets"],
                "steered": case.steered(), "arrived": sum(at_backends.values()),
                **at_backends}

    def settled(self, case):
        """The counts, once nothing is under way any more."""
        last = self.counts(case)

        def still():
            nonlocal last
            before, last = last, self.counts(case)
            return before["arrived"] == last["arrived"]
        wait_until(still, what="the last packets to arrive")
        return last

    def sample(self, case):
        self.flood(case, "--packets", str(WARM_UP * self.options.flows))
        before, drops = self.settled(case), case.drops()
        softirq = self.softirq_seconds()
        sent, seconds, cpu = self.flood(case, "--seconds", str(self.options.seconds))
        after = self.settled(case)
        cpu += self.softirq_seconds() - softirq
        result = {"sent": sent, "seconds": seconds, "cpu_seconds": cpu,
                  **{key: after[key] - before[key] for key in after}}
        self.check(case, result, case.drops() - drops)
        return result

    def check(self, case, result, drops):
        if drops:
            raise BenchError(f"{case.name}: the balancer dropped {drops} packets: {result}")
        if result["arrived"] < LEAST_ARRIVED * result["sent"]:
            raise BenchError(f"{case.name}: too few packets arrived: {result}")
        idle = [name for name in self.net.backends if not result[name]]
        if idle and case.box != "floor" and self.options.flows >= 64 * self.options.backends:
            raise BenchError(f"{case.name}: nothing arrived at {', '.join(idle)}: {result}")

    def run(self):
        """Samples by case, one of each a round."""
        samples = {case.name: [] for case in self.cases}
        for number in range(1, self.options.rounds + 1):
            for case in self.cases:
                sample = self.sample(case)
                samples[case.name].append(sample)
                print(f"round {number}/{self.options.rounds}  {case.name:<10}"
                      f"{sample['arrived'] / sample['seconds']:12,.0f} packets a second",
                      flush=True)
        return samples


def summarise(samples):
    """A row for each case: medians, also of the rounds' ratios."""
    def nanoseconds(sample):
        return sample["cpu_seconds"] * NS_PER_S / sample["arrived"]

    rows = []
    for name, taken in samples.items():
        ns = [nanoseconds(sample) for sample in taken]
        pps = [sample["arrived"] / sample["seconds"] for sample in taken]
        row = {"case": name, "pps": statistics.median(pps), "pps_max": max(pps),
               "pps_cpu": NS_PER_S / statistics.median(ns),
               "ns": statistics.median(ns), "ns_min": min(ns)}
        for other in ("floor", "ipvs"):
            if other in samples:
                row[f"x_{other}"] = statistics.median(
                    nanoseconds(sample) / nanoseconds(reference)
                    for sample, reference in zip(taken, samples[other]))
        for key in ("sent", "received", "steered", "arrived"):
            row[key] = sum(sample[key] for sample in taken)
        row["rounds"] = taken
        rows.append(row)
    return rows


def print_table(rows):
    columns = [("case", "case", "s"), ("per CPU s", "pps_cpu", ",.0f"), ("per s", "pps", ",.0f"),
               ("ns", "ns", ".0f"), ("least", "ns_min", ".0f"),
               ("x floor", "x_floor", ".2f"), ("x ipvs", "x_ipvs", ".2f"),
               ("sent", "sent", ","), ("steered", "steered", ","), ("arrived", "arrived", ",")]
    columns = [column for column in columns if column[1] in rows[0]]
    print("  ".join(f"{title:>12}" for title, _, _ in columns))
    for row in rows:
        print("  ".join(f"{format(row[key], spec):>12}" for _, key, spec in columns))


def need_built():
    for path in map(binary, ("shuntd", "shuntctl", "shunt-load", FLOOD, SEGMENT, FLOOR, PASS)):
        if not os.path.exists(path):
            raise BenchError(f"{path} is not there: make bench-veth builds it")


def measure(options):
    need({**TOOLS, **(IPVS_TOOLS if options.ipvs else {})})
    need_built()
    mount_bpffs()
    sweep_dead_runs()
    others = os.sched_getaffinity(0) - {options.cpu}
    if options.cpu not in os.sched_getaffinity(0):
        raise BenchError(f"there is no processor {options.cpu} for this program")
    if others:
        os.sched_setaffinity(0, others)  # all but the sender, which goes to its own
    with Lab() as lab:
        print(f"setting up, {options.flows} flows, {options.backends} backends", flush=True)
        rows = summarise(Bench(lab, options).run())
    return {"version": shunt_version(), "kernel": platform.release(), "cpu": cpu_model(),
            "flows": options.flows, "backends": options.backends, "back": options.back,
            "family": options.family, "scheduler": options.scheduler if options.ipvs else "",
            "seconds": options.seconds, "results": rows}


def measure_in_machine(options, argv):
    need({**VM_TOOLS, **TOOLS, **(IPVS_TOOLS if options.ipvs else {})})
    need_built()
    return run_in_machine(options.vm, __file__, argv)


def arguments(argv):
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rounds", type=int, default=9)
    parser.add_argument("--seconds", type=float, default=1, help="of each sample (1)")
    parser.add_argument("--flows", type=int, default=1024, help="a power of two (1024)")
    parser.add_argument("--backends", type=int, default=2)
    parser.add_argument("--family", type=int, choices=[4, 6], default=4)
    parser.add_argument("--tracking", action="append", choices=list(TRACKING),
                        help="may be given several times (all)")
    parser.add_argument("--back", choices=["xdp", "tc"], default="xdp",
                        help="how the router and the backends take packets: as XDP frames, which "
                        "never become an skb, or as skbs, for which IPVS has no extra to pay (xdp)")
    parser.add_argument("--ipvs", action="store_true", help="IPVS too, in its tunnel mode")
    parser.add_argument("--scheduler", default="mh", help="of IPVS (mh, its Maglev)")
    parser.add_argument("--cpu", type=int, default=max(os.sched_getaffinity(0)),
                        help="the sender's processor, where all the work is done (the last)")
    parser.add_argument("--chunk", type=int,
                        help=f"packets between two looks at the clock ({CHUNK}, {VM_CHUNK} with "
                        "--vm)")
    parser.add_argument("--quick", action="store_true", help="does it run? one round, short")
    parser.add_argument("--json", metavar="FILE", help="write the result there too")
    parser.add_argument("--vm", metavar="KERNEL", help="do it on this kernel of vm/kernels.list")
    parser.add_argument("--in-machine", action="store_true", help=argparse.SUPPRESS)
    options = parser.parse_args(argv)
    if options.flows < 1 or options.flows & (options.flows - 1):
        parser.error("--flows: not a power of two")
    if options.rounds < 1 or options.seconds <= 0 or not 1 <= options.backends <= MAX_BACKENDS:
        parser.error("--rounds, --seconds, --backends: not possible")
    options.chunk = options.chunk or (VM_CHUNK if options.vm else CHUNK)
    if options.quick:
        options.rounds, options.seconds = 1, min(options.seconds, 0.2)
        options.chunk = min(options.chunk, 16384)
    options.tracking = options.tracking or list(TRACKING)
    return options


def main():
    argv = sys.argv[1:]
    options = arguments(argv)
    if os.geteuid() != 0:
        raise BenchError("namespaces and programs in them need root")
    started = time.monotonic()
    data = measure_in_machine(options, argv) if options.vm and not options.in_machine \
        else measure(options)
    if options.in_machine:
        print(JSON_MARK + json.dumps(data), flush=True)
        return
    print(f"\nLinux {data['kernel']}, {data['cpu']}; {time.monotonic() - started:.0f} s")
    print_table(data["results"])
    write_json(options.json, data)


if __name__ == "__main__":
    run_main(main)
