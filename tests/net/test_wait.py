# SPDX-License-Identifier: BSD-2-Clause
"""shuntctl wait, and backend drain --wait."""
import json
import os
import pty
import socket
import subprocess
import threading
import time

import pytest

from http1 import NOBODY
from l4 import ECHO_PORT
from lab import TIMEOUT_S, binary, wait_until
from test_l7_backends import backend_row, refusing
from test_l7_reload import hold
from test_l7_tcp import echo

GET = "GET / HTTP/1.1\r\nHost: a\r\n\r\n"
HOLD = GET.replace("/ ", "/hold ")
TIMEOUT = 5  # the exit code


class Ctl:
    """A shuntctl under way. terminal: its standard error is one."""

    def __init__(self, daemon, *args, terminal=False):
        self.shown = b""
        self.pty = None
        slave = subprocess.PIPE
        if terminal:
            self.pty, slave = pty.openpty()
        self.proc = subprocess.Popen(
            [binary("shuntctl"), "--socket", daemon.socket, *map(str, args)],
            stdout=subprocess.PIPE, stderr=slave)
        if terminal:
            os.close(slave)

    def is_running(self):
        return self.proc.poll() is None

    def wait_shown(self, text):
        while text not in self.shown:
            self.shown += os.read(self.pty, 4096)

    def result(self):
        """Exit code, standard output, standard error."""
        out, err = self.proc.communicate(timeout=TIMEOUT_S)
        return self.proc.returncode, out.decode(), (err or b"").decode()


# ---- drain

@pytest.mark.parametrize("json_too", [False, True])
def test_a_drain_waits_for_requests(http_proxy, json_too):
    release = []
    proxy = http_proxy(hold(release))
    with proxy.connect() as idle, proxy.connect() as busy:
        assert idle.ask(GET).status == 200
        busy.send(HOLD)
        wait_until(lambda: backend_row(proxy, "b1")["active_requests"] == 1)
        drain = Ctl(proxy.daemon, *(["-o", "json"] if json_too else []),
                    "backend", "drain", "web/b1", "--wait")
        wait_until(lambda: proxy.daemon.ctl_json("backend", "list")["backends"][0]["state"] ==
                   "draining")
        assert proxy.ask(GET).status == 503 and drain.is_running()
        release.append(True)
        assert busy.message().status == 200
        code, out, err = drain.result()
        assert code == 0 and not err
        if json_too:
            assert json.loads(out)["generation"] == 2
        else:
            assert "state: up -> drain" in out


def test_a_drain_waits_for_relayed_connections(http_proxy):
    proxy = http_proxy(echo, mode="tcp")
    with proxy.connect() as client:
        client.send("x")
        assert client.exactly(1) == b"x"
        drain = Ctl(proxy.daemon, "backend", "drain", "web/b1", "--wait", terminal=True)
        drain.wait_shown(b"web/b1: 1 requests or connections under way (")
        assert drain.is_running()
        client.shutdown()
        assert client.to_end() == b""
    assert drain.result()[0] == 0


def test_a_drain_that_takes_too_long_is_5_and_stays(http_proxy):
    release = []
    proxy = http_proxy(hold(release))
    with proxy.connect() as busy:
        busy.send(HOLD)
        wait_until(lambda: backend_row(proxy, "b1")["active_requests"] == 1)
        done = proxy.daemon.ctl("backend", "drain", "web", "b1", "--wait", "--timeout", "300ms")
        assert done.rc == TIMEOUT, done
        assert "not in time: 1 requests or connections under way" in done.stderr
        assert proxy.daemon.ctl_json("backend", "list")["backends"][0]["state"] == "draining"
        release.append(True)
        assert busy.message().status == 200
    # Once more: it drains already.
    assert proxy.daemon.ctl("backend", "drain", "web", "b1", "--wait").rc == 0


@pytest.mark.parametrize("verb, says", [("undrain", "somebody has ended the drain"),
                                        ("remove", "somebody has removed it")])
def test_a_drain_that_somebody_ends_is_1(http_proxy, verb, says):
    release = []
    proxy = http_proxy(hold(release))
    with proxy.connect() as busy:
        busy.send(HOLD)
        wait_until(lambda: backend_row(proxy, "b1")["active_requests"] == 1)
        # A pool must have a backend.
        assert proxy.daemon.ctl("backend", "add", "web", "b2", NOBODY["address"]).rc == 0
        drain = Ctl(proxy.daemon, "backend", "drain", "web/b1", "--wait")
        wait_until(lambda: proxy.daemon.generation() == 3)
        assert proxy.daemon.ctl("backend", verb, "web/b1").rc == 0
        code, _, err = drain.result()
        assert code == 1 and says in err
        release.append(True)
        assert busy.message().status == 200


@pytest.mark.parametrize("args", [["--timeout", "5s"], ["--quiet", "5s"],
                                  ["--wait", "--timeout", "5"], ["--wait", "--quiet", "x"]])
def test_wrong_usage_of_a_drain_drains_nothing(http_proxy, args):
    proxy = http_proxy()
    assert proxy.daemon.ctl("backend", "drain", "web/b1", *args).rc == 2
    assert proxy.daemon.generation() == 1


def test_a_drain_waits_until_packets_stay_away(l4, client):
    it = l4(backends=2)
    keep = client("keep", it.target(4, ECHO_PORT), "--count", 20, ns=it.net.client)
    assert set(keep.result()["by"]) == {"b1", "b2"}
    stop = threading.Event()

    def talk():
        while not stop.is_set():
            assert keep.poke()["same"] == 20
    talker = threading.Thread(target=talk)
    talker.start()
    try:
        drain = Ctl(it.daemon, "backend", "drain", "echo/b1", "--wait", "--quiet", "2s")
        packets = it.backend_counters()["b1"]["packets"]
        until = time.monotonic() + 3.5  # longer than it would take without the packets
        wait_until(lambda: time.monotonic() > until or not drain.is_running())
        assert drain.is_running() and it.backend_counters()["b1"]["packets"] > packets
    finally:
        stop.set()
        talker.join()
    assert drain.result()[0] == 0
    done = it.daemon.ctl("backend", "drain", "echo/b1", "--wait", "--timeout", "100ms",
                         "--quiet", "10s")
    assert done.rc == TIMEOUT and "no packets for" in done.stderr


# ---- wait

def test_wait_ready_waits_for_a_daemon_that_is_not_there_yet(http_proxy):
    proxy = http_proxy(start=False)
    done = proxy.daemon.ctl("wait", "ready", "--timeout", "200ms")
    assert done.rc == TIMEOUT and "does not answer at" in done.stderr
    wait = Ctl(proxy.daemon, "wait", "ready")
    proxy.daemon.start()
    assert wait.result() == (0, "", "")


def test_wait_ready_says_what_is_missing(lab, shuntd):
    daemon = shuntd({"pools": {}, "services": {}}, ns=lab.namespace("host"))
    assert daemon.ctl("wait", "ready", "--timeout", "0s").rc == 0


def test_wait_health_waits_for_the_checks(http_proxy, free_port):
    port = free_port()
    pool = {"health": {"tcp": {}, "every": "100ms", "rise": 1, "fall": 1}}
    proxy = http_proxy(backends=[{"address": f"127.0.0.1:{port}"}, {"address": refusing()}],
                       pool=pool)
    ctl = proxy.daemon.ctl
    done = ctl("wait", "health", "web/b1", "--timeout", "500ms")
    assert done.rc == TIMEOUT and "web/b1 is down: " in done.stderr, done
    wait = Ctl(proxy.daemon, "wait", "health", "web/b1")
    assert wait.is_running()
    with socket.create_server(("127.0.0.1", port), backlog=4096):  # nobody accepts
        assert wait.result() == (0, "", "")
        done = ctl("wait", "health", "web", "--timeout", "0s")
        assert done.rc == TIMEOUT and "web/b2 is down: " in done.stderr, done
        assert ctl("backend", "disable", "web/b2").rc == 0  # no part of what is waited for
        assert ctl("wait", "health", "web").rc == 0
        assert ctl("backend", "drain", "web/b1").rc == 0
        done = ctl("wait", "health", "web", "--timeout", "0s")
        assert done.rc == TIMEOUT and "none of its backends is in service" in done.stderr


def test_wait_for_what_there_is_not_ends_at_once(http_proxy):
    proxy = http_proxy()
    for name, says in (("nope", "no such pool"), ("web/nope", "no such backend")):
        done = proxy.daemon.ctl("wait", "health", name)
        assert done.rc == 1 and says in done.stderr, done
    for args in (["generation", "x"], ["health", "web/"], ["health", "/b"], ["health"],
                 ["generation", "1", "--wait"], ["nope"]):
        assert proxy.daemon.ctl("wait", *args).rc == 2, args


def test_wait_generation(http_proxy):
    proxy = http_proxy()
    assert proxy.daemon.ctl("wait", "generation", "1").rc == 0
    done = proxy.daemon.ctl("wait", "generation", "2", "--timeout", "200ms")
    assert done.rc == TIMEOUT and "generation 1 is in force" in done.stderr
    wait = Ctl(proxy.daemon, "wait", "generation", "3")
    for n in (2, 3):
        assert wait.is_running()
        assert proxy.daemon.ctl("backend", "weight", "web/b1", n).rc == 0
    assert wait.result() == (0, "", "")
    assert proxy.ask(GET).status == 200
