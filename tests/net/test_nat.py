# SPDX-License-Identifier: BSD-2-Clause
"""NAT with real clients and servers: there and back, over a restart, with errors on the way."""
import hashlib
import json
import os
import time

import pytest

from lab import HERE, PYTHON, wait_until
from nat import BEHIND, ECHO_PORT, HTTP_PORT

STEADY_S = float(os.environ.get("SHUNT_TEST_STEADY_S", "30"))
WAYS = [None, "auto"]


@pytest.mark.parametrize("family,source", [
    pytest.param(4, None, marks=pytest.mark.vm), (6, None), (4, "auto"),
    pytest.param(6, "auto", marks=pytest.mark.vm)])
def test_tcp_and_udp_there_and_back(nat, client, family, source):
    it = nat(backends=3, source=source)
    it.expect_served(client, family)
    udp = client("udp", it.target(family), "--flows", 60, ns=it.net.client).result()
    assert udp["lost"] == 0 and set(udp["by"]) == {"b1", "b2", "b3"}
    counted = it.counters(f"echo{family}")
    # Of each connection at least SYN-ACK and greeting come back, of each datagram one.
    assert counted["reply_packets"] >= 60 * 2 + 60
    assert counted["new_flows"] == 120
    assert it.drops(f"echo{family}") == {}


@pytest.mark.parametrize("family,source", [
    (4, None), (6, None), (4, ["10.40.0.1", "fd00:40::1"]),
    (6, ["10.40.0.1", "fd00:40::1"])])
def test_backends_in_another_network(nat, client, family, source):
    """There by the routes and another interface; back by the one that the client came in by."""
    it = nat(backends=2, source=source, segment=True)
    listed = it.daemon.ctl_json("backend", "list", f"echo{family}")["backends"]
    assert len(listed) == 2
    wait_until(lambda: all(
        b["l4"]["next_hop"] == "resolved"
        for b in it.daemon.ctl_json("backend", "list", f"echo{family}")["backends"]), 20)
    it.expect_served(client, family)
    udp = client("udp", it.target(family), "--flows", 60, ns=it.net.client).result()
    assert udp["lost"] == 0 and set(udp["by"]) == {"b1", "b2"}
    counted = it.counters(f"echo{family}")
    verdicts = it.daemon.ctl_json("status")["l4"]["verdicts"]
    assert verdicts["tx"] == 0
    assert verdicts["redirect"] == counted["packets"] + counted["reply_packets"]
    assert it.drops(f"echo{family}") == {}


@pytest.mark.parametrize("family", [4, 6])
@pytest.mark.parametrize("source", WAYS)
def test_whole_files_both_ways(nat, client, family, source, tmp_path):
    it = nat(backends=2, source=source)
    body = os.urandom(1 << 20)
    (tmp_path / "body").write_bytes(body)
    url = f"http://{it.target(family, HTTP_PORT)}"
    done = it.net.client.run(["curl", "-sS", "-g", "-m", "30", "--data-binary",
                              f"@{tmp_path}/body", f"{url}/sink"])
    assert hashlib.sha256(body).hexdigest() in done.stdout
    result = client("http", f"{url}/bytes/1000000", "--requests", 4, "--connections", 2,
                    ns=it.net.client).result()
    assert result["ok"] == 4 and result["errors"] == {}
    assert it.counters(f"web{family}")["reply_bytes"] > 4000000  # all of it came through here
    assert it.counters(f"echo{family}")["packets"] == 0  # the other service
    assert it.drops(f"web{family}") == {}


@pytest.mark.parametrize("source", WAYS)
def test_backends_see_whom_they_should(nat, source):
    it = nat(backends=1, source=source)
    code = ("import socket; s = socket.socket(); s.bind(('', 9000)); s.listen();"
            "print('ready', flush=True); c, a = s.accept(); print(a[0], a[1], flush=True);"
            "c.close()")
    it.daemon.reload(with_port(it.config(), 9000))
    seen = it.net.backends["b1"].popen([PYTHON, "-c", code], stdout=-1, text=True)
    assert seen.stdout.readline() == "ready\n"
    it.net.client.run([PYTHON, "-c", "import socket, sys; socket.create_connection("
                       "(sys.argv[1], 7), 20, ('', 45678)).recv(1)", it.vip(4)])
    addr, port = seen.stdout.readline().split()
    if source is None:
        assert (addr, port) == (it.net.client.addr4, "45678")
    else:
        assert addr == it.net.balancer.addr4 and 1024 <= int(port) <= 32767


def with_port(config, port):
    """With another port behind echo4."""
    for backend in config["pools"]["echo4"]["backends"]:
        backend["address"] = backend["address"].rpartition(":")[0] + f":{port}"
    return config


def elapsed(seconds):
    """A condition that holds after so many seconds: traffic has to flow for a while."""
    end = time.monotonic() + seconds
    return lambda: time.monotonic() >= end


@pytest.mark.parametrize("family,source", [(4, "auto"), (6, "auto"), (4, None)])
def test_killing_and_restarting_loses_no_packet(nat, client, family, source):
    it = nat(backends=3, source=source)
    steady = client("steady", it.target(family), "--flows", 40, "--rate", 1000,
                    ns=it.net.client)
    assert steady.result()["ready"] == 80
    wait_until(elapsed(STEADY_S / 6), STEADY_S)
    it.daemon.sigkill()
    wait_until(elapsed(STEADY_S / 6), STEADY_S)
    it.daemon.restart()
    wait_until(elapsed(STEADY_S / 6), STEADY_S)
    result = steady.finish()
    assert result["errors"] == {} and result["moved"] == 0, result
    assert result["tcp_back"] == result["tcp_sent"] > STEADY_S * 150
    assert result["udp_back"] == result["udp_sent"] > STEADY_S * 150
    assert it.drops(f"echo{family}") == {}


def test_a_change_of_source_keeps_connections(nat, client):
    """Those that have a source keep it; new ones get one of the other kind."""
    it = nat(backends=2, source=None)
    keep = client("keep", it.target(4), "--count", 50, ns=it.net.client)
    assert keep.result()["errors"] == {}
    it.source = "auto"
    it.daemon.reload(it.config())
    it.expect_served(client)
    assert keep.poke() == {"same": 50, "moved": 0, "errors": {}}


@pytest.mark.parametrize("family", [4, 6])
@pytest.mark.parametrize("source", WAYS)
def test_a_narrow_link_behind_is_found_by_the_client(nat, client, family, source, tmp_path):
    """The router's way to the backend takes less than the client sends: its errors come through."""
    it = nat(backends=1, source=source)
    it.net.router.ip("link set b1 mtu 1300")
    body = os.urandom(1 << 19)
    (tmp_path / "body").write_bytes(body)
    done = it.net.client.run([
        "curl", "-sS", "-g", "-m", "30", "--data-binary", f"@{tmp_path}/body",
        f"http://{it.target(family, HTTP_PORT)}/sink"])
    assert hashlib.sha256(body).hexdigest() in done.stdout
    route = it.net.client.run(["ip", "route", "get", it.vip(family)]).stdout
    assert "mtu 1300" in route, route


@pytest.mark.parametrize("family", [4, 6])
@pytest.mark.parametrize("source", WAYS)
def test_a_closed_port_is_told_to_the_client(nat, family, source):
    it = nat(backends=1, source=source)
    it.servers["b1"].kill()
    code = ("import socket, sys\n"
            "s = socket.socket(socket.AF_INET6 if ':' in sys.argv[1] else socket.AF_INET,"
            " socket.SOCK_DGRAM)\n"
            "s.settimeout(20)\ns.connect((sys.argv[1], 7))\ns.send(b'x')\n"
            "try:\n    s.recv(1)\nexcept ConnectionRefusedError:\n    print('refused')\n")
    done = it.net.client.run([PYTHON, "-c", code, it.vip(family)])
    assert done.stdout == "refused\n"


def test_ports_run_out_and_come_back(nat, client):
    it = nat(backends=1, source="auto", pool={"source_ports": "2000-2004"})
    keep = client("keep", it.target(4), "--count", 5, ns=it.net.client)
    assert keep.result()["errors"] == {}
    refused = client("udp", it.target(6), "--flows", 20, ns=it.net.client).result()
    assert set(refused["by"]) == {"b1"} and refused["lost"] == 15
    assert it.drops("echo6")["nat_ports"] > 0 and it.drops("echo4") == {}
    # Said in the log, with the way out, and shown where one looks.
    wait_until(lambda: "service echo6" in it.daemon.log and "(nat-ports)" in it.daemon.log, 30,
               what=lambda: "the warning; the log:\n" + it.daemon.log)
    assert "nat_ports" in it.daemon.ctl("service", "show", "echo6").stdout
    assert keep.poke() == {"same": 5, "moved": 0, "errors": {}}
    # Void ports are taken over by the program itself, at once.
    it.service = {"idle": {"udp": "1s"}}
    it.daemon.reload(it.config())
    again = client("udp", it.target(6), "--flows", 5, ns=it.net.client).result()
    assert again["lost"] == 0
    # The sweep counts what lives, and takes out what does not.
    wait_until(lambda: (it.nat() or {}).get("flows") == 5, 45, what=it.nat)
    assert it.nat()["sources"] == [{"address": it.net.balancer.addr4, "tcp": 5, "udp": 0}]
    listed = it.daemon.ctl_json("backend", "list", "echo4")["backends"]
    assert listed[0]["l4"]["nat_ports"] == {"tcp": 5, "udp": 0, "all": 5}
    assert f"source {it.net.balancer.addr4}: 5 TCP flows" in it.daemon.ctl("status").stdout


@pytest.mark.parametrize("family", [4, 6])
@pytest.mark.parametrize("source", WAYS)
def test_datagrams_in_fragments(nat, family, source):
    """Questions and answers of many packets each."""
    it = nat(backends=3, source=source)
    done = it.net.client.run([PYTHON, f"{HERE}/big_datagrams.py", it.vip(family), str(ECHO_PORT),
                              "9000", "40"])
    result = json.loads(done.stdout)
    assert result["lost"] == 0 and set(result["by"]) == {"b1", "b2", "b3"}, result
    assert it.counters(f"echo{family}")["fragments"] >= 2 * 40 * 7
    assert it.drops(f"echo{family}") == {}


def test_a_flood_leaves_other_services_their_share(nat, client):
    """1024 flows of each family: 512 in equal parts to two services, and 512 for all."""
    it = nat(backends=1, source="auto", node={"limits": {"nat": 1024}},
             service={"idle": {"udp": "1h"}})
    flood = client("udp", it.target(4), "--flows", 1200, ns=it.net.client).result()
    assert set(flood["by"]) == {"b1"} and flood["lost"] == 1200 - 768
    assert it.drops("echo4") == {"nat_full": it.drops("echo4")["nat_full"]}
    use = it.counters("echo4")["nat"]["ipv4"]
    assert use == {"flows": 768, "own": 256, "common": 512, "common_used": 512}
    assert "768 ipv4, room for 256 of its own" in it.daemon.ctl("service", "show", "echo4").stdout
    others = client("http", f"http://{it.target(4, HTTP_PORT)}/close", "--requests", 200,
                    ns=it.net.client).result()
    assert others["ok"] == 200 and others["errors"] == {} and it.drops("web4") == {}
    # Void by the sweep's count: the account goes down with the entries.
    it.service = {"idle": {"udp": "1s"}}
    it.daemon.reload(it.config())
    wait_until(lambda: it.counters("echo4")["nat"]["ipv4"]["flows"] == 0, 60,
               what=lambda: it.counters("echo4")["nat"])


def test_one_service_mixes_nat_and_tunnels(nat, client):
    it = nat(backends=2, source="auto", start=False)
    it.net.serve_vips(it.vip(4), backends=["b1"])
    config = it.config()
    b1 = next(b for b in config["pools"]["web4"]["backends"] if b["name"] == "b1")
    b1.update(forward="ipip", address=it.backend_address("b1", 4))
    it.daemon.write_config(config)
    it.tunnelled(HTTP_PORT)
    it.daemon.start()
    result = client("http", f"http://{it.target(4, HTTP_PORT)}/close", "--requests", 60,
                    "--connections", 4, ns=it.net.client).result()
    assert result["ok"] == 60 and set(result["by"]) == {"b1", "b2"}, result
    assert it.drops("web4") == {}


def test_backends_are_checked_on_their_own_port(nat, client):
    it = nat(backends=2, source="auto", pool={
        "health": {"http": {"path": "/healthz"}, "every": "200ms", "timeout": "200ms"}},
        start=False)
    config = it.config()
    for family in (4, 6):  # HTTP alone answers such a check
        config["pools"][f"echo{family}"]["health"] = "none"
    it.daemon.write_config(config)
    it.daemon.start()
    it.servers["b1"].set_health(500)

    def served_by():
        result = client("http", f"http://{it.target(4, HTTP_PORT)}/close", "--requests", 20,
                        "--connections", 2, ns=it.net.client).result()
        return set(result["by"]) if not result["errors"] else None
    wait_until(lambda: served_by() == {"b2"}, 15)
    rows = it.daemon.ctl_json("health", "web4")["backends"]
    assert {b["address"] for b in rows} == {f"{it.backend_address(n, 4)}:{HTTP_PORT + BEHIND}"
                                            for n in ("b1", "b2")}
