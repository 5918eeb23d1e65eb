# SPDX-License-Identifier: BSD-2-Clause
"""A balancer that steers to backends which answer directly, in the standard topology."""
import copy

import lab as stage

ECHO_PORT, HTTP_PORT = 7, 8080


class L4:
    """Members: net (Topology), daemon, servers (Backend by name).

    Service "echo" is TCP on ECHO_PORT and HTTP on HTTP_PORT, "echo-udp" UDP on ECHO_PORT, each at
    vip(4) and vip(6); both use pool "echo". outer: family of the backends' own addresses."""

    def __init__(self, net, weights=None, outer=4, pool=None, service=None, node=None):
        self.net, self.outer = net, outer
        self.weights = weights or {name: 1 for name in net.backends}
        self.pool, self.service, self.node = pool or {}, service or {}, node or {}
        self.daemon = None
        self.servers = {}

    def vip(self, family):
        return self.net.vip4(10) if family == 4 else self.net.vip6(10)

    def target(self, family, port=ECHO_PORT):
        """ADDR:PORT of the service, as clients.py wants it."""
        return f"{self.vip(family)}:{port}" if family == 4 else f"[{self.vip(family)}]:{port}"

    def backend_address(self, name):
        ns = self.net.backends[name]
        return ns.addr4 if self.outer == 4 else ns.addr6

    def config(self, **changes):
        """The daemon's configuration, with some of the constructor's arguments replaced."""
        weights = changes.get("weights", self.weights)
        service = {"mode": "l4", "pool": "echo", **changes.get("service", self.service)}
        targets = [self.target(family, port) for family in (4, 6)
                   for port in (ECHO_PORT, HTTP_PORT)]
        backends = [{"name": name, "address": self.backend_address(name), "weight": weight}
                    for name, weight in weights.items()]
        return {
            "node": {"interfaces": ["eth0"], **changes.get("node", self.node)},
            "pools": {"echo": {"forward": "ipip", "health": "none", "backends": backends,
                               **changes.get("pool", self.pool)}},
            "services": {
                "echo": {"listen": [f"{t}/tcp" for t in targets], **service},
                "echo-udp": {"listen": [f"{self.target(f)}/udp" for f in (4, 6)],
                             **copy.deepcopy(service)},
            },
        }

    def serve(self, backend, names=None, decap=True):
        """Decapsulation and a server on each backend."""
        names = names or list(self.net.backends)
        self.net.serve_vips(self.vip(4), self.vip(6), backends=names, decap=decap)
        for name in names:
            ns = self.net.backends[name]
            own = [f"{ns.addr4}:{ECHO_PORT}", f"[{ns.addr6}]:{ECHO_PORT}"]
            vips = [self.target(4), self.target(6)]
            self.servers[name] = backend(
                name, ns=ns, tcp=vips + own, udp=vips,
                http=[self.target(f, HTTP_PORT) for f in (4, 6)])

    # ---- counters
    def service_show(self, name="echo"):
        return self.daemon.ctl_json("service", "show", name)

    def counters(self, name="echo"):
        """Of a service: packets, bytes, new_flows, ..."""
        return self.service_show(name)["l4"]

    def drops(self, name="echo"):
        """Of a service, by reason."""
        return self.service_show(name)["l4"]["drops"]

    def backend_counters(self):
        """By backend: packets, bytes, new_flows, slots."""
        listed = self.daemon.ctl_json("backend", "list", "echo")["backends"]
        return {b["name"]: b["l4"] for b in listed}

    def verdicts(self):
        return self.daemon.ctl_json("status")["l4"]["verdicts"]

    def expect_served(self, client, family=4, count=60, names=None, args=()):
        """`count` new connections all succeed, on these backends and no other."""
        result = client("connect", self.target(family), "--count", count, *args,
                        ns=self.net.client).result()
        assert result["errors"] == {}, result
        assert set(result["by"]) == set(names or self.servers), result
        return result["by"]


def shares(by):
    total = sum(by.values())
    return {name: n / total for name, n in by.items()}


def wait_served(l4, client, names, timeout=15):
    """Until new connections succeed on exactly these backends."""
    def served():
        result = client("connect", l4.target(4), "--count", 60, ns=l4.net.client).result()
        return not result["errors"] and set(result["by"]) == set(names)
    stage.wait_until(served, timeout, what=f"new connections on {sorted(names)}")
