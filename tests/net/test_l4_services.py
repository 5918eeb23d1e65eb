# SPDX-License-Identifier: BSD-2-Clause
"""What a service listens on, and which backend a flow is for: ranges, prefixes, affinity, source
routes, QUIC connection ids."""
import collections
import json
import os

import pytest

from lab import HERE, PYTHON
from quic import lb_cid, long_header, short_header


class Stage:
    """Backends b1, b2, ... that answer at some ports of some addresses, over TCP and UDP."""

    def __init__(self, topology, shuntd, backend, ports, lasts=(10,), backends=3):
        self.net = topology(backends=backends)
        self.shuntd, self.daemon = shuntd, None
        vips = [self.vip(f, last) for f in (4, 6) for last in lasts]
        self.net.serve_vips(*vips)
        for name, ns in self.net.backends.items():
            targets = [self.at(f, port, last)
                       for f in (4, 6) for last in lasts for port in ports]
            backend(name, ns=ns, tcp=targets, udp=targets)

    def vip(self, family, last):
        return self.net.vip4(last) if family == 4 else self.net.vip6(last)

    def at(self, family, port, last=10, prefix=None):
        """ADDR:PORT; prefix: of its length."""
        addr = self.vip(family, last) + (f"/{prefix}" if prefix else "")
        return f"[{addr}]:{port}" if family == 6 else f"{addr}:{port}"

    def pool(self, names, **backend):
        """backend: {name: {key: value}}"""
        return {"health": "none", "backends": [
            {"name": n, "address": self.net.backends[n].addr4, **backend.get(n, {})}
            for n in names]}

    def config(self, services, pools=None):
        pools = pools or {name: self.pool([name]) for name in self.net.backends}
        return {"node": {"interfaces": ["eth0"]}, "pools": pools,
                "services": {name: {"mode": "l4", **s} for name, s in services.items()}}

    def start(self, services, pools=None):
        self.daemon = self.shuntd(self.config(services, pools), ns=self.net.balancer)
        return self

    def ask(self, *items):
        """Of each (source address or None, source port, (address, port), hex) who answered."""
        asked = []
        for source, sport, to, data in items:
            v6 = ":" in to[0]
            source = source or (self.net.client.addr6 if v6 else self.net.client.addr4)
            asked.append({"from": [source, sport], "to": to, "hex": data})
        done = self.net.client.run([PYTHON, os.path.join(HERE, "datagrams.py")],
                                   input=json.dumps(asked))
        return json.loads(done.stdout)

    def counters(self, name):
        return self.daemon.ctl_json("service", "show", name)["l4"]

    def more_sources(self, family, count):
        """So many more addresses of the client."""
        prefix, width = (f"{self.net.client.addr4[:-1]}", 32) if family == 4 else (
            f"{self.net.client.addr6[:-1]}", 128)
        addrs = [f"{prefix}{i}" if family == 4 else f"{prefix}{i:x}"
                 for i in range(20, 20 + count)]
        self.net.client.ip(*[f"addr add {a}/{width} dev eth0" + (" nodad" if width == 128 else "")
                             for a in addrs])
        return addrs


@pytest.fixture
def stage(topology, shuntd, backend):
    """stage(ports=[...], lasts=[...], backends=3) -> Stage; start() it"""
    return lambda **kw: Stage(topology, shuntd, backend, **kw)


@pytest.mark.parametrize("family", [4, pytest.param(6, marks=pytest.mark.vm)])
def test_ranges_ports_and_prefixes_in_their_order(stage, client, family):
    bits = 24 if family == 4 else 64
    it = stage(ports=[80, 443, 8000, 8099], lasts=[10, 11], backends=4)
    it.start({
        "one": {"pool": "b1", "listen": [it.at(family, 80) + "/tcp"]},
        "range": {"pool": "b2", "listen": [it.at(family, "8000-8099") + "/tcp"]},
        "any": {"pool": "b3", "listen": [it.at(family, "any") + "/tcp"]},
        "prefix": {"pool": "b4", "listen": [it.at(family, 443, "0" if family == 4 else "", bits)
                                            + "/tcp"]},
    })
    for last, port, name in [(10, 80, "b1"), (10, 8000, "b2"), (10, 8099, "b2"), (10, 443, "b3"),
                             (11, 443, "b4")]:
        result = client("connect", it.at(family, port, last), "--count", 10,
                        ns=it.net.client).result()
        assert result["by"] == {name: 10} and not result["errors"], (last, port, result)
    # For no service: up the stack of the balancer, which does not have the address.
    verdicts = it.daemon.ctl_json("status")["l4"]["verdicts"]
    assert it.ask((None, 0, [it.vip(family, 11), 80], "00"),
                  (None, 0, [it.vip(family, 10), 80], "00")) == [None, None]
    after = it.daemon.ctl_json("status")["l4"]["verdicts"]
    assert after["pass_no_service"] >= verdicts["pass_no_service"] + 2
    # And again when the services that come first are gone.
    config = it.config({"prefix": {"pool": "b4", "listen": [
        it.at(family, 443, "0" if family == 4 else "", bits) + "/tcp"]}},
        pools={"b4": it.pool(["b4"])})
    it.daemon.reload(config)
    result = client("connect", it.at(family, 443), "--count", 10, ns=it.net.client).result()
    assert result["by"] == {"b4": 10} and not result["errors"]


def test_listens_are_shown_as_they_are_written(stage):
    it = stage(ports=[80])
    listens = [it.at(4, "8000-8099") + "/udp", it.at(4, "any") + "/tcp",
               it.at(4, 443, 0, 24) + "/tcp", it.at(6, 443, "", 64) + "/tcp"]
    it.start({"web": {"pool": "b1", "listen": listens}}, pools={"b1": it.pool(["b1"])})
    assert it.daemon.ctl_json("service", "show", "web")["listen"] == listens
    shown = it.daemon.ctl("service", "show", "web").stdout
    assert all(listen in shown for listen in listens)


def test_more_ranges_than_a_list_holds_are_refused(stage):
    it = stage(ports=[80])
    listens = [it.at(4, f"{100 * i}-{100 * i + 9}") + "/tcp" for i in range(1, 17)]
    it.start({"web": {"pool": "b1", "listen": listens}}, pools={"b1": it.pool(["b1"])})
    more = it.config({"web": {"pool": "b1", "listen": [*listens, it.at(4, "any") + "/tcp"]}},
                     pools={"b1": it.pool(["b1"])})
    it.daemon.write_config(more)
    refused = it.daemon.ctl("config", "apply", it.daemon.config_path)
    assert refused.rc == 3 and "17 ranges and prefixes that overlap" in refused.stderr, refused
    assert it.daemon.ctl_json("service", "show", "web")["listen"] == listens


@pytest.mark.parametrize("family", [4, 6])
@pytest.mark.parametrize("affinity", ["source", "source-destination"])
def test_flows_of_one_source_go_to_one_backend(stage, family, affinity):
    it = stage(ports=[7])
    it.start({"echo": {"pool": "p", "affinity": affinity, "listen": [it.at(family, 7) + "/udp"]}},
             pools={"p": it.pool(["b1", "b2", "b3"], b3={"weight": 2})})
    to = [it.vip(family, 10), 7]
    assert len(set(it.ask(*[(None, 2000 + i, to, "00") for i in range(100)]))) == 1
    # Many sources still by the weights: of 200 a quarter, a quarter, a half.
    sources = it.more_sources(family, 200)
    by = collections.Counter(it.ask(*[(s, 0, to, "00") for s in sources]))
    assert set(by) == {"b1", "b2", "b3"}
    assert abs(by["b3"] / 200 - 0.5) < 0.15, by


@pytest.mark.parametrize("family", [4, 6])
def test_sources_go_to_a_pool_of_their_own(stage, family):
    it = stage(ports=[7])
    near, nearer, far = it.more_sources(family, 3)
    whole = 32 if family == 4 else 128
    pools = {"all": it.pool(["b1"]), "near": it.pool(["b2"]), "one": it.pool(["b3"])}
    routes = [{"from": f"{near}/{whole}", "pool": "near"},
              {"from": [f"{nearer}/{whole}"], "pool": "one"},
              {"from": f"{far}/{whole}", "pool": "near"}]
    service = {"pool": "all", "listen": [it.at(family, 7) + "/udp"]}
    it.start({"echo": {**service, "source_routes": routes}}, pools)
    to = [it.vip(family, 10), 7]

    def answers():
        return it.ask(*[(s, 0, to, "00") for s in (near, nearer, far, None)])

    assert answers() == ["b2", "b3", "b2", "b1"]
    slots = it.daemon.ctl_json("backend", "list", "near")["backends"][0]["l4"]["slots"]
    assert slots == {"echo@near": 65537}
    assert "b2" in it.daemon.ctl("service", "show", "echo").stdout
    assert it.counters("echo")["packets"] == 4
    it.daemon.reload(it.config({"echo": {**service, "source_routes": routes[1:]}}, pools))
    assert answers() == ["b1", "b3", "b2", "b1"]
    it.daemon.reload(it.config({"echo": service}, {"all": pools["all"]}))
    assert answers() == ["b1"] * 4


LB = {"cid": "lb", "config_id": 2, "server_id_length": 2}
IDS = {"b1": {"server_id": "0x0a01"}, "b2": {"server_id": "0x0a02"}, "b3": {"server_id": 2563}}


@pytest.mark.parametrize("family", [4, 6])
def test_quic_follows_its_connection_id(stage, family):
    """A connection that the client moves to another port stays where it is, through changes too."""
    it = stage(ports=[443])
    service = {"quic": {"pool": "p", "quic": LB, "listen": [it.at(family, 443) + "/udp"]}}
    it.start(service, {"p": it.pool(["b1", "b2", "b3"], **IDS)})
    to = [it.vip(family, 10), 443]
    first = it.ask((None, 5000, to, long_header("0011223344556677")))[0]
    assert first in IDS
    cid = lb_cid({"b1": "0a01", "b2": "0a02", "b3": "0a03"}[first], config=2)
    handshake = [(None, 5000, to, long_header(cid, first=0xe0))]
    moved = [(None, 5001 + i, to, short_header(cid)) for i in range(60)]
    assert set(it.ask(*handshake, *moved)) == {first}
    # More of them where an answer took so long that it was asked for again.
    assert it.counters("quic")["cid"] >= 61 and it.counters("quic")["cid_unknown"] == 0
    # Ids that nobody has, and other configurations: by the flow, all over.
    unknown = [(None, 6000 + i, to, short_header(lb_cid("ffff", config=2))) for i in range(30)]
    other = [(None, 7000 + i, to, short_header(lb_cid("0a01", config=3))) for i in range(30)]
    assert set(it.ask(*unknown)) == set(it.ask(*other)) == set(IDS)
    assert it.counters("quic")["cid_unknown"] >= 60
    # Draining and removed backends keep their connections, disabled ones do not.
    assert it.daemon.ctl("backend", "drain", "p", first).rc == 0
    assert set(it.ask(*moved)) == {first}
    assert it.daemon.ctl("backend", "remove", "p", first).rc == 0
    assert set(it.ask(*moved)) == {first}
    it.daemon.reload(it.config(service, {"p": it.pool(["b1", "b2", "b3"], **IDS)}))
    assert it.daemon.ctl("backend", "disable", "p", first).rc == 0
    left = set(it.ask(*moved))
    assert left and first not in left


def test_quic_by_an_id_at_an_offset(stage):
    it = stage(ports=[443])
    it.start({"quic": {"pool": "p", "listen": [it.at(4, 443) + "/udp"], "quic": {
        "cid": "offset", "offset": 4, "server_id_length": 1, "mask": "0x0f"}}},
        {"p": it.pool(["b1", "b2", "b3"], b1={"server_id": 1}, b2={"server_id": 2},
                      b3={"server_id": 3})})
    to = [it.vip(4, 10), 443]
    for number in (1, 2, 3):
        packets = [(None, 5000 + i, to, short_header(f"aabbccdd{i}{number}"))
                   for i in range(8)]
        assert set(it.ask(*packets)) == {f"b{number}"}


def test_everything_survives_the_daemon(stage, client):
    """Another daemon takes over what stands, and writes nothing."""
    it = stage(ports=[80, 443])
    pools = {"p": it.pool(["b1", "b2"], **IDS), "near": it.pool(["b3"])}
    it.start({"web": {
        "pool": "p", "affinity": "source", "quic": LB,
        "listen": [it.at(4, "any") + "/udp", it.at(4, 80, 0, 24) + "/tcp"],
        "source_routes": [{"from": "10.10.1.0/30", "pool": "near"}]}}, pools)
    to = [it.vip(4, 10), 443]
    source = it.more_sources(4, 1)[0]
    asked = [(source, 5000, to, short_header(lb_cid("0a02", config=2))), (None, 5000, to, "00"),
             (source, 5001, to, "c0")]
    before = it.ask(*asked)
    assert before[:2] == ["b2", "b3"] and before[2] in ("b1", "b2")
    it.daemon.sigkill()
    assert it.ask(*asked) == before
    it.daemon.start()
    assert it.ask(*asked) == before
    result = client("connect", it.at(4, 80), "--count", 5, ns=it.net.client).result()
    assert result["by"] == {"b3": 5}
