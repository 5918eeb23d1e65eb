# SPDX-License-Identifier: BSD-2-Clause
"""shuntctl conn: connections that the daemon proxies are told, counted and closed, by service,
backend and client, whatever they are at and however many come and go."""
import collections
import fcntl
import json
import os
import re
import signal
import socket
import termios
import threading

import pytest

import certs
import tls
from h2peer import H2Client, get
from http1 import OK, Peer, connect
from lab import wait_until
from test_l7_tunnels import ASK, SWITCH

GET = "GET / HTTP/1.1\r\nHost: a\r\n\r\n"
HOLD = "GET /hold HTTP/1.1\r\nHost: a\r\n\r\n"
LONG_S = 60


def from_address(source, port):
    """A client at another address of loopback."""
    sock = socket.create_connection(("127.0.0.1", port), 30, (source, 0))
    return Peer(sock)


def ended(peer):
    """How a connection does: "end" or "reset", whatever came before."""
    try:
        while peer.sock.recv(65536):
            pass
        return "end"
    except ConnectionResetError:
        return "reset"


def say(peer, text=""):
    """All that the tcp backend says, as far as its answer to this line."""
    peer.send(text + "\n")
    return peer.until(f"f1 {text}\n".encode())


class Holder:
    """HTTP backends that answer /hold when they are told to, switch to what they are asked for, and
    note how connections end."""

    def __init__(self):
        self.go, self.held, self.ends = threading.Event(), [], collections.Counter()

    def serve(self, name):
        def run(peer):
            while True:
                try:
                    request = peer.message()
                except EOFError:
                    return
                if protocol := request.get("Upgrade"):
                    peer.send(SWITCH.format(protocol))
                    self.ends[ended(peer)] += 1
                    return
                if "/hold" in request.start:
                    self.held.append(name)
                    self.go.wait(LONG_S)
                peer.send(OK)
        return run


class Rows:
    """What the daemon says."""

    def __init__(self, daemon):
        self.daemon = daemon

    def list(self, *args):
        return self.daemon.ctl_json("conn", "list", "--limit", 10000, *args)

    def of(self, service):
        return self.list("proxied", "--service", service)["flows"]

    def count(self, *args):
        return self.daemon.ctl_json("conn", "count", *args)

    def kill(self, *args):
        return self.daemon.ctl_json("conn", "kill", *args)

    def wait(self, service, *states):
        """Until its connections are in these states."""
        def states_now():
            return sorted(row["state"] for row in self.of(service))
        wait_until(lambda: states_now() == sorted(states), 30,
                   what=lambda: f"{sorted(states)}, not {states_now()}")
        return self.of(service)


@pytest.fixture(params=[1, 2])
def mixed(request, http_proxy, free_port, backend, ca):
    """A daemon with a service of each kind: web; secure, over TLS; raw: tcp; sni: tls."""
    holder = Holder()
    proxy = http_proxy(holder.serve("b1"), holder.serve("b2"), start=False, workers=request.param,
                       upgrades=["websocket", "raw"])
    far = f"127.0.9.1:{free_port()}"
    backend("f1", tcp=[far])
    services, pools = proxy.config["services"], proxy.config["pools"]
    ports = {"web": proxy.port}
    for name in ("secure", "raw", "sni"):
        ports[name] = free_port()
        services[name] = {"listen": [f"127.0.0.1:{ports[name]}/tcp"], "mode": "http",
                          "pool": "far" if name in ("raw", "sni") else "web"}
    pools["far"] = {"health": "none", "backends": [{"name": "f1", "address": far}]}
    services["secure"]["tls"] = {"certificates": [ca.issue("example.org")]}
    services["raw"]["mode"], services["sni"]["mode"] = "tcp", "tls"
    # Whoever is silent here is so for as long as the test lasts.
    services["sni"]["relay"] = {"client_hello": "120s"}
    for name in ("web", "secure"):
        services[name]["timeouts"] = {"request_header": "120s", "idle": "120s"}
    services["secure"]["timeouts"]["tls_handshake"] = "120s"
    proxy.daemon.write_config(proxy.config)
    proxy.daemon.start()
    proxy.ports, proxy.holder, proxy.rows = ports, holder, Rows(proxy.daemon)
    yield proxy
    holder.go.set()


def test_http1_is_told_in_all_its_states(mixed):
    rows = mixed.rows
    with connect(mixed.port) as fresh, connect(mixed.port) as idle, connect(mixed.port) as busy, \
            connect(mixed.port) as half:
        idle.ask(GET)
        idle.ask(GET)
        busy.send(HOLD)
        half.send("GET / HT")
        wait_until(lambda: mixed.holder.held)
        told = rows.wait("web", "idle", "idle", "request", "header")
        ends = {f"127.0.0.1:{p.sock.getsockname()[1]}": p for p in (fresh, idle, busy, half)}
        assert set(ends) == {row["source"] for row in told}
        for row in told:
            who = ends[row["source"]]
            assert row["datapath"] == "proxied" and row["protocol"] == "h1" and not row["tls"], row
            assert row["destination"] == f"127.0.0.1:{mixed.port}" and row["service"] == "web"
            assert row["requests"] == (2 if who is idle else 1 if who is busy else 0), row
            assert row["bytes_in"] == {idle: 2 * len(GET), busy: len(HOLD), half: 8}.get(who, 0)
            assert row["age_ms"] < 60000 and row["idle_ms"] <= row["age_ms"] + 100
            assert bool(row["backend"]) == (who is busy) and "streams" not in row
        row = next(row for row in told if ends[row["source"]] is busy)
        assert (row["pool"], row["backend"]) == ("web", mixed.holder.held[0])
        sent = next(row for row in told if ends[row["source"]] is idle)["bytes_out"]
        assert sent >= 2 * len(OK)
        # Age goes on, and what the kernel has not is not told of.
        wait_until(lambda: min(row["age_ms"] for row in rows.of("web")) > 300)
        assert rows.count()["by_datapath"] == {"steered": 0, "proxied": 4}
        assert rows.count()["by_state"] == {"idle": 2, "request": 1, "header": 1}
        mixed.holder.go.set()
        busy.message()
        rows.wait("web", "idle", "idle", "idle", "header")


def test_other_protocols_are_told(mixed, ca):
    rows, ports = mixed.rows, mixed.ports
    with certs.connect(ports["secure"], ca.context(alpn=["http/1.1"])) as one, \
            connect(ports["secure"]) as raw_tls, connect(ports["raw"]) as raw, \
            connect(ports["sni"]) as sni, connect(ports["sni"]) as silent, \
            connect(mixed.port) as websocket, connect(mixed.port) as other, \
            H2Client(connect(mixed.port)) as h2:
        one.ask(GET)
        said = say(raw, "12345")
        sni.send(tls.hello("x.org") + b"\n")
        for peer, name in ((websocket, "websocket"), (other, "raw")):
            peer.send(ASK.format(name))
            assert peer.head().status == 101
        assert h2.ask(get("/")).status == 200

        told = {row["state"]: row for row in rows.wait("secure", "idle", "opening")}
        assert told["idle"]["protocol"] == "h1" and told["idle"]["tls"]
        assert told["opening"]["source"].endswith(f":{raw_tls.sock.getsockname()[1]}")
        row, = rows.wait("raw", "established")
        assert (row["protocol"], row["pool"], row["backend"], row["bytes_in"], row["bytes_out"]) \
            == ("tcp", "far", "f1", 6, len(said)) and "requests" not in row
        told = {row["state"]: row for row in rows.wait("sni", "established", "opening")}
        assert told["established"]["protocol"] == "tls" and told["established"]["backend"] == "f1"
        assert told["opening"]["source"].endswith(f":{silent.sock.getsockname()[1]}")
        assert told["opening"]["backend"] == ""
        told = {row["protocol"]: row for row in rows.wait("web", "idle", "tunnel", "tunnel")}
        assert set(told) == {"websocket", "tunnel", "h2"}
        assert told["websocket"]["backend"] and told["tunnel"]["backend"]
        assert (told["h2"]["streams"], told["h2"]["requests"]) == (0, 1)

        streams = [h2.start(get("/hold")) for _ in range(3)]
        wait_until(lambda: len(mixed.holder.held) == 3)
        told = {row["protocol"]: row for row in rows.wait("web", "request", "tunnel", "tunnel")}
        assert (told["h2"]["streams"], told["h2"]["requests"]) == (3, 4)
        assert told["h2"]["backend"] in mixed.holder.held
        # Its streams may be with several backends: it is found by each of them.
        for name in set(mixed.holder.held):
            found = rows.list("--backend", f"web/{name}")["flows"]
            assert [r["backend"] for r in found if r["protocol"] == "h2"] == [name]
        shown = mixed.daemon.ctl("conn", "list")
        assert shown.rc == 0
        for word in ("DATAPATH", "h1, tls", "websocket", "h2", "far/f1", "opening"):
            assert word in shown.stdout, shown
        mixed.holder.go.set()
        for stream in streams:
            assert h2.reply(stream).status == 200


def test_filters_and_limits(mixed):
    rows, ports = mixed.rows, mixed.ports
    held = [from_address(f"127.0.1.{i % 4 + 1}", ports["web" if i % 2 else "raw"])
            for i in range(40)]
    rows.wait("web", *["idle"] * 20)
    rows.wait("raw", *["established"] * 20)
    said = rows.count()
    assert said["matched"] == 40 and said["flows"] == []
    assert said["by_service"] == {"web": 20, "raw": 20}
    assert said["by_backend"] == {"far/f1": 20, "-": 20}
    for args, matched in ((("--service", "raw"), 20), (("--backend", "far"), 20),
                          (("--backend", "far/f1"), 20), (("--backend", "web"), 0),
                          (("--source", "127.0.1.1"), 10), (("--source", "127.0.1.2/31"), 20),
                          (("--source", "127.0.1.1", "--service", "web"), 0),
                          (("--source", "::/0"), 0), (("steered",), 0), (("proxied",), 40)):
        assert rows.count(*args)["matched"] == matched, args
        assert len(rows.list(*args)["flows"]) == matched, args
    cut = mixed.daemon.ctl_json("conn", "list", "--limit", 7)
    assert len(cut["flows"]) == 7 and cut["matched"] == 40
    assert "7 of 40" in mixed.daemon.ctl("conn", "list", "--limit", 7).stdout
    assert mixed.daemon.ctl("conn", "list", "up").rc == 3
    for peer in held:
        peer.close()
    wait_until(lambda: rows.count()["matched"] == 0, 30)


def test_kill_breaks_off_what_is_under_way(mixed, ca):
    rows, ports = mixed.rows, mixed.ports
    idle, busy, websocket = (connect(mixed.port) for _ in range(3))
    tcp, sni = connect(ports["raw"]), connect(ports["sni"])
    secure = certs.connect(ports["secure"], ca.context())
    idle.ask(GET)
    secure.ask(GET)
    busy.send(HOLD)
    websocket.send(ASK.format("websocket"))
    websocket.head()
    say(tcp)
    h2 = H2Client(connect(mixed.port))
    h2.start(get("/hold"))
    wait_until(lambda: len(mixed.holder.held) == 2)
    rows.wait("web", "idle", "request", "request", "tunnel")

    said = rows.kill("--all")
    assert (said["killed"], said["closed"], said["forgotten"]) == (7, 7, 0), said
    assert said["by_service"] == {"web": 4, "secure": 1, "raw": 1, "sni": 1}
    assert ended(idle) == "end" and ended(secure) == "end"  # over TLS with its last word
    for peer in (busy, websocket, tcp, sni, h2.peer):
        assert ended(peer) == "reset"
    wait_until(lambda: rows.count()["matched"] == 0, 30)
    assert mixed.counter("killed") == 4 and mixed.counter("killed_requests") == 3
    assert mixed.counter("aborted") == 0
    wait_until(lambda: sum(mixed.holder.ends.values()) == 1, 30)  # the WebSocket's backend, too
    shown = mixed.daemon.ctl_json("service", "show", "raw")["relay"]
    assert (shown["killed"], shown["resets"], shown["open_connections"]) == (1, 0, 0)
    assert "audit: command method=POST path=/v1/flows/kill" in mixed.daemon.log
    assert "flows killed forgotten=0 closed=7" in mixed.daemon.log
    # All goes on.
    mixed.holder.go.set()
    assert mixed.ask(GET).status == 200


def test_kill_by_client_and_by_backend(mixed):
    rows, ports = mixed.rows, mixed.ports
    here = [from_address(f"127.0.2.{i}", ports["raw"]) for i in range(1, 9)]
    there = [from_address(f"127.0.3.{i}", ports["raw"]) for i in range(1, 9)]
    rows.wait("raw", *["established"] * 16)
    assert rows.kill("--source", "127.0.2.0/24", "--service", "web")["killed"] == 0
    assert rows.kill("--source", "127.0.2.0/30")["killed"] == 3
    assert [ended(peer) for peer in here[:3]] == ["reset"] * 3
    assert rows.kill("steered", "--all")["killed"] == 0
    said = rows.kill("proxied", "--source", "127.0.2.0/24")
    assert said["killed"] == 5 and said["by_backend"] == {"far/f1": 5}
    for peer in there:
        say(peer)

    busy = [connect(mixed.port) for _ in range(12)]
    for peer in busy:
        peer.send(HOLD)
    wait_until(lambda: len(mixed.holder.held) == 12)
    wait_until(lambda: rows.count("--service", "web")["by_state"] == {"request": 12}, 30)
    by = rows.count("--service", "web")["by_backend"]
    assert set(by) == {"web/b1", "web/b2"}
    assert rows.kill("--backend", "web/b1")["killed"] == by["web/b1"]
    assert rows.count("--service", "web")["by_backend"] == {"web/b2": by["web/b2"]}
    mixed.holder.go.set()
    answers = collections.Counter()
    for peer in busy:
        try:
            answers[peer.message().status] += 1
        except (ConnectionResetError, EOFError):
            answers["reset"] += 1
    assert answers == {200: by["web/b2"], "reset": by["web/b1"]}
    assert rows.kill("--backend", "far")["killed"] == 8
    assert [ended(peer) for peer in there] == ["reset"] * 8


def test_clients_are_who_a_proxy_header_says(http_proxy):
    proxy = http_proxy(proxy_protocol={
        "from": ["127.0.0.1"], "timeout": "120s"}, timeouts={"idle": "120s"})
    rows = Rows(proxy.daemon)
    with connect(proxy.port) as client, connect(proxy.port):
        client.send("PROXY TCP4 192.0.2.7 198.51.100.1 1000 80\r\n")
        assert client.ask(GET).status == 200
        rows.wait("web", "idle", "opening")
        row, = rows.list("--source", "192.0.2.0/24")["flows"]
        assert (row["source"], row["destination"]) == ("192.0.2.7:1000", "198.51.100.1:80")
        assert rows.kill("--source", "192.0.2.7")["closed"] == 1
        assert ended(client) == "end"
        rows.wait("web", "opening")


def test_backends_see_it_too(http_proxy):
    ends = []
    proxy = http_proxy(lambda peer: ends.append(ended(peer)), mode="tcp")
    rows = Rows(proxy.daemon)
    with connect(proxy.port) as client:
        rows.wait("web", "established")
        assert rows.kill("--backend", "web/b1")["closed"] == 1
        assert ended(client) == "reset"
    wait_until(lambda: ends == ["reset"], 30, what=lambda: f"a reset: {ends}")
    assert proxy.counter("resets") == 0 and proxy.counter("killed") == 1


def test_killed_requests_are_in_the_access_log_by_a_name_of_their_own(http_proxy, lab):
    holder, path = Holder(), lab.path("access.log")
    proxy = http_proxy(holder.serve("b1"), access_log={"target": path})
    rows = Rows(proxy.daemon)
    with connect(proxy.port) as busy:
        busy.send(HOLD)
        wait_until(lambda: holder.held)
        assert rows.kill("--service", "web")["closed"] == 1
        assert ended(busy) == "reset"

    def lines():
        if not os.path.exists(path):
            return []
        with open(path, encoding="utf-8") as f:
            return [json.loads(line) for line in f]
    wait_until(lines, 30)
    assert [line["reason"] for line in lines()] == ["connection closed by a command"]
    holder.go.set()


def test_thousands_while_others_come_and_go(mixed):
    """Who stays is told once, in each question, and a kill ends those it names alone."""
    rows, kept, stop, errors = mixed.rows, [], threading.Event(), []
    kept = [from_address(f"127.0.4.{i % 200 + 1}", mixed.ports["raw"]) for i in range(1500)]
    names = {"%s:%d" % peer.sock.getsockname()[:2] for peer in kept}

    def come_and_go():
        try:
            while not stop.is_set():
                some = [from_address("127.0.5.1", mixed.port) for _ in range(20)]
                for peer in some[::2]:
                    peer.close()
                for peer in some[1::2]:
                    peer.send("GET / HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n")
                    assert peer.to_end()
                    peer.close()
        except (OSError, AssertionError) as exc:
            errors.append(exc)
    threads = [threading.Thread(target=come_and_go) for _ in range(2)]
    for thread in threads:
        thread.start()
    try:
        wait_until(lambda: rows.count("--source", "127.0.4.0/24")["matched"] == 1500, 60)
        for _ in range(8):
            told = [row["source"] for row in rows.list()["flows"]]
            ours = [source for source in told if source.startswith("127.0.4.")]
            assert len(ours) == 1500 and set(ours) == names
            assert rows.count("--source", "127.0.4.0/24")["matched"] == 1500
        gone = rows.kill("--source", "127.0.4.0/25")
        stay = [p for p in kept if int(p.sock.getsockname()[0].split(".")[3]) >= 128]
        assert gone["killed"] == 1500 - len(stay) > 0
        assert rows.count("--source", "127.0.4.0/24")["matched"] == len(stay)
        for peer in stay:
            say(peer)
    finally:
        stop.set()
        for thread in threads:
            thread.join()
        for peer in kept:
            peer.close()
    assert not errors
    wait_until(lambda: rows.count()["matched"] == 0, 60)


def ask_and_leave(proxy, path):
    """Leaves as soon as the daemon has read the question."""
    with socket.socket(socket.AF_UNIX) as sock:
        sock.connect(proxy.daemon.socket)
        sock.sendall(f"GET {path} HTTP/1.1\r\nHost: a\r\n\r\n".encode())
        unread = bytearray(4)
        while fcntl.ioctl(sock, termios.TIOCOUTQ, unread) or any(unread):
            pass


def test_a_question_ends_with_who_asked(mixed):
    rows = mixed.rows
    kept = [connect(mixed.ports["raw"]) for _ in range(1500)]
    wait_until(lambda: rows.count()["matched"] == 1500, 60)

    def has_left():
        ask_and_leave(mixed, "/v1/flows?limit=10000")
        return "has left, looked no further" in mixed.daemon.log
    wait_until(has_left, 60)
    seen = re.search(r"has left, looked no further seen=(\d+)", mixed.daemon.log)
    assert int(seen.group(1)) < 1500
    assert len(rows.list()["flows"]) == 1500  # from the beginning, and nobody is in its way
    for peer in kept:
        peer.close()


def test_reloads_and_the_end_are_in_nobodys_way(mixed):
    """Questions while generations change, and one that the end of the daemon meets."""
    rows, stop, errors = mixed.rows, threading.Event(), []
    kept = [connect(mixed.ports["raw"]) for _ in range(600)]
    wait_until(lambda: rows.count()["matched"] == 600, 60)

    def ask():
        while not stop.is_set():
            done = mixed.daemon.ctl("-o", "json", "conn", "count")
            if done.rc or json.loads(done.stdout)["matched"] != 600:
                errors.append(done)
    asking = threading.Thread(target=ask)
    asking.start()
    try:
        for weight in (3, 4, 5, 6):
            mixed.config["pools"]["web"]["backends"][0]["weight"] = weight
            mixed.daemon.reload(mixed.config)
    finally:
        stop.set()
        asking.join()
    assert not errors
    # What waits for its drain is told of still.
    mixed.daemon.signal(signal.SIGTERM)
    wait_until(lambda: "stopping, connections may end" in mixed.daemon.log)
    assert rows.count()["matched"] == 600
    stop.clear()

    def ask_until_end():
        while not stop.is_set():
            mixed.daemon.ctl("conn", "list")
    asking = threading.Thread(target=ask_until_end)
    asking.start()
    mixed.daemon.signal(signal.SIGTERM)
    try:
        assert mixed.daemon.wait_exit() == 1
    finally:
        stop.set()
        asking.join()
    for peer in kept:
        peer.close()
