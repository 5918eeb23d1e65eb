# SPDX-License-Identifier: BSD-2-Clause
"""A balancer that does NAT, in the standard topology.

Services, each at vip(4) and vip(6), and the port that the backends serve them on:

    echo4, echo6    TCP and UDP ECHO_PORT    -> ECHO_PORT + BEHIND
    web4, web6      HTTP on HTTP_PORT        -> HTTP_PORT + BEHIND

source: None (the backends see the client; the router sends their answers through the balancer), or
what source_nat says. segment: the backends are reached over a network of their own (segment.py), by
the routes, and answer over it."""
import copy

from segment import Segment

ECHO_PORT, HTTP_PORT, BEHIND = 7, 8080, 1000


def join(addr, port):
    return f"[{addr}]:{port}" if ":" in addr else f"{addr}:{port}"


class Nat:
    """Members: net (Topology), daemon, servers (Backend by name)."""

    def __init__(self, net, source=None, pool=None, service=None, node=None, segment=False):
        self.net, self.source = net, source
        self.segment = Segment(net) if segment else None
        self.pool, self.service, self.node = pool or {}, service or {}, node or {}
        self.daemon = self._backend = None
        self.servers = {}
        if segment:
            self.node = {"interfaces": ["eth0", "eth1"], **self.node}
            self.pool = {"next_hop": "fib", **self.pool}
            for ns in net.backends.values():  # their answers meet XDP with whole checksums
                ns.run(["ethtool", "-K", "eth1", "tx", "off"])
        if source is None and segment:
            for ns in net.backends.values():
                ns.ip(f"route replace default via {self.segment.address('lb')} dev eth1",
                      f"route replace default via {self.segment.address('lb', 6)} dev eth1")
        elif source is None:
            self._route_answers_through_balancer()

    def _route_answers_through_balancer(self):
        """What comes in from backends, and what the router itself says of their packets."""
        router, lb = self.net.router, self.net.balancer
        router.ip(f"route add default via {lb.addr4} dev lb table 100",
                  f"route add ::/0 via {lb.addr6} dev lb table 100")
        for flag in ("-4", "-6"):
            for name in self.net.backends:
                router.run(["ip", flag, "rule", "add", "iif", name, "lookup", "100"])
            proto = "icmp" if flag == "-4" else "ipv6-icmp"
            # Answers of the lab's own neighbour discovery are link-local and not routed.
            to = [] if flag == "-4" else ["to", f"{self.net.client.addr6}/128"]
            router.run(["ip", flag, "rule", "add", "iif", "lo", "ipproto", proto, *to,
                        "lookup", "100"])

    def vip(self, family):
        return self.net.vip4(10) if family == 4 else self.net.vip6(10)

    def target(self, family, port=ECHO_PORT):
        return join(self.vip(family), port)

    def backend_address(self, name, family):
        if self.segment:
            return self.segment.address(name, family)
        ns = self.net.backends[name]
        return ns.addr4 if family == 4 else ns.addr6

    def _pool(self, family, port, names):
        backends = [{"name": name, "address": join(self.backend_address(name, family), port)}
                    for name in names or self.net.backends]
        source = {} if self.source is None else {"source_nat": copy.deepcopy(self.source)}
        return {"forward": "nat", "health": "none", **source, "backends": backends,
                **copy.deepcopy(self.pool)}

    def config(self, names=None):
        pools, services = {}, {}
        for family in (4, 6):
            for kind, port, protos in (("echo", ECHO_PORT, ("tcp", "udp")),
                                       ("web", HTTP_PORT, ("tcp",))):
                pools[f"{kind}{family}"] = self._pool(family, port + BEHIND, names)
                services[f"{kind}{family}"] = {
                    "mode": "l4", "pool": f"{kind}{family}",
                    "listen": [f"{self.target(family, port)}/{proto}" for proto in protos],
                    **copy.deepcopy(self.service)}  # YAML would say it by reference
        return {"node": {"interfaces": ["eth0"], **self.node}, "pools": pools,
                "services": services}

    def serve(self, backend):
        self._backend = backend
        for name, ns in self.net.backends.items():
            own = [self.backend_address(name, family) for family in (4, 6)]
            echo = [join(addr, ECHO_PORT + BEHIND) for addr in own]
            self.servers[name] = backend(
                name, ns=ns, tcp=echo, udp=echo,
                http=[join(addr, HTTP_PORT + BEHIND) for addr in own])

    def tunnelled(self, port, name="b1"):
        """One more server on a backend, at the service address itself."""
        return self._backend(name, ns=self.net.backends[name], http=[self.target(4, port)])

    # ---- counters
    def counters(self, name="echo4"):
        return self.daemon.ctl_json("service", "show", name)["l4"]

    def drops(self, name="echo4"):
        return {reason: n for reason, n in self.counters(name)["drops"].items() if n}

    def nat(self):
        return self.daemon.ctl_json("status")["l4"]["nat"]

    def expect_served(self, client, family=4, count=60, port=ECHO_PORT):
        result = client("connect", self.target(family, port), "--count", count,
                        ns=self.net.client).result()
        assert result["errors"] == {}, (result, self.drops(f"echo{family}"))
        assert set(result["by"]) == set(self.servers), result
