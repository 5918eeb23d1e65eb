# SPDX-License-Identifier: BSD-2-Clause
"""Another process takes a daemon's place: what clients notice of it, and what fails."""
import os
import signal
import socket
import ssl
import stat
import subprocess
import threading
import time

import pytest

import dns
from admin_http import request
from discovery import at, make, rows, served_by, wait_rows
from h2peer import ACK, DATA, END_STREAM, GOAWAY, HEADERS, PING, RawH2, frame
from http1 import OK, connect
from lab import TIMEOUT_S, binary, wait_until
from test_l7_http2_tunnels import switch
from test_l7_tls_early import Client
from test_l7_tunnels import ASK

GET = "GET / HTTP/1.1\r\nHost: a\r\n\r\n"


def status(daemon):
    return daemon.ctl_json("status")


def listening(port):
    """The sockets themselves, by inode."""
    with open("/proc/net/tcp", encoding="ascii") as f:
        rows = [line.split() for line in f.readlines()[1:]]
    return {row[9] for row in rows if row[3] == "0A" and row[1].endswith(f":{port:04X}")}


def test_a_new_process_answers(http_proxy):
    proxy = http_proxy(workers=2)
    sockets = listening(proxy.port)
    assert len(sockets) == 2
    daemon = proxy.daemon
    first = status(daemon)
    assert (first["upgrade"]["state"], first["upgrade"]["took_over_from_pid"]) == ("none", None)
    assert proxy.ask(GET).status == 200
    former = daemon.upgrade()
    wait_until(lambda: former.poll() is not None, 10, what=lambda: daemon.log)
    assert former.returncode == 0
    now = status(daemon)
    assert listening(proxy.port) == sockets
    assert now["pid"] == daemon.proc.pid != first["pid"] == former.pid
    assert now["upgrade"]["took_over_from_pid"] == first["pid"]
    assert now["state"] == "running" and now["generation"] == first["generation"] + 1
    assert f"took over from pid {first['pid']}" in daemon.ctl("status").stdout
    assert proxy.ask(GET).status == 200
    assert os.path.exists(daemon.socket)
    assert daemon.terminate() == 0
    assert not os.path.exists(daemon.socket)


def test_a_signal_upgrades(http_proxy):
    proxy = http_proxy()
    first = status(proxy.daemon)["pid"]
    proxy.daemon.signal(signal.SIGUSR2)
    wait_until(lambda: f"takes the place of another daemon pid={first}" in proxy.daemon.log, 10)
    wait_until(lambda: proxy.daemon.proc.poll() is not None, 20, what=lambda: proxy.daemon.log)
    wait_until(lambda: proxy.daemon.ctl("status").rc == 0, 10)
    pid = status(proxy.daemon)["pid"]
    assert pid != first
    os.kill(pid, signal.SIGTERM)
    wait_until(lambda: not os.path.exists(proxy.daemon.socket), 10)


def test_changes_at_run_time_go_on(http_proxy):
    proxy = http_proxy()
    daemon = proxy.daemon
    assert daemon.ctl("backend", "add", "web", "more", "127.0.0.1:9").rc == 0
    assert daemon.ctl("backend", "drain", "web", "more").rc == 0
    shown = daemon.ctl("config", "show").stdout
    for _ in range(2):
        daemon.upgrade()
        assert daemon.ctl("config", "show").stdout == shown
        assert status(daemon)["unsaved_changes"]


def test_health_goes_on(http_proxy, backend, free_port):
    ports = [free_port(), free_port()]
    servers = [backend(f"b{i + 1}", http=[f"127.0.0.1:{p}"]) for i, p in enumerate(ports)]
    # Who begins anew knows nothing for as long as a check takes to be due.
    proxy = http_proxy(backends=[f"127.0.0.1:{p}" for p in ports], pool={
        "health": {"http": {"path": "/healthz"}, "every": "1s", "fall": 1, "rise": 1}})
    servers[1].set_health(503)

    def states():
        return [b["state"] for b in proxy.daemon.ctl_json("health")["backends"]]
    wait_until(lambda: states() == ["up", "down"], 20, what=lambda: str(states()))
    proxy.daemon.ctl("config", "show")
    before = proxy.daemon.ctl_json("health")["backends"]
    former = proxy.daemon.upgrade()
    after = proxy.daemon.ctl_json("health")["backends"]
    assert states() == ["up", "down"]
    assert [b["checks"] >= a["checks"] for a, b in zip(before, after)] == [True, True]
    former.wait()
    assert "health: backend is" not in proxy.daemon.log.split("takes the place of", 1)[1]


def test_backends_that_were_found_go_on(lab, http_proxy, servers, free_port):
    """Also while nobody answers who knows them, and with nothing on disk."""
    port = servers(2)
    server = dns.Knot(lab, ["web 1 A 127.0.9.1", "web 1 A 127.0.9.2"], port=free_port())
    proxy = make(http_proxy, {"health": "none", "discover": {
        "dns": "web.shunt.test", "resolver": server.addr, "port": port, "min_ttl": "100ms",
        "timeout": "2s"}})
    wait_rows(proxy, *at(port, 1, 2))
    server.kill()
    for _ in range(2):
        proxy.daemon.upgrade().wait()
        assert set(rows(proxy)) == set(at(port, 1, 2))
        assert set(served_by(proxy)) == {"b1", "b2"}


def test_the_admin_server_goes_on(admin, tmp_path):
    path = str(tmp_path / "admin.sock")
    tcp = admin()
    unix = admin(change=lambda config: config.update(admin={"http": f"unix:{path}"}))
    for _ in range(2):
        for daemon, asked in ((tcp.daemon, {}), (unix.daemon, {"unix": path})):
            daemon.upgrade().wait()
            assert request(tcp.port, "GET", "/readyz", **asked)[0] == 200
    assert unix.daemon.terminate() == 0
    assert not os.path.exists(path)


def test_an_admin_server_elsewhere(admin, free_port):
    """A key that needs a restart takes effect by an upgrade."""
    a, port = admin(), free_port()
    a.proxy.config["admin"]["http"] = f"127.0.0.1:{port}"
    a.daemon.reload(a.proxy.config)
    assert request(a.port, "GET", "/readyz")[0] == 200
    a.daemon.upgrade().wait()
    assert request(port, "GET", "/readyz")[0] == 200
    with pytest.raises(ConnectionRefusedError):
        request(a.port, "GET", "/readyz")


def test_no_descriptor_is_left_over(http_proxy):
    proxy = http_proxy(workers=2, node={"steer_sockets": "on"})

    def count():
        proxy.daemon.upgrade().wait()
        assert proxy.ask(GET).status == 200
        return len(os.listdir(f"/proc/{proxy.daemon.proc.pid}/fd"))
    first = count()
    assert abs(count() - first) <= 2 and abs(count() - first) <= 2


# ---- under traffic


def serve(peer):
    """Requests, or what comes after a switch to WebSocket."""
    while True:
        request = peer.message()
        if request.get("Upgrade"):
            peer.send(switch(request))
            while peer.buffer or peer.fill():
                peer.send(peer.take(len(peer.buffer)))
            return
        peer.send(OK)


class Streams(threading.Thread):
    """Requests by HTTP/2, one after another, on a connection for as long as the server wants it."""

    def __init__(self, port):
        super().__init__(daemon=True)
        self.port, self.stopped = port, threading.Event()
        self.ok = self.connections = 0
        self.errors = []
        self.start()

    def request(self, raw, stream):
        """Answered? And may there be another one on this connection?"""
        raw.headers(stream, [(":method", "GET"), (":scheme", "http"), (":path", "/"),
                             (":authority", "a")])
        again = True
        while frame_ := raw.next():
            if frame_.kind == PING and not frame_.flags & ACK:
                raw.send(frame(PING, ACK, 0, frame_.payload))
            elif frame_.kind == GOAWAY:
                again = False
            elif frame_.kind == HEADERS and frame_.stream == stream:
                assert dict(raw.fields(frame_))[":status"] == "200"
            elif frame_.kind == DATA and frame_.flags & END_STREAM and frame_.stream == stream:
                return again
        raise EOFError("the connection ended before the answer")

    def run(self):
        while not self.stopped.is_set():
            try:
                with RawH2(connect(self.port)) as raw:
                    self.connections += 1
                    stream = 1
                    while not self.stopped.is_set() and self.request(raw, stream):
                        self.ok += 1
                        stream += 2
            except Exception as exc:  # pylint: disable=broad-except
                self.errors.append(repr(exc))

    def finish(self):
        self.stopped.set()
        self.join()
        return self


def test_three_upgrades_under_traffic(http_proxy, client):
    proxy = http_proxy(serve, serve, workers=2, http2="on",
                       node={"drain_timeout": "3s"})
    load = client("http", f"http://127.0.0.1:{proxy.port}/", "--connections", 16)
    new = client("http", f"http://127.0.0.1:{proxy.port}/", "--connections", 1)
    streams = [Streams(proxy.port) for _ in range(4)]
    pids, former = [status(proxy.daemon)["pid"]], None
    for _ in range(3):
        wait_until(lambda: proxy.counter("requests") > 300)
        tunnel = connect(proxy.port)
        tunnel.send(ASK.format("websocket"))
        assert tunnel.head().status == 101
        former = proxy.daemon.upgrade()
        # It lives, with the one that it began with.
        for i in range(20):
            tunnel.send(f"say {i}")
            assert tunnel.exactly(len(f"say {i}")) == f"say {i}".encode()
        assert former.poll() is None
        began = time.monotonic()
        assert tunnel.is_closed()
        assert 1 < time.monotonic() - began < 10
        pids.append(status(proxy.daemon)["pid"])
    wait_until(lambda: former.poll() is not None, 10)
    wait_until(lambda: proxy.counter("requests") > 300)
    for result in (load.finish(), new.finish()):
        assert result["errors"] == {} and set(result["status"]) == {"200"}, result
        assert result["reconnects"] >= 2  # by the first one it may not have begun
    for lane in [s.finish() for s in streams]:
        assert lane.errors == [] and lane.connections >= 4 and lane.ok > 50
    assert len(set(pids)) == 4


@pytest.mark.parametrize("before, after", [(4, 2), (1, 3)])
def test_another_number_of_workers(http_proxy, client, before, after):
    """No socket of the former workers is left without somebody who accepts."""
    proxy = http_proxy(workers=before)
    proxy.config["node"]["workers"] = after
    proxy.daemon.reload(proxy.config)
    assert status(proxy.daemon)["proxy"]["workers"] == before
    sockets = listening(proxy.port)
    for _ in range(2):
        proxy.daemon.upgrade().wait()
        assert status(proxy.daemon)["proxy"]["workers"] == after
        assert sockets <= listening(proxy.port)
        result = client("http", f"http://127.0.0.1:{proxy.port}/", "--connections", 64,
                        "--requests", 256).result()
        assert result["ok"] == 256 and result["errors"] == {}


# ---- TLS


@pytest.mark.parametrize("version", [ssl.TLSVersion.TLSv1_2, ssl.TLSVersion.TLSv1_3])
def test_sessions_go_on(tls_proxy, ca, version):
    proxy = tls_proxy(workers=2)
    context = ca.context(version)

    def come(session=None):
        with proxy.open(context, session=session) as peer:
            assert peer.ask(GET.replace("Host: a", "Host: example.org")).status == 200
            return peer.sock.session_reused, peer.sock.session
    _, session = come()
    for _ in range(2):
        proxy.daemon.upgrade()
        assert [come(session)[0] for _ in range(8)] == [True] * 8


def test_early_data_is_not_taken_twice(tls_proxy, ca):
    """A first message that was taken by the former process is not taken again by the next."""
    proxy = tls_proxy(tls={"early_data": "on"})
    visitor = Client(ca)
    visitor.learn(proxy.port)
    request = GET.replace("Host: a\r\n", "Host: example.org\r\nConnection: close\r\n")
    visitor.come_back(proxy.port, request)
    proxy.wait_counter("tls_early", 1)
    proxy.daemon.upgrade()
    visitor.come_back(proxy.port, request)
    proxy.wait_counter("tls_early_refused", 1)
    assert (proxy.counter("tls_early"), proxy.counter("tls_resumed")) == (0, 1)


# ---- what fails


def fake(lab, text):
    path = lab.path("fake")
    with open(path, "w", encoding="utf-8") as f:
        f.write("#!/bin/sh\n" + text)
    os.chmod(path, os.stat(path).st_mode | stat.S_IXUSR)
    return path


@pytest.mark.parametrize("script, why", [
    ("exit 3\n", "ended with exit code 3"),
    ("kill -9 $$\n", "ended by signal 9"),
    ("exec sleep 1000\n", "did not check the configuration in time"),
    ("printf 'failed no such thing' >&3; exit 1\n", "no such thing"),
    ("printf 'checked' >&3; exec sleep 1000\n", "was not ready in time"),
    ("printf 'checked' >&3; exit 1\n", "ended with exit code 1"),
    ("printf 'ready' >&3; exec sleep 1000\n", "does not speak this daemon's language"),
])
def test_one_that_fails_changes_nothing(lab, http_proxy, client, script, why):
    proxy = http_proxy(workers=2, node={"steer_sockets": "on"})
    daemon, pid = proxy.daemon, proxy.daemon.proc.pid
    load = client("http", f"http://127.0.0.1:{proxy.port}/", "--connections", 4)
    wait_until(lambda: proxy.counter("requests") > 20)
    before = status(daemon)
    done = daemon.ctl("upgrade", "--binary", fake(lab, script), "--timeout", "1s")
    assert done.rc == 3 and why in done.stderr, done
    now = status(daemon)
    assert now["pid"] == pid and now["generation"] == before["generation"]
    assert now["upgrade"]["state"] == "none" and why in now["upgrade"]["last_failure"]
    assert "the last one failed: " in daemon.ctl("status").stdout
    assert now["proxy"]["socket_program"]["in_use"]
    seen = proxy.counter("requests")
    wait_until(lambda: proxy.counter("requests") > seen + 20)
    result = load.finish()
    assert result["errors"] == {} and result["reconnects"] == 0
    # It can be changed, and a good one still can take over.
    assert daemon.ctl("backend", "drain", "web", "b1").rc == 0
    assert daemon.ctl("backend", "undrain", "web", "b1").rc == 0
    daemon.upgrade().wait()
    assert proxy.ask(GET).status == 200


def test_a_configuration_that_is_bad_by_now(tls_proxy):
    proxy = tls_proxy()
    os.rename(proxy.config["services"]["web"]["tls"]["certificates"][0]["cert"],
              proxy.daemon.config_path + ".away")
    done = proxy.daemon.ctl("upgrade")
    assert done.rc == 3 and "No such file" in done.stderr, done
    assert status(proxy.daemon)["pid"] == proxy.daemon.proc.pid


def test_what_is_no_binary(lab, http_proxy):
    proxy = http_proxy()
    path = lab.path("text")
    with open(path, "w", encoding="utf-8") as f:
        f.write("text")
    done = proxy.daemon.ctl("upgrade", "--binary", path)
    assert done.rc == 3 and "Permission denied" in done.stderr, done
    assert proxy.daemon.ctl("upgrade", "--binary", path + ".not").rc == 2
    assert proxy.daemon.ctl("upgrade", "--timeout", "soon").rc == 2
    assert proxy.ask(GET).status == 200


def test_one_at_a_time(lab, http_proxy):
    proxy = http_proxy()
    argv = [binary("shuntctl"), "--socket", proxy.daemon.socket, "upgrade"]
    with subprocess.Popen([*argv, "--binary", fake(lab, "exec sleep 1000\n"), "--timeout", "30s"],
                          stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) as first:
        wait_until(lambda: status(proxy.daemon)["upgrade"]["state"] == "checking")
        shown = status(proxy.daemon)["upgrade"]
        assert "under way: pid" in proxy.daemon.ctl("status").stdout
        done = proxy.daemon.ctl("upgrade")
        assert done.rc == 1 and "under way already" in done.stderr, done
        # Until the other has checked it, the configuration is this one's to change.
        assert proxy.daemon.ctl("backend", "drain", "web", "b1").rc == 0
        os.kill(shown["pid"], signal.SIGKILL)
        assert "ended by signal 9" in first.communicate(timeout=TIMEOUT_S)[1]
        assert first.returncode == 3


def has_ended(pid):
    """Also where nobody has asked for its status yet."""
    try:
        with open(f"/proc/{pid}/stat", encoding="utf-8") as f:
            return f.read().rpartition(")")[2].split()[0] == "Z"
    except FileNotFoundError:
        return True


def test_a_stop_ends_the_upgrade(lab, http_proxy):
    proxy = http_proxy()
    argv = [binary("shuntctl"), "--socket", proxy.daemon.socket, "upgrade", "--binary",
            fake(lab, "exec sleep 1000\n")]
    with subprocess.Popen(argv, stderr=subprocess.PIPE, text=True) as first:
        wait_until(lambda: status(proxy.daemon)["upgrade"]["pid"])
        pid = status(proxy.daemon)["upgrade"]["pid"]
        assert proxy.daemon.terminate() == 0
        wait_until(lambda: has_ended(pid))
        assert first.wait() != 0


def test_a_service_manager_is_told_of_the_new_process(lab, http_proxy):
    path = lab.path("notify.sock")
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as sock:
        sock.bind(path)
        sock.settimeout(TIMEOUT_S)
        proxy = http_proxy(daemon={"env": {"NOTIFY_SOCKET": path}})
        assert sock.recv(4096).startswith(b"READY=1\n")
        for _ in range(2):
            proxy.daemon.upgrade()
            told = {sock.recv(4096).split(b"\n")[0] for _ in range(2)}
            assert told == {b"READY=1", f"MAINPID={proxy.daemon.proc.pid}".encode()}
        assert proxy.daemon.terminate() == 0
        assert sock.recv(4096).startswith(b"STOPPING=1")


# ---- the kernel's part


@pytest.mark.parametrize("family", [4, 6])
def test_no_packet_is_lost(l4, client, family):
    it = l4(backends=3)
    steady = client("steady", it.target(family), "--flows", 40, "--rate", 3000, ns=it.net.client)
    assert steady.result()["ready"] == 80
    slots = {name: b["slots"] for name, b in it.backend_counters().items()}
    for _ in range(3):
        it.daemon.upgrade().wait()
        assert status(it.daemon)["l4"]["tables_adopted"]
    assert {name: b["slots"] for name, b in it.backend_counters().items()} == slots
    result = steady.finish()
    assert result["errors"] == {} and result.get("moved", 0) == 0, result
    assert result["tcp_back"] == result["tcp_sent"] > 300
    assert result["udp_back"] == result["udp_sent"] > 300
    assert it.counters("echo-udp")["packets"] == result["udp_sent"]
    it.expect_served(client, family)


def drive(it, client, family, change):
    """Numbered messages while change(seed) has the program replaced, six times: each is answered,
    by whom its flow was answered first, and counted once."""
    steady = client("steady", it.target(family), "--flows", 40, "--rate", 3000, ns=it.net.client)
    assert steady.result()["ready"] == 80
    programs = set()
    for i in range(6):
        change(f"{i + 1:032x}")
        l4_status = status(it.daemon)["l4"]
        assert l4_status["program_replaced"] and l4_status["tables_adopted"]
        programs |= {row["program_id"] for row in l4_status["interfaces"]}
    result = steady.finish()
    assert len(programs) == 6
    assert result["errors"] == {} and result.get("moved", 0) == 0, result
    assert result["udp_back"] == result["udp_sent"] > 1000, result
    assert result["tcp_back"] == result["tcp_sent"] > 1000, result
    assert it.counters("echo-udp")["packets"] == result["udp_sent"]
    for name in ("echo", "echo-udp"):
        assert not any(it.drops(name).values())
    total = sum(it.counters(name)["packets"] for name in ("echo", "echo-udp"))
    assert it.verdicts()["tx"] == total


@pytest.mark.parametrize("family", [4, 6])
def test_no_packet_is_lost_as_the_program_is_replaced(l4, client, family):
    """By upgrades: another seed is another program over the same tables."""
    it = l4(backends=3, service={"tracking": "always"})

    def change(seed):
        it.daemon.reload(it.config(node={"hash_seed": seed}))
        it.daemon.upgrade().wait()
    drive(it, client, family, change)


def test_no_packet_is_lost_as_a_start_replaces_the_program(l4, client):
    it = l4(backends=3, service={"tracking": "always"})

    def change(seed):
        it.daemon.sigkill()
        it.daemon.write_config(it.config(node={"hash_seed": seed}))
        it.daemon.start()
    drive(it, client, 4, change)


def test_the_tables_are_taken_back(lab, l4, client):
    it = l4(backends=2)
    done = it.daemon.ctl("upgrade", "--binary",
                         fake(lab, "printf 'checked' >&3; exec sleep 1000\n"), "--timeout", "1s")
    assert done.rc == 3 and "was not ready in time" in done.stderr, done
    pool = it.daemon.ctl_json("pool", "list")["pools"][0]["name"]
    assert it.daemon.ctl("backend", "disable", pool, "b1").rc == 0
    it.expect_served(client, names={"b2"})
    assert it.daemon.ctl("backend", "enable", pool, "b1").rc == 0
    it.expect_served(client)
    former = it.daemon.upgrade()
    former.wait()
    it.expect_served(client)
