# SPDX-License-Identifier: BSD-2-Clause
"""A second way from the balancer to the backends, beside the standard topology (lab.py):

    balancer eth1 --- switch --- eth1 of b1, b2, ...      10.40.0.0/24, fd00:40::/64

and a service whose backends get their packets in different ways (Mixed). Answers go out by eth0.
"""
import os

from l4 import L4, ECHO_PORT
from lab import BPFFS, BUILD, HERE, PYTHON, TUNNEL_MTU, binary, unique, wait_until


class Segment:
    def __init__(self, net):
        self.net = net
        self.switch = net.lab.namespace("switch")
        self.switch.ip("link add br0 type bridge", "link set br0 up")
        self.numbers = {"lb": 1}
        self._plug(net.balancer, "lb", 1)
        # Frames that XDP sends to it are for nobody unless it runs XDP too.
        prog = os.path.join(BUILD, "tests/net/xdp_pass.bpf.o")
        self.switch.ip(f"link set lb xdpdrv object {prog} section xdp")
        for number, (name, ns) in enumerate(net.backends.items(), start=11):
            self._plug(ns, name, number)

    def _plug(self, ns, port, number):
        self.numbers[port] = number
        self.net.lab.link(ns, "eth1", self.switch, port, TUNNEL_MTU)
        self.switch.ip(f"link set {port} master br0")
        ns.ip(f"addr add {self.address(port)}/24 dev eth1",
              f"addr add {self.address(port, 6)}/64 dev eth1 nodad")

    def address(self, name, family=4):
        number = self.numbers[name]
        return f"10.40.0.{number}" if family == 4 else f"fd00:40::{number}"

    def neighbours(self, ifname="eth1"):
        """The balancer's, by address."""
        import json
        out = self.net.balancer.run(["ip", "-j", "-d", "neigh", "show", "dev", ifname]).stdout
        return {n["dst"]: n for n in json.loads(out)}


class Mixed(L4):
    """ways: the forwarding of each backend by name; "self" is the balancer. With next_hop fib the
    backends are reached over the segment, else over the router."""

    def __init__(self, net, ways, next_hop="fib", **kw):
        kw.setdefault("weights", {name: 1 for name in ways})
        super().__init__(net, **kw)
        self.ways, self.next_hop = ways, next_hop
        self.segment = Segment(net)
        self.pool = {"forward": next(iter(ways.values())), **self.pool}
        if next_hop == "fib":
            self.pool["next_hop"] = "fib"
        self.node = {"interfaces": ["eth0", "eth1"], **self.node}

    def backend_address(self, name):
        if name == "self":
            return "127.0.0.1" if self.outer == 4 else "::1"
        if self.next_hop == "fib" or self.ways[name] == "l2":
            return self.segment.address(name, self.outer)
        return super().backend_address(name)

    def config(self, **changes):
        config = super().config(**changes)
        for backend in config["pools"]["echo"]["backends"]:
            backend["forward"] = self.ways[backend["name"]]
        return config

    def serve(self, backend, names=None, decap=True):
        for name in names or self.ways:
            ns = self.net.balancer if name == "self" else self.net.backends[name]
            for vip in (self.vip(4), self.vip(6)):
                ns.ip(f"addr add {vip}/{128 if ':' in vip else 32} dev lo")
            {"ipip": self._unpack_ipip, "gue": self._unpack_gue}.get(
                self.ways[name], lambda ns: None)(ns)
            vips = [self.target(4), self.target(6)]
            self.servers[name] = backend(name, ns=ns, tcp=vips, udp=vips,
                                         http=[self.target(f, 8080) for f in (4, 6)])

    def _unpack_ipip(self, ns):
        where = ["-i", "eth1" if self.next_hop == "fib" else "eth0",
                 "--pin-path", f"{BPFFS}/{unique('decap')}"]
        ns.run([binary("shunt-decap"), "attach", *where, "--service", self.vip(4),
                "--service", self.vip(6)])
        self.net.lab.at_close(ns.run, [binary("shunt-decap"), "detach", *where])

    def _unpack_gue(self, ns):
        port = str(self.pool.get("gue_port", 6080))
        proc = ns.popen([PYTHON, os.path.join(HERE, "gue_tun.py"), port], text=True, stdout=-1)
        assert proc.stdout.readline() == "ready\n"

    def next_hops(self):
        """What the daemon says of each backend's."""
        return {name: c["next_hop"] for name, c in self.backend_counters().items()}

    def wait_resolved(self, *names):
        self.wait_next_hops(dict.fromkeys(names, "resolved"))

    def wait_next_hops(self, wanted):
        wait_until(lambda: self.next_hops().items() >= wanted.items(), 20,
                   what=lambda: f"next hops {wanted}, they are {self.next_hops()}")

    def expect_udp(self, client, family, names=None):
        udp = client("udp", self.target(family, ECHO_PORT), "--flows", 60,
                     ns=self.net.client).result()
        assert udp["lost"] == 0 and set(udp["by"]) == set(names or self.servers), udp
