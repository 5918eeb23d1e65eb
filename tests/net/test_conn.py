# SPDX-License-Identifier: BSD-2-Clause
"""shuntctl conn: entries of flows are told, counted and forgotten, by service, backend, source."""
import pytest

from l4 import ECHO_PORT
from lab import wait_until


def kept(it, client, family=4, count=20):
    """Connections that are open, and have entries."""
    keep = client("keep", it.target(family), "--count", count, ns=it.net.client)
    assert keep.result()["errors"] == {}
    return keep


@pytest.mark.parametrize("family", [4, 6])
def test_flows_are_listed_with_all_that_is_known(l4, client, family):
    it = l4(backends=2, service={"tracking": "always"})
    keep = kept(it, client, family)
    said = it.daemon.ctl_json("conn", "list")
    assert said["matched"] == len(said["flows"]) == 20
    addr = it.net.client.addr4 if family == 4 else it.net.client.addr6
    for flow in said["flows"]:
        assert flow["protocol"] == "tcp" and flow["service"] == "echo", flow
        assert flow["state"] == "established" and not flow["pending"] and not flow["stale"], flow
        assert flow["pool"] == "echo" and flow["backend"] in ("b1", "b2")
        assert addr in flow["source"] and flow["destination"] == it.target(family, ECHO_PORT)
    assert len({flow["source"] for flow in said["flows"]}) == 20
    shown = it.daemon.ctl("conn", "list", "--limit", 5)
    assert shown.rc == 0 and "5 of 20" in shown.stdout and "echo/b" in shown.stdout
    assert keep.poke()["same"] == 20


def test_filters_and_counts_agree(l4, client):
    it = l4(backends=2, service={"tracking": "always"})
    keep = kept(it, client)
    client("udp", it.target(4), "--flows", 5, ns=it.net.client).result()

    def count(*args):
        return it.daemon.ctl_json("conn", "count", *args)
    said = count()
    assert said["matched"] == 25 and said["flows"] == []
    assert said["by_service"] == {"echo": 20, "echo-udp": 5}
    assert sum(said["by_backend"].values()) == sum(said["by_state"].values()) == 25
    assert set(said["by_backend"]) == {"echo/b1", "echo/b2"}
    for name in ("b1", "b2"):
        assert count("--backend", f"echo/{name}")["matched"] == said["by_backend"][f"echo/{name}"]
    assert count("--service", "echo-udp")["matched"] == 5
    assert count("--service", "echo", "--backend", "echo")["matched"] == 20
    assert count("--source", f"{it.net.client.addr4}")["matched"] == 25
    assert count("--source", "10.0.0.0/8")["matched"] == 25
    assert count("--source", "10.11.0.0/16")["matched"] == count("--source", "::/0")["matched"] == 0
    pages = [it.daemon.ctl_json("conn", "list", "--limit", n)["flows"] for n in (7, 25)]
    assert pages[0] == [dict(f, idle_ms=g["idle_ms"]) for f, g in zip(pages[1][:7], pages[0])]
    assert keep.poke()["same"] == 20


def test_killed_flows_have_no_entry_and_go_by_the_ring(l4, client):
    """Those of a draining backend are then with another one, which resets them."""
    it = l4(backends=2, service={"tracking": "always"})
    keep = kept(it, client)
    by = it.daemon.ctl_json("conn", "count")["by_backend"]
    it.daemon.ctl("backend", "drain", "echo", "b1")
    said = it.daemon.ctl_json("conn", "kill", "--backend", "echo/b1")
    assert said["forgotten"] == by["echo/b1"] and said["by_backend"] == {"echo/b1": by["echo/b1"]}
    assert it.daemon.ctl_json("conn", "count")["by_backend"] == {"echo/b2": by["echo/b2"]}
    assert "path=/v1/flows/kill" in it.daemon.log and "audit:" in it.daemon.log
    # The slots of b1 are moving: nothing is lost before they settle.
    assert keep.poke()["errors"] == {}
    shown = it.daemon.ctl("conn", "kill", "--all")
    assert shown.rc == 0 and "all" in shown.stdout
    wait_until(lambda: it.daemon.ctl_json("conn", "count")["matched"] == 0, what="no entry")


@pytest.mark.parametrize("args, rc, text", [
    (["kill"], 2, "or --all"),
    (["kill", "--all", "--service", "echo"], 3, "or all"),
    (["kill", "--source", "10.0.0.1/8"], 3, "without host bits"),
    (["list", "--backend", "/x"], 3, "POOL or POOL/NAME"),
    (["list", "--limit", "0"], 2, "1 to 10000"),
])
def test_orders_that_say_nothing_are_refused(shuntd, lab, args, rc, text):
    daemon = shuntd({"pools": {"p": {"health": "none", "backends": [
        {"name": "a", "address": "127.0.0.1:9"}]}}, "services": {"s": {
            "listen": ["127.0.0.1:8080/tcp"], "mode": "http", "pool": "p"}}},
                    ns=lab.namespace("host"))
    done = daemon.ctl("conn", *args)
    assert done.rc == rc and text in done.stderr, done
