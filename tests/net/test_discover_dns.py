# SPDX-License-Identifier: BSD-2-Clause
"""Backends that DNS names: knot as the server, and one that says what it should not."""
import socket
import struct
import subprocess

import pytest

import dns
from discovery import GET, at, discovery, make, rows, served_by, wait_rows
from l4 import ECHO_PORT, wait_served
from lab import wait_until


@pytest.fixture
def knot(lab, free_port):
    """knot(*records) -> dns.Knot on loopback"""
    return lambda *records, **kw: dns.Knot(lab, records, **{"port": free_port(), **kw})


@pytest.fixture
def scripted():
    made = []

    def make(script):
        made.append(dns.Scripted(script))
        return made[-1]
    yield make
    for server in made:
        server.close()


def pool(server, name="web.shunt.test", **more):
    return {"health": "none", "discover": {"dns": name, "resolver": getattr(server, "addr", server),
                                           "min_ttl": "100ms", "timeout": "2s", **more}}


def test_backends_come_and_go_with_the_addresses_of_a_name(http_proxy, knot, servers):
    port = servers(3)
    server = knot("web 1 A 127.0.9.1", "web 1 A 127.0.9.2")
    proxy = make(http_proxy, pool(server, port=port))
    wait_rows(proxy, *at(port, 1, 2))
    assert set(served_by(proxy)) == {"b1", "b2"}
    shown = rows(proxy)[f"127.0.9.1:{port}"]
    assert (shown["origin"], shown["name"]) == ("dns", "127.0.9.1")
    server.set("web 1 A 127.0.9.2", "web 1 A 127.0.9.3")
    wait_rows(proxy, *at(port, 2, 3))
    assert set(served_by(proxy)) == {"b2", "b3"}
    newest = proxy.daemon.ctl_json("config", "history")["generations"][0]
    assert newest["origin"] == "dns" and "127.0.9.3" in newest["summary"]
    assert "dns web.shunt.test: 2 found" in proxy.daemon.ctl("pool", "show", "web").stdout
    assert f"127.0.9.3:{port} (dns)" in proxy.daemon.ctl("backend", "list").stdout
    assert f"# found by dns: web/127.0.9.3, address 127.0.9.3:{port}, weight 1, state up\n" in \
        proxy.daemon.ctl("config", "show").stdout


def test_a_request_on_a_backend_that_vanishes_is_answered(http_proxy, knot, backend, free_port):
    port = free_port()
    first = backend("b1", http=[f"127.0.9.1:{port}"])
    backend("b2", http=[f"127.0.9.2:{port}"])
    server = knot("web 1 A 127.0.9.1")
    proxy = make(http_proxy, pool(server, port=port))
    wait_rows(proxy, *at(port, 1))
    with proxy.connect() as client:
        client.send(GET.replace("GET /", "GET /hold/20"))
        head = client.head()
        server.set("web 1 A 127.0.9.2")
        wait_rows(proxy, *at(port, 2))
        assert set(served_by(proxy, 5)) == {"b2"}
        first.release()
        assert head.get("X-Backend") == "b1"
        assert len(client.to_end()) == 20


def test_ipv6_and_both_families(http_proxy, knot, backend, free_port):
    port = free_port("::1")
    backend("b1", http=[f"127.0.9.1:{port}", f"[::1]:{port}"])
    server = knot("web 1 A 127.0.9.1", "web 1 AAAA ::1", "six CNAME web")
    proxy = make(http_proxy, pool(server, port=port))
    wait_rows(proxy, f"127.0.9.1:{port}", f"[::1]:{port}")
    assert set(served_by(proxy, 6)) == {"b1"}
    proxy.config["pools"]["web"] = pool(server, port=port, family="ipv6", name="six.shunt.test")
    proxy.daemon.reload(proxy.config)
    wait_rows(proxy, f"[::1]:{port}")


def test_srv_records_have_ports_weights_and_priorities(http_proxy, knot, backend, free_port):
    ports = [free_port() for _ in range(3)]
    for i, port in enumerate(ports):
        backend(f"b{i + 1}", http=[f"127.0.9.{i + 1}:{port}"])
    hosts = [f"h{i} 1 A 127.0.9.{i}" for i in (1, 2, 3)]
    server = knot(*hosts, *(f"_http._tcp.web 1 SRV {prio} {weight} {port} h{i + 1}"
                            for i, (prio, weight, port)
                            in enumerate(zip((10, 10, 77), (1, 3, 5), ports))))
    proxy = make(http_proxy, pool(server, name="_http._tcp.web.shunt.test"))
    targets = [f"127.0.9.{i + 1}:{port}" for i, port in enumerate(ports)]
    wait_rows(proxy, *targets)
    assert [rows(proxy)[t]["weight"] for t in targets] == [1, 3, 5]
    assert [rows(proxy)[t]["http"]["priority"] for t in targets] == [0, 0, 1]
    assert served_by(proxy, 40) == {"b1": 10, "b2": 30}
    server.set(*hosts, f"_http._tcp.web 1 SRV 0 60000 {ports[1]} h2",
               f"_http._tcp.web 1 SRV 0 30000 {ports[2]} h3", "_http._tcp.web 1 SRV 0 0 1 .")
    wait_rows(proxy, *targets[1:])
    assert [rows(proxy)[t]["weight"] for t in targets[1:]] == [1000, 500]


def test_nothing_is_lost_when_dns_dies(http_proxy, knot, servers):
    port = servers(2)
    server = knot("web 1 A 127.0.9.1", "web 1 A 127.0.9.2")
    proxy = make(http_proxy, pool(server, port=port, timeout="300ms"))
    wait_rows(proxy, *at(port, 1, 2))
    generation = proxy.daemon.generation()
    server.kill()
    wait_until(lambda: discovery(proxy)["failures"] >= 3, 20)
    assert set(served_by(proxy)) == {"b1", "b2"}
    assert proxy.daemon.generation() == generation
    assert "the last answer was not good: web.shunt.test:" in \
        proxy.daemon.ctl("pool", "show", "web").stdout
    assert proxy.daemon.log.count("discover: failed") <= 3  # not each time
    metrics = subprocess.run(["curl", "-s", "--unix-socket", proxy.daemon.socket,
                              "http://x/metrics"], capture_output=True, text=True,
                             check=True).stdout
    assert 'shunt_discover_failing{pool="web",kind="dns"} 1\n' in metrics
    assert 'shunt_discover_backends{pool="web",kind="dns"} 2\n' in metrics
    server.write(["web 1 A 127.0.9.2"])
    server.start()
    wait_rows(proxy, *at(port, 2))
    assert discovery(proxy)["error"] is None


def test_a_name_that_is_gone_empties_no_pool_unless_told(http_proxy, knot, servers):
    port = servers(1)
    server = knot("web 1 A 127.0.9.1")
    proxy = make(http_proxy, pool(server, port=port))
    wait_rows(proxy, *at(port, 1))
    server.set()  # NXDOMAIN
    wait_until(lambda: discovery(proxy)["empty"] >= 2, 15)
    server.set("web 1 TXT hello")  # the name is there, its addresses are not
    asked = discovery(proxy)["empty"]
    wait_until(lambda: discovery(proxy)["empty"] >= asked + 2, 15)
    assert set(served_by(proxy, 4)) == {"b1"}
    assert discovery(proxy)["error"] == "it names nobody"
    proxy.config["pools"]["web"]["discover"]["empty"] = "take"
    proxy.daemon.reload(proxy.config)
    wait_rows(proxy)
    assert proxy.ask(GET).status == 503
    server.set("web 1 A 127.0.9.1")
    wait_rows(proxy, *at(port, 1))
    assert set(served_by(proxy, 4)) == {"b1"}


def test_an_answer_too_large_for_udp_is_asked_for_by_tcp(http_proxy, knot):
    addresses = [f"127.1.{i // 200}.{i % 200 + 1}" for i in range(1500)]
    server = knot(*(f"web 1 A {a}" for a in addresses))
    proxy = make(http_proxy, pool(server, port=80))
    wait_until(lambda: discovery(proxy)["found"] == 1500, 20)
    assert set(rows(proxy)) == {f"{a}:80" for a in addresses}


def good(*hosts, ttl=0):
    def script(query, _is_tcp):
        _, kind = dns.asked(query)
        return dns.answer(query, [dns.record(b"\xc0\x0c", dns.A, socket.inet_aton(f"127.0.9.{i}"),
                                             ttl) for i in hosts] if kind == dns.A else [])
    return script


BAD = {
    "garbage": lambda q, tcp: b"\x00\x01garbage",
    "nothing": lambda q, tcp: None,
    "another id": lambda q, tcp: dns.answer(q, [dns.record(b"\xc0\x0c", dns.A, b"\x7f\0\x09\x03")],
                                            ident=(struct.unpack("!H", q[:2])[0] + 1) % 65536),
    "another question": lambda q, tcp: dns.answer(
        q[:12] + dns.name_bytes("other.test") + q[-4:],
        [dns.record(b"\xc0\x0c", dns.A, b"\x7f\0\x09\x03")]),
    "more than there is": lambda q, tcp: dns.answer(q, count=9),
    "a short address": lambda q, tcp: dns.answer(q, [dns.record(b"\xc0\x0c", dns.asked(q)[1],
                                                                b"\x7f\0")]),
    "a pointer that leads round": lambda q, tcp: dns.answer(
        q, [dns.record(struct.pack("!H", 0xc000 + len(dns.answer(q))), dns.A, b"\x7f\0\x09\x03")]),
    "aliases that lead round": lambda q, tcp: dns.answer(
        q, [dns.record(b"\xc0\x0c", dns.CNAME, b"\xc0\x0c")]),
    "cut off, and no TCP": lambda q, tcp: None if tcp else dns.answer(q, flags=0x8380),
    "a failure": lambda q, tcp: dns.answer(q, flags=0x8182),
    "huge": lambda q, tcp: dns.answer(q, [
        dns.record(b"\xc0\x0c", dns.A, struct.pack("!I", 0x7f020000 + i)) for i in range(4090)] + [
            dns.record(b"\xc0\x0c", dns.A, b"\x7f")]) if tcp else dns.answer(q, flags=0x8380),
}


@pytest.mark.parametrize("what", BAD)
def test_bad_answers_change_nothing(http_proxy, scripted, servers, what):
    port = servers(3)
    server = scripted(good(1, 2))
    proxy = make(http_proxy, pool(server, port=port, timeout="300ms"))
    wait_rows(proxy, *at(port, 1, 2))
    server.script = BAD[what]
    before = discovery(proxy)["failures"]
    wait_until(lambda: discovery(proxy)["failures"] >= before + 2, 30,
               what=lambda: discovery(proxy))
    assert set(rows(proxy)) == set(at(port, 1, 2))
    assert set(served_by(proxy, 6)) == {"b1", "b2"}
    server.script = good(3)
    wait_rows(proxy, *at(port, 3))


def test_addresses_of_no_host_and_of_other_names_are_left_out(http_proxy, scripted, servers):
    port = servers(1)

    def script(query, _is_tcp):
        _, kind = dns.asked(query)
        bad = ["0.0.0.0", "224.0.0.1", "255.255.255.255", "127.0.9.1"]
        other = dns.record(dns.name_bytes("evil.test"), dns.A, socket.inet_aton("127.0.9.2"))
        return dns.answer(query, [dns.record(b"\xc0\x0c", dns.A, socket.inet_aton(a))
                                  for a in bad] + [other] if kind == dns.A else [])
    proxy = make(http_proxy, pool(scripted(script), port=port))
    wait_rows(proxy, *at(port, 1))
    assert discovery(proxy)["unusable"] >= 3


def test_one_family_without_an_answer_leaves_what_it_had(http_proxy, scripted, servers):
    port = servers(2)
    server = scripted(good(1))
    proxy = make(http_proxy, pool(server, port=port, timeout="400ms"))
    wait_rows(proxy, *at(port, 1))

    def no_ipv6(query, is_tcp):
        return good(2)(query, is_tcp) if dns.asked(query)[1] == dns.A else None
    server.script = no_ipv6
    wait_rows(proxy, *at(port, 2))

    def no_ipv4(query, is_tcp):
        return dns.answer(query) if dns.asked(query)[1] == dns.AAAA else None
    server.script = no_ipv4
    before = discovery(proxy)["lookups"]
    wait_until(lambda: discovery(proxy)["lookups"] >= before + 3, 15)
    assert set(rows(proxy)) == set(at(port, 2))


def test_the_time_to_live_is_kept_within_its_bounds(http_proxy, scripted):
    server = scripted(good(1, ttl=3600))
    proxy = make(http_proxy, pool(server, port=80, family="ipv4", max_ttl="400ms"))
    wait_rows(proxy, "127.0.9.1:80")
    assert discovery(proxy)["ttl_ms"] == 400
    server.script = good(1, ttl=0)
    wait_until(lambda: discovery(proxy)["ttl_ms"] == 100, 10)
    server.script = good(1, ttl=3600)
    proxy.config["pools"]["web"]["discover"]["max_ttl"] = "1h"
    proxy.daemon.reload(proxy.config)
    wait_until(lambda: discovery(proxy)["ttl_ms"] == 3600000, 10)
    count = len(server.queries)
    proxy.daemon.reload(proxy.config)  # nothing of it changed: nobody is asked
    assert len(server.queries) == count


def test_the_next_server_is_asked_where_one_is_dead(http_proxy, scripted, free_port):
    server = scripted(good(1))
    conf = pool(server, port=80)
    conf["discover"]["resolver"] = [f"127.0.0.1:{free_port()}", server.addr]
    proxy = make(http_proxy, conf)
    wait_rows(proxy, "127.0.9.1:80")


def test_a_start_without_dns_has_what_was_found_before(http_proxy, knot, servers, lab):
    port = servers(2)
    server = knot("web 1 A 127.0.9.1", "web 1 A 127.0.9.2")
    state = lab.path("state")
    proxy = make(http_proxy, pool(server, port=port, timeout="300ms"),
                 daemon={"args": ["--state", state]})
    wait_rows(proxy, *at(port, 1, 2))
    assert proxy.daemon.ctl("backend", "drain", "web/127.0.9.1").rc == 0
    server.kill()
    proxy.daemon.restart()
    assert set(rows(proxy)) == set(at(port, 1, 2))
    assert set(served_by(proxy, 4)) == {"b1", "b2"}  # drained by hand, not by the file
    assert discovery(proxy)["restored"]
    # Of another name it says nothing.
    proxy.config["pools"]["web"]["discover"]["dns"] = "other.shunt.test"
    proxy.daemon.write_config(proxy.config)
    proxy.daemon.restart()
    assert not rows(proxy)


def test_what_was_kept_and_cannot_be_used_does_not_stop_a_start(http_proxy, knot, servers, lab):
    port = servers(1)
    server = knot("web 1 A 127.0.9.1")
    state = lab.path("state")
    proxy = make(http_proxy, pool(server, port=port), daemon={"args": ["--state", state]})
    wait_rows(proxy, *at(port, 1))
    assert proxy.daemon.terminate() == 0
    with open(f"{state}/found/web.yaml", "a", encoding="utf-8") as f:
        f.write(f"- {{address: '127.0.0.1:{proxy.port}'}}\n")  # a loop
    server.kill()
    proxy.daemon.start()
    assert not rows(proxy)


def test_who_is_drained_by_hand_stays_so(http_proxy, knot, servers):
    port = servers(3)
    server = knot("web 1 A 127.0.9.1", "web 1 A 127.0.9.2")
    proxy = make(http_proxy, pool(server, port=port))
    wait_rows(proxy, *at(port, 1, 2))
    name = "web/127.0.9.1"
    assert proxy.daemon.ctl("backend", "drain", name).rc == 0
    assert proxy.daemon.ctl("backend", "weight", "web/127.0.9.2", 7).rc == 0
    server.set("web 1 A 127.0.9.1", "web 1 A 127.0.9.2", "web 1 A 127.0.9.3")
    wait_rows(proxy, *at(port, 1, 2, 3))
    assert rows(proxy)[f"127.0.9.1:{port}"]["state"] == "draining"
    assert rows(proxy)[f"127.0.9.2:{port}"]["weight"] == 7
    assert set(served_by(proxy)) == {"b2", "b3"}
    server.set("web 1 A 127.0.9.3")
    wait_rows(proxy, *at(port, 3))
    server.set("web 1 A 127.0.9.1", "web 1 A 127.0.9.3")
    wait_rows(proxy, *at(port, 1, 3))
    assert rows(proxy)[f"127.0.9.1:{port}"]["state"] == "draining"
    # The file gets what was said by hand, and nobody who was found.
    assert proxy.daemon.ctl("config", "save").rc == 0
    with open(proxy.daemon.config_path, encoding="utf-8") as f:
        saved = f.read()
    assert "state: drain" in saved and "address" not in saved
    assert proxy.daemon.ctl("backend", "enable", name).rc == 0
    assert proxy.daemon.ctl("backend", "weight", "web/127.0.9.2", 1).rc != 0  # not here
    assert rows(proxy)[f"127.0.9.1:{port}"]["state"] == "up"
    assert "state:" not in proxy.daemon.ctl("config", "show").stdout
    removed = proxy.daemon.ctl("backend", "remove", name)
    assert removed.rc != 0 and "was found" in removed.stderr


def test_listed_backends_go_before_those_that_are_found(http_proxy, knot, servers):
    port = servers(2)
    server = knot("web 1 A 127.0.9.1", "web 1 A 127.0.9.2")
    conf = pool(server, port=port)
    conf["backends"] = [{"name": "mine", "address": f"127.0.9.1:{port}", "weight": 3}]
    proxy = make(http_proxy, conf)
    wait_rows(proxy, *at(port, 1, 2))
    mine = rows(proxy)[f"127.0.9.1:{port}"]
    assert (mine["name"], mine["weight"], mine["origin"]) == ("mine", 3, "config")


def test_a_set_that_makes_no_good_configuration_is_refused(http_proxy, scripted, servers):
    port = servers(2)
    server = scripted(good(1))
    proxy = make(http_proxy, pool(server, port=port))
    wait_rows(proxy, *at(port, 1))
    other = proxy.config["services"]["web"]
    proxy.config["services"]["two"] = {**other, "listen": [f"127.0.9.2:{port + 1}/tcp"]}
    proxy.config["pools"]["two"] = {"health": "none", "backends": [
        {"name": "b1", "address": f"127.0.9.1:{port}"}]}
    proxy.config["services"]["two"]["pool"] = "two"
    proxy.config["pools"]["web"]["discover"]["port"] = port + 1
    proxy.daemon.reload(proxy.config)
    server.script = good(1, 2)  # 2 is where service two listens: a loop
    wait_until(lambda: discovery(proxy)["refused"] == 1, 15, what=lambda: discovery(proxy))
    assert "a loop" in discovery(proxy)["error"]
    assert len(rows(proxy)) == 2  # the first of web, and that of two
    asked = discovery(proxy)["lookups"]
    wait_until(lambda: discovery(proxy)["lookups"] >= asked + 3, 15)
    assert discovery(proxy)["refused"] == 1  # the same is not tried again
    assert proxy.daemon.ctl("backend", "drain", "two/b1").rc == 0  # others change as ever
    server.script = good(3)
    wait_until(lambda: f"127.0.9.3:{port + 1}" in rows(proxy), 15)


@pytest.mark.parametrize("bad, said", [
    ({"dns": "web.test"}, "discover.port is missing"),
    ({"port": 80}, "expected dns or file"),
    ({"dns": "web.test", "file": "/x", "port": 80}, "there is dns already"),
    ({"dns": "web..test", "port": 80}, "a DNS name of labels"),
    ({"dns": "web.test", "port": 80, "min_ttl": "2m", "max_ttl": "1m"}, "min_ttl is longer"),
    ({"dns": "web.test", "port": 80, "resolver": "here"}, "ADDRESS or ADDRESS:PORT"),
    ({"dns": "web.test", "port": 80, "overrides": [{"state": "up"}]}, "name is missing"),
])
def test_mistakes_are_told_at_their_place(http_proxy, bad, said):
    proxy = http_proxy(start=False)
    proxy.config["pools"]["web"] = {"discover": bad}
    proxy.daemon.write_config(proxy.config)
    proxy.daemon.spawn()
    assert proxy.daemon.wait_exit() == 1
    assert said in proxy.daemon.log
    assert f"{proxy.daemon.config_path}:" in proxy.daemon.log


def test_l4_services_follow_dns_and_connections_stay(l4, client, lab):
    balancer = l4(backends=2, start=False)
    net = balancer.net
    b1, b2 = (net.backends[n].addr4 for n in ("b1", "b2"))
    server = dns.Knot(lab, [f"web 1 A {b1}"], ns=net.balancer)
    config = balancer.config()
    conf = pool(server)
    config["pools"]["echo"] = {"forward": "ipip", **conf}
    balancer.daemon.write_config(config)
    balancer.daemon.start()
    wait_served(balancer, client, ["b1"])
    held = client("keep", balancer.target(4, ECHO_PORT), "--count", 20, ns=net.client)
    assert held.result()["by"] == {"b1": 20}
    server.set(f"web 1 A {b2}")
    wait_served(balancer, client, ["b2"])
    server.kill()
    assert held.poke() == {"same": 20, "moved": 0, "errors": {}}
    assert balancer.daemon.ctl_json("pool", "show", "echo")["discover"]["found"] == 1
    balancer.expect_served(client, names=["b2"])
