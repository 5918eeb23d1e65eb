# SPDX-License-Identifier: BSD-2-Clause
"""Proxied services on prefixes, ranges of ports and any port; who gets their connections."""
import collections
import socket

import pytest

from lab import wait_until

GET = b"GET / HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n"


class Steered:
    """A shuntd in the balancer's namespace with http services NAME -> listen addresses; each has a
    backend of its own that answers with NAME."""

    def __init__(self, net, shuntd, backend, services, workers=4, start=True, **node):
        self.net, self.balancer = net, net.balancer
        host = net.backends["b1"]
        for i, name in enumerate(services):
            backend(name, ns=host, http=[f"{host.addr4}:{8001 + i}"])
        self.names = list(services)
        self.node = {"steer_sockets": "auto", "workers": workers, **node}
        net.balancer.ip(f"route add local {net.VIP4}0/24 dev lo",
                        f"route add local {net.VIP6}/64 dev lo")
        self.daemon = shuntd(self.config(services), ns=net.balancer, start=start)

    def config(self, services):
        host = self.net.backends["b1"].addr4
        return {
            "node": self.node,
            "services": {name: {"listen": listen, "mode": "http", "pool": f"p{name}"}
                         for name, listen in services.items()},
            "pools": {f"p{name}": {"health": "none", "backends": [
                {"name": "b", "address": f"{host}:{8001 + self.names.index(name)}"}]}
                      for name in services},
        }

    def reload(self, services):
        self.daemon.reload(self.config(services))

    def who(self, client, target):
        """The service that answers there; "" where nobody does."""
        result = client("http", f"http://{target}/", "--connections", 1, "--requests", 1,
                        ns=self.net.client).result()
        return next(iter(result["by"]), "")

    def refused(self, addr, port):
        """What a connection from the client's namespace meets."""
        argv = ["/usr/bin/python3", "-c",
                "import socket, sys\n"
                "s = socket.socket(socket.AF_INET6 if ':' in sys.argv[1] else socket.AF_INET)\n"
                "s.settimeout(10)\n"
                "print(s.connect_ex((sys.argv[1], int(sys.argv[2]))))", addr, str(port)]
        return int(self.net.client.run(argv).stdout) != 0

    def status(self):
        return self.daemon.ctl_json("status")["proxy"]["socket_program"]

    def counts(self, name):
        return self.daemon.ctl_json("service", "show", name)["socket_program"]


@pytest.fixture
def steered(topology, shuntd, backend):
    return lambda services, **kw: Steered(topology(backends=1), shuntd, backend, services, **kw)


def test_a_prefix_a_range_and_any_port(steered, client):
    s = steered({
        "any": ["203.0.113.0/24:any/tcp", "[2001:db8:113::]:1/tcp"],
        "range": ["203.0.113.10:8000-8099/tcp", "[2001:db8:113::a]:8000-8099/tcp"],
        "one": ["203.0.113.10:8080/tcp", "[2001:db8:113::a]:8080/tcp"],
        "half": ["203.0.113.128/25:80/tcp", "[2001:db8:113::/65]:80/tcp"],
    })
    for target, name in [
            ("203.0.113.7:80", "any"), ("203.0.113.7:65535", "any"), ("203.0.113.10:80", "any"),
            ("203.0.113.10:8000", "range"), ("203.0.113.10:8099", "range"),
            ("203.0.113.10:8080", "one"), ("203.0.113.11:8080", "any"),
            ("203.0.113.200:80", "half"), ("203.0.113.200:81", "any"),
            ("[2001:db8:113::a]:8000", "range"), ("[2001:db8:113::a]:8099", "range"),
            ("[2001:db8:113::a]:8080", "one"), ("[2001:db8:113::7]:80", "half"),
    ]:
        assert s.who(client, target) == name, target
    assert s.refused("2001:db8:113::a", 8100)
    assert s.refused("2001:db8:113::7", 81)
    assert s.refused(s.balancer.addr4, 80)
    assert s.status()["in_use"]
    assert s.status()["not_local"] == []
    assert s.counts("one")["chosen"] == 2
    assert s.counts("range")["chosen"] == 4
    assert not {name: s.counts(name) for name in s.names
                if s.counts(name)["no_socket"] or s.counts(name)["failed"]}
