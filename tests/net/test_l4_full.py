# SPDX-License-Identifier: BSD-2-Clause
"""Tables of prefixes at their limit in the kernel: what fills them is applied, also in the place of
as many others; what is more is refused with a word, and not a row of any table changes."""
import json

import pytest

from lab import PIN_DIR

LIMIT = 16
TABLES = ("sh_services", "sh_addrs", "sh_prefixes", "sh_routes", "sh_svc_rings", "sh_backends",
          "sh_guard4", "sh_guard6", "sh_switches")


def prefixes(family, count, first=0):
    """So many /24 or /64, from the first on."""
    numbers = range(first, first + count)
    if family == 4:
        return [f"10.{n}.7.0/24" for n in numbers]
    return [f"2001:db8:{n:x}::/64" for n in numbers]


def listens(*found):
    return [f"[{p}]:80/tcp" if ":" in p else f"{p}:80/tcp" for p in found]


class Node:
    """A daemon whose tables have little room."""

    def __init__(self, lab, shuntd):
        ns = lab.namespace("box")
        ns.ip("link add eth0 type veth peer name peer0", "link set eth0 up", "link set peer0 up")
        self.daemon = shuntd(self.config(), ns=ns)

    @staticmethod
    def config(listen=(), routes=(), guard=()):
        """routes: of which sources go to another pool."""
        pools = {name: {"health": "none", "backends": [{"name": name, "address": addr}]}
                 for name, addr in (("one", "192.0.2.1"), ("two", "192.0.2.2"))}
        service = {"mode": "l4", "pool": "one", "listen": ["203.0.113.10:80/tcp", *listen],
                   "ring_size": 251}
        if routes:
            service["source_routes"] = [{"from": list(routes), "pool": "two"}]
        return {"node": {"interfaces": ["eth0"], "tunnel_source": ["192.0.2.9"],
                         "limits": {"services": LIMIT, "guard": LIMIT}},
                "guard": {"block": list(guard)},
                "pools": pools, "services": {"web": service}}

    def tables(self):
        return {name: self.dump(name) for name in TABLES}

    def dump(self, name):
        path = f"{self.daemon.pin_path}/{PIN_DIR}/{name}"
        done = self.daemon.ns.run(["bpftool", "-j", "map", "dump", "pinned", path])
        return [(row["key"], row["value"]) for row in json.loads(done.stdout)]

    def apply(self, **kw):
        self.daemon.write_config(self.config(**kw))
        return self.daemon.ctl("config", "apply", self.daemon.config_path)

    def check_applied(self, table, count, **kw):
        done = self.apply(**kw)
        assert done.rc == 0, done
        assert len(self.dump(table)) == count

    def check_refused(self, word, **kw):
        before = self.tables()
        done = self.apply(**kw)
        assert done.rc == 3 and word in done.stderr, done
        assert self.tables() == before


@pytest.fixture
def node(lab, shuntd):
    return Node(lab, shuntd)


@pytest.mark.parametrize("family", [4, 6])
def test_prefixes_of_services(node, family):
    room = LIMIT - 1  # beside the one address
    node.check_applied("sh_prefixes", room, listen=listens(*prefixes(family, room)))
    node.check_refused("node.limits.services: 16 is too small",
                       listen=listens(*prefixes(family, room + 1)))
    node.check_applied("sh_prefixes", room, listen=listens(*prefixes(family, room, 100)))
    node.check_applied("sh_prefixes", room, listen=listens(*prefixes(family, room, 107)))
    node.check_applied("sh_prefixes", 0)


@pytest.mark.parametrize("family", [4, 6])
def test_addresses_of_services(node, family):
    def addrs(first):
        return listens(*(p.split("/")[0] for p in prefixes(family, LIMIT - 1, first)))

    for first in (0, 100, 107):
        node.check_applied("sh_vips", LIMIT, listen=addrs(first))
    node.check_applied("sh_vips", 1)


@pytest.mark.parametrize("family", [4, 6])
def test_source_routes(node, family):
    node.check_applied("sh_routes", LIMIT, routes=prefixes(family, LIMIT))
    node.check_refused("source routes", routes=prefixes(family, LIMIT + 1))
    # While both stand some sources go by those that they had: so there has to be room for both.
    node.check_refused("1 source routes that are new", routes=prefixes(family, LIMIT, 1))
    node.check_applied("sh_routes", LIMIT // 2, routes=prefixes(family, LIMIT // 2))
    node.check_applied("sh_routes", LIMIT // 2, routes=prefixes(family, LIMIT // 2, 100))
    node.check_applied("sh_routes", LIMIT, routes=prefixes(family, LIMIT, 100))
    node.check_applied("sh_routes", 0)


@pytest.mark.parametrize("family", [4, 6])
def test_lists_of_the_guard(node, family):
    table = f"sh_guard{family}"
    node.check_applied(table, LIMIT, guard=prefixes(family, LIMIT))
    node.check_refused("raise node.limits.guard", guard=prefixes(family, LIMIT + 1))
    node.check_applied(table, LIMIT, guard=prefixes(family, LIMIT, 100))
    node.check_applied(table, LIMIT, guard=prefixes(family, LIMIT, 107))
    node.check_applied(table, 0)
