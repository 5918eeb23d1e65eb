# SPDX-License-Identifier: BSD-2-Clause
"""Backends that a file lists, which is replaced or written in place."""
import json
import os
import threading

import pytest

import l4 as steering
from discovery import at, discovery, make, rows, served_by, wait_rows
from lab import wait_until

GOOD = "- 127.0.9.1\n- {address: 127.0.9.2, weight: 3}\n"


@pytest.fixture
def listing(tmp_path):
    return Listing(str(tmp_path / "endpoints"))


class Listing:
    """The file."""

    def __init__(self, path):
        self.path = path

    def replace(self, what):
        text = what if isinstance(what, str) else json.dumps(what)
        with open(self.path + ".new", "w", encoding="utf-8") as f:
            f.write(text)
        os.rename(self.path + ".new", self.path)

    def rewrite(self, text):
        """In place."""
        with open(self.path, "w", encoding="utf-8") as f:
            f.write(text)

    def pool(self, **more):
        return {"health": "none", "discover": {"file": self.path, **more}}


def test_a_file_is_followed_however_it_is_written(http_proxy, listing, servers):
    port = servers(3)
    listing.replace(GOOD)
    proxy = make(http_proxy, listing.pool(port=port))
    wait_rows(proxy, *at(port, 1, 2))
    assert rows(proxy)[f"127.0.9.2:{port}"]["weight"] == 3
    assert rows(proxy)[f"127.0.9.2:{port}"]["origin"] == "file"
    assert set(served_by(proxy)) == {"b1", "b2"}
    listing.replace([{"address": "127.0.9.3", "port": port, "name": "three", "zone": "z",
                      "priority": 2, "state": "drain"}, f"127.0.9.1:{port}"])  # JSON
    wait_rows(proxy, *at(port, 1, 3))
    three = rows(proxy)[f"127.0.9.3:{port}"]
    assert (three["name"], three["state"], three["http"]["zone"], three["http"]["priority"]) == (
        "three", "draining", "z", 2)
    assert proxy.daemon.ctl("backend", "enable", "web/three").rc == 0  # whatever the file says
    assert rows(proxy)[f"127.0.9.3:{port}"]["state"] == "up"
    listing.rewrite(f"- 127.0.9.2:{port}\n")
    wait_rows(proxy, *at(port, 2))
    assert set(served_by(proxy)) == {"b2"}
    newest = proxy.daemon.ctl_json("config", "history")["generations"][0]
    assert newest["origin"] == "file"
    shown = proxy.daemon.ctl("pool", "show", "web").stdout
    assert f"file {listing.path}: 1 found" in shown


@pytest.mark.parametrize("text, said", [
    ("- 127.0.9.1\n- {adress: 127.0.9.2}\n", ':2:4: error: endpoint 2: unknown key "adress"'),
    ("- 127.0.9.1\n- {address: 127.0.9.2, weight: 1001}\n", ":2:32: error: endpoint 2: weight:"),
    ("- 127.0.9.1\n- 127.0.9.1\n", ":2:3: error:"),
    ("- 127.0.9.1\n- 0.0.0.0\n", ":2:3: error: endpoint 2: address:"),
    ("a: b\n", ":1:1: error: expected a list of endpoints"),
    ("[{", ":2:1: error: malformed YAML"),
    ("", ":1:1: error: the document is empty"),
    ("- {address: 127.0.9.1, state: gone}\n", ":1:31: error: endpoint 1: state:"),
    ("- {weight: 3}\n", ":1:3: error: endpoint 1: address is missing"),
    ("- {address: \"127.0.9.1:1\", port: 2}\n", ":1:3: error: endpoint 1: address has port 1"),
    ("- {address: 127.0.9.1, name: a}\n- {address: 127.0.9.2, name: a}\n",
     ':2:3: error: endpoint "a" is here twice'),
    ("- 127.0.9.1\n- LOOP\n", ":2:3: error: backend web/127.0.0.1_"),
])
def test_mistakes_are_told_at_their_place_and_change_nothing(http_proxy, listing, text, said):
    listing.replace(GOOD)
    proxy = make(http_proxy, listing.pool(port=80))
    wait_rows(proxy, *at(80, 1, 2))
    listing.replace(text.replace("LOOP", f"127.0.0.1:{proxy.port}"))
    wait_until(lambda: discovery(proxy)["error"], 15)
    wait_until(lambda: f"{listing.path}{said}" in proxy.daemon.log, 5,
               what=lambda: proxy.daemon.log)
    assert set(rows(proxy)) == set(at(80, 1, 2))
    listing.replace("- 127.0.9.3\n")
    wait_rows(proxy, *at(80, 3))
    assert discovery(proxy)["error"] is None


def test_a_file_that_is_gone_or_empty_leaves_what_was_there(http_proxy, listing):
    listing.replace(GOOD)
    proxy = make(http_proxy, listing.pool(port=80))
    wait_rows(proxy, *at(80, 1, 2))
    os.unlink(listing.path)
    wait_until(lambda: "No such file" in (discovery(proxy)["error"] or ""), 15)
    listing.replace("[]\n")
    wait_until(lambda: discovery(proxy)["empty"] == 1, 15)
    assert set(rows(proxy)) == set(at(80, 1, 2))
    proxy.config["pools"]["web"] = listing.pool(port=80, empty="take")
    proxy.daemon.reload(proxy.config)
    wait_rows(proxy)


def test_a_file_behind_links_that_are_switched(http_proxy, tmp_path):
    """As orchestrators mount them: the file is a link into a directory that is a link."""
    for name, text in (("one", "- 127.0.9.1\n"), ("two", "- 127.0.9.2\n")):
        (tmp_path / name).mkdir()
        (tmp_path / name / "list").write_text(text)
    (tmp_path / "now").symlink_to("one")
    (tmp_path / "list").symlink_to("now/list")
    proxy = make(http_proxy, Listing(str(tmp_path / "list")).pool(port=80))
    wait_rows(proxy, *at(80, 1))
    (tmp_path / "next").symlink_to("two")
    (tmp_path / "next").rename(tmp_path / "now")
    wait_rows(proxy, *at(80, 2))


def test_nobody_sees_half_of_a_file(http_proxy, listing):
    """Written in place in pieces; each half of it would be a good list."""
    lines = [f"- 127.1.0.{i}\n" for i in range(1, 101)]
    listing.replace("".join(lines))
    proxy = make(http_proxy, listing.pool(port=80))
    wait_until(lambda: len(rows(proxy)) == 100, 15)
    for _ in range(20):
        with open(listing.path, "w", encoding="utf-8") as f:
            for line in lines:
                f.write(line)
                f.flush()
    wait_until(lambda: discovery(proxy)["good_ms_ago"] > 300, 15)
    assert discovery(proxy)["changes"] == 1, proxy.daemon.log


def test_a_flood_of_changes_is_gathered(http_proxy, listing, servers):
    port = servers(2)
    listing.replace(GOOD)
    proxy = make(http_proxy, listing.pool(port=port))
    wait_rows(proxy, *at(port, 1, 2))
    stop, writes = threading.Event(), [0]

    def flood():
        while not stop.is_set():
            writes[0] += 1
            listing.replace(f"- {{address: 127.0.9.1, weight: {writes[0] % 900 + 1}}}\n")
    writer = threading.Thread(target=flood)
    before = discovery(proxy)["changes"]
    writer.start()
    try:
        wait_until(lambda: writes[0] > 5000, 60)
        assert set(served_by(proxy, 50)) == {"b1"}
        assert proxy.daemon.ctl("status").rc == 0
    finally:
        stop.set()
        writer.join()
    last = writes[0] % 900 + 1
    wait_until(lambda: rows(proxy)[f"127.0.9.1:{port}"]["weight"] == last, 15)
    changes = discovery(proxy)["changes"] - before
    assert 2 < changes < writes[0] / 10, (changes, writes)
    # A run of generations that nobody asked for does not push others out of the history.
    kept = proxy.daemon.ctl_json("config", "history")["generations"]
    assert sum(g["origin"] == "file" for g in kept) == 1 and kept[-1]["origin"] == "start"


def test_packets_do_not_notice_a_flood_of_changes(l4, client, listing):
    it = l4(backends=2, start=False)
    b1, b2 = (it.net.backends[n].addr4 for n in ("b1", "b2"))
    config = it.config()
    config["pools"]["echo"] = {"forward": "ipip", **listing.pool()}
    it.daemon.write_config(config)
    listing.replace([b1, b2])
    it.daemon.start()
    steering.wait_served(it, client, ["b1", "b2"])
    steady = client("steady", it.target(4), "--flows", 20, "--rate", 500, ns=it.net.client)
    assert steady.result()["ready"] == 40
    for i in range(3000):
        listing.replace([{"address": b1, "weight": i % 7 + 1},
                         *([{"address": b2, "weight": i % 5 + 1}] if i % 3 else [])])
    listing.replace([b1, b2])
    wait_until(lambda: discovery(it, "echo")["good_ms_ago"] > 100, 15)
    done = steady.finish()
    assert done["errors"] == {} and done["moved"] == 0, done
    assert done["tcp_sent"] == done["tcp_back"] > 0, done
    assert done["udp_sent"] == done["udp_back"] > 0, done
    assert discovery(it, "echo")["changes"] > 3


def test_l4_services_follow_a_file(l4, client, listing):
    it = l4(backends=2, start=False)
    b1, b2 = (it.net.backends[n].addr4 for n in ("b1", "b2"))
    config = it.config()
    config["pools"]["echo"] = {"forward": "ipip", **listing.pool()}
    it.daemon.write_config(config)
    it.daemon.start()  # without a file, and so without a backend
    listing.replace([{"address": b1, "name": "b1"}])
    steering.wait_served(it, client, ["b1"])
    held = client("keep", it.target(4), "--count", 20, ns=it.net.client)
    assert held.result()["by"] == {"b1": 20}
    listing.replace([{"address": b2, "name": "b2"}])
    steering.wait_served(it, client, ["b2"])
    assert held.poke() == {"same": 20, "moved": 0, "errors": {}}
