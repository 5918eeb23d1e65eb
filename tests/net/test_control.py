# SPDX-License-Identifier: BSD-2-Clause
"""The control socket and the life of the daemon: who may speak, what it says, what signals do."""
import concurrent.futures
import contextlib
import ctypes
import glob
import http.client
import json
import os
import re
import signal
import socket
import stat
import subprocess
import time

import pytest

from lab import TIMEOUT_S, binary, wait_until

NOBODY = 65534


@pytest.fixture
def host(lab):
    """One namespace with nothing but loopback: the proxy alone."""
    return lab.namespace("host")


def proxy(port=8080, backends=None, **more):
    return {
        "node": {"workers": 2, **more.pop("node", {})},
        "pools": {"web": {"health": "none", "backends": backends or [
            {"name": "b1", "address": "127.0.0.1:9001"},
            {"name": "b2", "address": "127.0.0.1:9002"}]}},
        "services": {"web": {"listen": [f"127.0.0.1:{port}/tcp"], "mode": "http", "pool": "web"}},
        **more,
    }


class UnixConnection(http.client.HTTPConnection):
    def __init__(self, path):
        super().__init__("shuntd", timeout=TIMEOUT_S)
        self.path = path

    def connect(self):
        self.sock = socket.socket(socket.AF_UNIX)
        self.sock.settimeout(self.timeout)
        self.sock.connect(self.path)


def ask(daemon, method, path, body=None):
    """(status, headers, body), the body as JSON where it is."""
    conn = UnixConnection(daemon.socket)
    try:
        conn.request(method, path, body)
        reply = conn.getresponse()
        data = reply.read()
    finally:
        conn.close()
    try:
        return reply.status, reply.headers, json.loads(data)
    except ValueError:
        return reply.status, reply.headers, data


def raw(daemon, data, read=True):
    """Send bytes; what comes back until the daemon closes."""
    with socket.socket(socket.AF_UNIX) as sock:
        sock.settimeout(TIMEOUT_S)
        sock.connect(daemon.socket)
        try:
            sock.sendall(data)
            sock.shutdown(socket.SHUT_WR)
        except OSError:
            pass
        out = b""
        while read:
            try:
                piece = sock.recv(65536)
            except OSError:
                break
            if not piece:
                break
            out += piece
        return out


def nobody(daemon, *argv, gid=NOBODY):
    return subprocess.run(["setpriv", f"--reuid={NOBODY}", f"--regid={gid}", "--clear-groups",
                           binary("shuntctl"), "--socket", daemon.socket, *argv],
                          capture_output=True, text=True, check=False)


# ---- replies

def test_each_object_is_there_under_its_path(shuntd, host):
    daemon = shuntd(proxy(), ns=host)
    status, _, version = ask(daemon, "GET", "/v1/version")
    assert status == 200 and version["api"] == 1
    _, _, state = ask(daemon, "GET", "/v1/status")
    assert state["generation"] == 1 and state["l4"] is None and state["pid"] == daemon.proc.pid
    assert state["proxy"]["workers"] == 2 and state["unsaved_changes"] is False
    assert state["backend_states"] == {"total": 2, "usable": 2, "down": 0, "draining": 0,
                                       "disabled": 0}
    _, _, services = ask(daemon, "GET", "/v1/services")
    _, _, service = ask(daemon, "GET", "/v1/services/web")
    assert services == {"services": [service]}
    assert service["listen"] == ["127.0.0.1:8080/tcp"] and service["http"]["requests"] == 0
    _, _, pools = ask(daemon, "GET", "/v1/pools")
    _, _, pool = ask(daemon, "GET", "/v1/pools/web")
    assert pools == {"pools": [pool]} and pool["services"] == ["web"]
    _, _, backends = ask(daemon, "GET", "/v1/backends?pool=web")
    assert backends["backends"] == pool["backends"]
    _, _, health = ask(daemon, "GET", "/v1/health")
    assert [b["state"] for b in health["backends"]] == ["unknown", "unknown"]
    _, headers, text = ask(daemon, "GET", "/v1/config")
    assert headers["Content-Type"] == "application/yaml" and b"127.0.0.1:9001" in text
    _, _, document = ask(daemon, "GET", "/v1/config?format=json")
    assert document["pools"]["web"]["health"] == "none"


@pytest.mark.parametrize("method, path, body, status, reason", [
    ("GET", "/", None, 404, "not-found"),
    ("GET", "/v1/nothing", None, 404, "not-found"),
    ("GET", "/v1/services/nope", None, 404, "not-found"),
    ("GET", "/v1/pools/nope", None, 404, "not-found"),
    ("GET", "/v1/pools/" + "x" * 64, None, 404, "not-found"),
    ("GET", "/v1/backends?pool=nope", None, 404, "not-found"),
    ("GET", "/v1/config?format=xml", None, 400, "bad-request"),
    ("POST", "/v1/status", "", 405, "method-not-allowed"),
    ("BREW", "/v1/status", None, 405, "method-not-allowed"),
    ("POST", "/v1/pools/web/backends", "", 400, "bad-request"),
    ("POST", "/v1/pools/web/backends", "[]", 400, "bad-request"),
    ("POST", "/v1/pools/web/backends", '{"name": "b3"}', 400, "bad-request"),
    ("POST", "/v1/pools/web/backends", '{"name": "b3", "adress": "x"}', 400, "bad-request"),
    ("POST", "/v1/pools/web/backends", '{"name": "b3", "name": "b4"}', 400, "bad-request"),
    ("POST", "/v1/pools/web/backends", '{"name": "b\\u0000", "address": "1.1.1.1:1"}', 400,
     "bad-request"),
    ("POST", "/v1/pools/web/backends", '{"name": "b1", "address": "127.0.0.1:9009"}', 409,
     "exists"),
    ("POST", "/v1/pools/nope/backends", '{"name": "b1", "address": "127.0.0.1:9009"}', 404,
     "not-found"),
    ("POST", "/v1/pools/web/backends", '{"name": "b3", "address": "300.0.0.1:1"}', 422, "refused"),
    ("DELETE", "/v1/pools/web/backends/nope", None, 404, "not-found"),
    ("PATCH", "/v1/pools/web/backends/b1", "{}", 400, "bad-request"),
    ("PATCH", "/v1/pools/web/backends/b1", '{"state": "gone"}', 400, "bad-request"),
    ("PATCH", "/v1/pools/web/backends/b1", '{"weight": -1}', 400, "bad-request"),
    ("PATCH", "/v1/pools/web/backends/b1", '{"weight": 1001}', 400, "bad-request"),
    ("PATCH", "/v1/pools/web/backends/b1", '{"weight": "5"}', 400, "bad-request"),
    ("POST", "/v1/config/apply", "", 422, "refused"),
    ("POST", "/v1/config/apply", "a: [", 422, "refused"),
    ("POST", "/v1/config/check", "nodes: {}", 422, "refused"),
])
def test_errors_have_a_status_and_a_reason(shuntd, host, method, path, body, status, reason):
    daemon = shuntd(proxy(), ns=host)
    got, headers, reply = ask(daemon, method, path, body)
    assert (got, reply["error"]["reason"]) == (status, reason), reply
    assert reply["error"]["message"] and isinstance(reply["error"]["diagnostics"], list)
    if status == 405:
        assert headers["Allow"] == "GET"
    assert daemon.generation() == 1


def test_a_refused_document_names_line_and_column(shuntd, host):
    daemon = shuntd(proxy(), ns=host)
    status, _, reply = ask(daemon, "POST", "/v1/config/apply",
                           "pools:\n  web:\n    bakends: []\n    weight: x\n")
    assert status == 422
    places = {(d["file"], d["line"]) for d in reply["error"]["diagnostics"]}
    assert {("(config apply)", 3), ("(config apply)", 4)} <= places
    assert "backends" in json.dumps(reply)  # what was probably meant
    assert daemon.generation() == 1


def test_a_body_that_is_too_large_is_refused(shuntd, host):
    daemon = shuntd(proxy(), ns=host)
    head = b"POST /v1/config/apply HTTP/1.1\r\nHost: x\r\nContent-Length: %d\r\n\r\n"
    assert raw(daemon, head % (9 << 20)).startswith(b"HTTP/1.1 413 ")
    assert raw(daemon, head % (1 << 70))[:12] in (b"HTTP/1.1 413", b"HTTP/1.1 400")
    pieces = b"".join(b"%x\r\n%s\r\n" % (1 << 20, b"#" * (1 << 20)) for _ in range(9))
    chunked = b"POST /v1/config/apply HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n"
    assert raw(daemon, chunked + pieces + b"0\r\n\r\n")[:12] in (b"HTTP/1.1 413", b"")
    assert daemon.generation() == 1


def test_garbage_on_the_socket_harms_nothing(shuntd, host):
    daemon = shuntd(proxy(), ns=host)
    apply = b"POST /v1/config/apply HTTP/1.1\r\nHost: x\r\n"
    pieces = [b"\x00" * 1000, b"\xff" * 70000, os.urandom(5000), b"GET", b"GET / HTTP/1.1\r\n",
              b"\r\n\r\n\r\n", b"GET / HTTP/9.9\r\n\r\n",
              b"GET /" + b"a" * 100000 + b" HTTP/1.1\r\n\r\n",
              b"GET / HTTP/1.1\r\n" + b"A: b\r\n" * 20000 + b"\r\n",
              apply + b"Content-Length: 100\r\n\r\nshort", apply + b"Content-Length: -1\r\n\r\n",
              apply + b"Content-Length: zzz\r\n\r\n",
              apply + b"Transfer-Encoding: chunked\r\n\r\nzz\r\n",
              b"GET /v1/%00%ff/../status HTTP/1.1\r\nHost: x\r\n\r\n",
              b"GET /v1/pools/%2e%2e%2f%00 HTTP/1.1\r\nHost: x\r\n\r\n",
              b"GET /v1/status?" + b"&=%" * 1000 + b" HTTP/1.1\r\nHost: x\r\n\r\n"]
    for piece in pieces:
        raw(daemon, piece, read=False)
    with contextlib.ExitStack() as stack:  # and all at once, with the other end held open
        for piece in pieces:
            sock = stack.enter_context(socket.socket(socket.AF_UNIX))
            sock.connect(daemon.socket)
            sock.setblocking(False)
            with contextlib.suppress(OSError):
                sock.send(piece)
        assert daemon.ctl("status").rc == 0
    assert daemon.generation() == 1
    assert daemon.ctl("backend", "drain", "web", "b1").rc == 0


def patch(weight):
    body = json.dumps({"weight": weight})
    return (f"PATCH /v1/pools/web/backends/b1 HTTP/1.1\r\nHost: x\r\n"
            f"Content-Length: {len(body)}\r\n\r\n{body}").encode()


@pytest.mark.parametrize("leave", ["close", "shutdown"])
def test_a_client_that_leaves_before_the_answer_is_served_whole_or_not_at_all(shuntd, host, leave):
    daemon = shuntd(proxy(), ns=host)
    left = []
    for weight in range(10, 50):
        sock = socket.socket(socket.AF_UNIX)
        sock.connect(daemon.socket)
        sock.sendall(patch(weight))
        if leave == "shutdown":
            sock.shutdown(socket.SHUT_WR)
            left.append(sock)
        else:
            sock.close()
    assert daemon.ctl("backend", "weight", "web/b1", 9).rc == 0
    wait_until(lambda: daemon.ctl_json("pool", "show", "web")["backends"][0]["weight"] == 9, 10)
    for sock in left:
        sock.close()
    # Whether a request of somebody who has gone is carried out is open. What is begun is said, and
    # done, by itself or together with others that waited.
    begun = daemon.log.count("control: command method=PATCH")
    edits = [int(n) for n in re.findall(r"origin=command uid=\d+ edits=(\d+)", daemon.log)]
    assert begun == sum(edits) and len(edits) == daemon.generation() - 1, daemon.log
    assert "refused" not in daemon.log


def test_half_a_command_does_nothing(shuntd, host):
    daemon = shuntd(proxy(), ns=host)
    whole = patch(7)
    for cut in (1, 20, whole.index(b"{"), len(whole) - 1):
        with socket.socket(socket.AF_UNIX) as sock:
            sock.connect(daemon.socket)
            sock.sendall(whole[:cut])
    assert daemon.ctl("status").rc == 0
    assert daemon.generation() == 1 and "control: command" not in daemon.log


def test_many_commands_at_once_all_take_effect(shuntd, host):
    daemon = shuntd(proxy(), ns=host)
    with concurrent.futures.ThreadPoolExecutor(16) as pool:
        done = list(pool.map(
            lambda n: ask(daemon, "PATCH", "/v1/pools/web/backends/b1", json.dumps({"weight": n})),
            range(1, 41)))
    assert [status for status, _, _ in done] == [200] * 40
    generations = {reply["generation"] for _, _, reply in done}
    assert generations == set(range(2, daemon.generation() + 1))


def test_one_idle_connection_does_not_keep_others_out(shuntd, host):
    daemon = shuntd(proxy(), ns=host)
    with socket.socket(socket.AF_UNIX) as sock:
        sock.connect(daemon.socket)
        sock.sendall(b"GET /v1/sta")
        assert daemon.ctl("status").rc == 0


# ---- who may use it

def test_only_root_and_the_sockets_group_may_use_it(shuntd, host):
    daemon = shuntd(proxy(), ns=host)
    assert stat.S_IMODE(os.stat(daemon.socket).st_mode) == 0o660
    os.chmod(os.path.dirname(daemon.socket), 0o755)
    done = nobody(daemon, "status")
    assert done.returncode == 4 and "Permission denied" in done.stderr
    os.chmod(daemon.socket, 0o666)  # even then: the daemon looks at who it is
    done = nobody(daemon, "status")
    assert done.returncode == 3 and f"uid {NOBODY}" in done.stderr
    assert "peer refused" in daemon.log


def test_members_of_the_group_may_use_it(lab, shuntd, host):
    daemon = shuntd(proxy(), ns=host, start=False)
    run = lab.path("run")
    os.mkdir(run, 0o755)
    os.chmod(lab.dir, 0o755)
    os.chown(run, 0, NOBODY)
    os.chmod(run, 0o2755)  # what is made in it belongs to its group
    daemon.socket = os.path.join(run, "ctl.sock")
    daemon.start()
    assert nobody(daemon, "backend", "drain", "web", "b1").returncode == 0
    assert f"uid={NOBODY}" in daemon.log  # who changed it


def test_a_second_daemon_on_the_same_socket_is_refused(shuntd, host):
    daemon = shuntd(proxy(), ns=host)
    second = shuntd(proxy(port=8081), ns=host, start=False)
    second.socket = daemon.socket
    second.spawn()
    assert second.wait_exit() == 1
    assert f"another shuntd (pid {daemon.proc.pid}) is using {daemon.socket}" in second.log
    assert daemon.ctl("status").rc == 0


def test_the_socket_of_a_killed_daemon_is_replaced(shuntd, host):
    daemon = shuntd(proxy(), ns=host)
    daemon.sigkill()
    assert os.path.exists(daemon.socket)
    daemon.start()
    assert daemon.terminate() == 0
    assert not os.path.exists(daemon.socket)


# ---- the start

def run_shuntd(lab, ns, text, *args, wrap=()):
    path = lab.path("c.yaml")
    with open(path, "w", encoding="utf-8") as f:
        f.write(text)
    return ns.run([*wrap, binary("shuntd"), "-c", path, "--socket", lab.path("s.sock"), *args],
                  check=False), path


GOOD = json.dumps(proxy())


def test_check_says_all_that_is_wrong(lab, host):
    done, path = run_shuntd(lab, host, GOOD, "--check")
    assert done.returncode == 0 and "good" in done.stdout
    done, path = run_shuntd(lab, host, "pools:\n  a: {bakends: []}\n  b: {weight: 1}\n", "--check")
    assert done.returncode == 1
    assert f"{path}:2:" in done.stderr and f"{path}:3:" in done.stderr


@pytest.mark.parametrize("args", [["--nope"], ["extra"], ["--log-level", "loud"]])
def test_wrong_usage(lab, host, args):
    done, _ = run_shuntd(lab, host, GOOD, *args)
    assert done.returncode == 2 and "--help" in done.stderr


def test_help_and_version():
    for args, word in ((["--help"], "Usage"), (["--version"], "shuntd ")):
        done = subprocess.run([binary("shuntd"), *args], capture_output=True, text=True,
                              check=False)
        assert done.returncode == 0 and word in done.stdout and not done.stderr


def test_a_bad_file_ends_the_start_with_every_error(lab, host):
    done, path = run_shuntd(lab, host, "pools:\n  a: {bakends: []}\n  b: {weight: 1}\n")
    assert done.returncode == 1
    assert f"{path}:2:" in done.stderr and f"{path}:3:" in done.stderr
    assert not os.path.exists(lab.path("s.sock"))
    missing = host.run([binary("shuntd"), "-c", lab.path("none.yaml")], check=False)
    assert missing.returncode == 1 and "none.yaml" in missing.stderr


def test_a_port_that_is_taken_is_named(lab, shuntd, host, backend):
    backend("taken", ns=host, http=["127.0.0.1:8080"])
    done, _ = run_shuntd(lab, host, GOOD)
    assert done.returncode == 1
    assert "127.0.0.1:8080" in done.stderr and "in use" in done.stderr
    assert not os.path.exists(lab.path("s.sock"))


L4 = """node: {interfaces: [%s], pin_path: %s,
       limits: {ring_slots: 131072, flows: 1024, pending: 1024, nat: 1024}}
pools: {p: {forward: ipip, health: none, backends: [{name: a, address: 10.30.1.2}]}}
services: {s: {listen: ["203.0.113.1:80/tcp"], mode: l4, pool: p, ring_size: 4099}}
"""


def test_an_interface_that_does_not_exist_is_named(lab, shuntd, host):
    daemon = shuntd("", ns=host, start=False)  # for its pin path, removed afterwards
    done, _ = run_shuntd(lab, host, L4 % ("nope7", daemon.pin_path))
    assert done.returncode == 1 and "nope7" in done.stderr


def test_a_missing_capability_is_named(lab, shuntd, host):
    daemon = shuntd("", ns=host, start=False)
    done, _ = run_shuntd(lab, host, L4 % ("lo", daemon.pin_path),
                         wrap=["setpriv", "--bounding-set=-bpf,-sys_admin,-net_admin,-perfmon"])
    assert done.returncode == 1 and "CAP_" in done.stderr.upper(), done.stderr


# ---- signals

def test_sighup_with_a_bad_file_changes_nothing(shuntd, host, backend, client):
    backend("b1", ns=host, http=["127.0.0.1:9001"])
    daemon = shuntd(proxy(backends=[{"name": "b1", "address": "127.0.0.1:9001"}]), ns=host)
    daemon.write_config("pools:\n  web: {bakends: 3}\nservises: {}\n")
    daemon.signal(signal.SIGHUP)
    wait_until(lambda: "refused, nothing changed" in daemon.log, 20)
    assert f"{daemon.config_path}:2:" in daemon.log and f"{daemon.config_path}:3:" in daemon.log
    assert daemon.generation() == 1
    assert daemon.ctl_json("status")["unsaved_changes"] is True
    result = client("http", "http://127.0.0.1:8080/", "--connections", 1, "--requests", 5,
                    ns=host).result()
    assert result["ok"] == 5
    daemon.reload(proxy())
    assert daemon.generation() == 2


def test_changes_that_need_a_restart_are_said(shuntd, host):
    daemon = shuntd(proxy(), ns=host)
    daemon.reload(proxy(node={"workers": 3}))
    waiting = daemon.ctl_json("status")["restart_needed_for"]
    assert [(c["object"], c["field"], c["old"], c["new"]) for c in waiting] == [
        ("node", "workers", "2", "3")]
    daemon.reload(proxy())
    assert daemon.ctl_json("status")["restart_needed_for"] == []


def start_request(host, target):
    return host.popen(["curl", "-sS", "--noproxy", "*", "-o", "/dev/null", "-w", "%{http_code}",
                       f"http://127.0.0.1:8080{target}"], stdout=subprocess.PIPE,
                      stderr=subprocess.PIPE, text=True)


def one_backend(**node):
    return proxy(backends=[{"name": "b1", "address": "127.0.0.1:9001"}], node=node)


def open_requests(daemon):
    return daemon.ctl_json("backend", "list")["backends"][0]["http"]["active_requests"]


def test_sigterm_lets_requests_end(shuntd, host, backend):
    b1 = backend("b1", ns=host, http=["127.0.0.1:9001"])
    daemon = shuntd(one_backend(drain_timeout="20s"), ns=host)
    request = start_request(host, "/hold/100000")
    wait_until(lambda: open_requests(daemon) == 1, 10)
    daemon.signal(signal.SIGTERM)
    wait_until(lambda: daemon.ctl_json("status")["state"] == "stopping", 10)
    refused = daemon.ctl("backend", "drain", "web", "b1")
    assert refused.rc == 1 and "stopping" in refused.stderr
    b1.release()
    assert request.communicate(timeout=TIMEOUT_S)[0] == "200"
    assert daemon.wait_exit() == 0


CHANGES = [
    ("POST", "/v1/config/apply", json.dumps(proxy())),
    ("POST", "/v1/config/save", None),
    ("POST", "/v1/pools/web/backends", '{"name": "b3", "address": "127.0.0.1:9003"}'),
    ("PATCH", "/v1/pools/web/backends/b1", '{"weight": 7}'),
    ("DELETE", "/v1/pools/web/backends/b1", None),
]


def test_nothing_is_changed_or_saved_while_the_daemon_stops(shuntd, host, backend):
    b1 = backend("b1", ns=host, http=["127.0.0.1:9001"])
    daemon = shuntd(one_backend(drain_timeout="20s"), ns=host)
    assert daemon.ctl("backend", "weight", "web/b1", 5).rc == 0  # something to save
    with open(daemon.config_path, encoding="utf-8") as f:
        before = f.read()
    request = start_request(host, "/hold/100000")
    wait_until(lambda: open_requests(daemon) == 1, 10)
    daemon.signal(signal.SIGTERM)
    wait_until(lambda: daemon.ctl_json("status")["state"] == "stopping", 10)
    daemon.signal(signal.SIGHUP)
    for method, path, body in CHANGES:
        status, _, reply = ask(daemon, method, path, body)
        assert (status, reply["error"]["reason"]) == (503, "busy"), (method, path, reply)
    wait_until(lambda: "stopping, the file is not read again" in daemon.log, 10)
    assert daemon.generation() == 2
    b1.release()
    assert request.communicate(timeout=TIMEOUT_S)[0] == "200"
    assert daemon.wait_exit() == 0
    with open(daemon.config_path, encoding="utf-8") as f:
        assert f.read() == before


def test_sigterm_waits_no_longer_than_it_is_told(shuntd, host, backend):
    backend("b1", ns=host, http=["127.0.0.1:9001"])
    daemon = shuntd(one_backend(drain_timeout="1s"), ns=host)
    request = start_request(host, "/hold/100000")
    wait_until(lambda: open_requests(daemon) == 1, 10)
    started = time.monotonic()
    assert daemon.terminate() == 0
    assert time.monotonic() - started >= 0.9
    request.communicate(timeout=TIMEOUT_S)
    assert request.returncode != 0


def test_a_second_signal_ends_at_once(shuntd, host, backend):
    backend("b1", ns=host, http=["127.0.0.1:9001"])
    daemon = shuntd(one_backend(drain_timeout="120s"), ns=host)
    request = start_request(host, "/hold/100000")
    wait_until(lambda: open_requests(daemon) == 1, 10)
    daemon.signal(signal.SIGINT)
    wait_until(lambda: "stopping, connections may end" in daemon.log, 10)
    daemon.signal(signal.SIGINT)
    assert daemon.wait_exit() == 1
    request.communicate(timeout=TIMEOUT_S)


def test_commands_that_wait_when_the_daemon_ends_are_told_of(shuntd, host):
    daemon = shuntd(proxy(), ns=host)
    socks = [socket.socket(socket.AF_UNIX) for _ in range(50)]
    for sock in socks:
        sock.connect(daemon.socket)
    daemon.signal(signal.SIGSTOP)  # all of it comes at once
    for weight, sock in enumerate(socks):
        sock.sendall(patch(weight))
    daemon.signal(signal.SIGTERM)
    daemon.signal(signal.SIGINT)
    daemon.signal(signal.SIGCONT)
    assert daemon.wait_exit() == 1
    begun = daemon.log.count("control: command method=PATCH")
    assert daemon.log.count("audit: command method=PATCH") == begun, daemon.log
    for sock in socks:
        sock.close()


def test_usr1_logs_a_summary(shuntd, host):
    daemon = shuntd(proxy(), ns=host)
    daemon.signal(signal.SIGUSR1)
    wait_until(lambda: "status: service name=web mode=http" in daemon.log, 10)
    assert daemon.ctl("status").rc == 0


def test_a_service_manager_is_told(lab, shuntd, host):
    path = lab.path("notify.sock")
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as sock:
        sock.bind(path)
        sock.settimeout(TIMEOUT_S)
        daemon = shuntd(proxy(), ns=host, env={"NOTIFY_SOCKET": path})
        assert sock.recv(4096).startswith(b"READY=1\n")
        daemon.signal(signal.SIGHUP)
        reloading = sock.recv(4096)
        assert reloading.startswith(b"RELOADING=1\n") and b"MONOTONIC_USEC=" in reloading
        assert sock.recv(4096).startswith(b"READY=1\n")
        daemon.signal(signal.SIGTERM)
        stopping = sock.recv(4096)
        assert stopping.startswith(b"STOPPING=1\n")
        assert b"EXTEND_TIMEOUT_USEC=35000000\n" in stopping  # drain_timeout and some seconds
        assert daemon.wait_exit() == 0


def test_the_watchdog_is_fed(lab, shuntd, host):
    path = lab.path("notify.sock")
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as sock:
        sock.bind(path)
        sock.settimeout(TIMEOUT_S)
        shuntd(proxy(), ns=host, env={"NOTIFY_SOCKET": path, "WATCHDOG_USEC": "200000"})
        seen = [sock.recv(4096) for _ in range(4)]
        assert seen.count(b"WATCHDOG=1\n") >= 3


def thread_name(pid, tid):
    with open(f"/proc/{pid}/task/{tid}/comm", encoding="ascii") as f:
        return f.read().strip()


def test_a_worker_that_hangs_is_no_daemon_that_lives(lab, shuntd, host):
    path = lab.path("notify.sock")
    libc = ctypes.CDLL(None, use_errno=True)
    seize, interrupt, detach = 0x4206, 0x4207, 17  # of ptrace(2): one thread can be held alone

    def ptrace(request):
        assert libc.ptrace(request, worker, None, None) == 0, os.strerror(ctypes.get_errno())

    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as sock:
        sock.bind(path)
        sock.settimeout(TIMEOUT_S)
        daemon = shuntd(proxy(), ns=host, env={"NOTIFY_SOCKET": path, "WATCHDOG_USEC": "200000"})
        worker = next(int(task) for task in os.listdir(f"/proc/{daemon.proc.pid}/task")
                      if thread_name(daemon.proc.pid, task) == "shuntd-w1")
        ptrace(seize)
        ptrace(interrupt)
        os.waitpid(worker, 0x40000000)  # __WALL, for threads: now it has stopped
        try:
            wait_until(lambda: "a worker hangs" in daemon.log, 10)
            said = daemon.log.count("a worker hangs")
            sock.setblocking(False)
            with contextlib.suppress(BlockingIOError):
                while True:
                    sock.recv(4096)
            wait_until(lambda: daemon.log.count("a worker hangs") >= said + 5, 10)
            with pytest.raises(BlockingIOError):
                sock.recv(4096)
        finally:  # a thread that is held cannot even be killed
            ptrace(detach)
        sock.settimeout(TIMEOUT_S)
        assert sock.recv(4096) == b"WATCHDOG=1\n"


def test_descriptors_do_not_leak(shuntd, host):
    daemon = shuntd(proxy(), ns=host)

    def descriptors():
        return len(glob.glob(f"/proc/{daemon.proc.pid}/fd/*"))
    daemon.ctl("status")
    before = descriptors()
    for i in range(20):
        assert daemon.ctl("backend", "weight", "web/b1", i).rc == 0
        daemon.reload(proxy())
    wait_until(lambda: descriptors() <= before, 10,
               what=lambda: f"{before} descriptors again, now {descriptors()}")
