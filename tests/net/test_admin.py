# SPDX-License-Identifier: BSD-2-Clause
"""The admin HTTP server: who may ask for what, metrics, readiness, the description of the API."""
import contextlib
import os
import re
import signal
import socket
import subprocess
import threading
import time

import pytest

from admin_http import TOKEN, request, series
from lab import TIMEOUT_S, wait_until

def get(proxy, path="/"):
    return proxy.ask(f"GET {path} HTTP/1.1\r\nHost: a.test\r\n\r\n")


# ---- who may ask for what


def test_off_unless_it_is_asked_for(http_proxy):
    proxy = http_proxy()
    found = subprocess.run(["ss", "-Hltnp"], capture_output=True, text=True).stdout
    mine = [line for line in found.splitlines() if f"pid={proxy.daemon.proc.pid}," in line]
    assert len(mine) == 1 and f":{proxy.port} " in mine[0]


def test_the_api_says_what_the_control_socket_says(admin):
    a = admin()
    status, services = a.ask("/v1/services")
    assert status == 200
    assert services["services"][0].keys() == a.daemon.ctl_json("service", "list")[
        "services"][0].keys()
    assert a.ask("/v1/pools/web")[1]["name"] == "web"
    assert a.ask("/v1/pools/none")[0] == 404


def test_without_a_token_nothing_can_be_changed(admin):
    a = admin()
    for method, path in (("PATCH", "/v1/pools/web/backends/b1"), ("POST", "/v1/config/apply"),
                         ("DELETE", "/v1/guard"), ("POST", "/v1/config/check")):
        status, reply = a.ask(path, method, "{}", token=TOKEN)
        assert (status, reply["error"]["reason"]) == (403, "forbidden")
    assert a.daemon.generation() == 1


def test_with_the_token_things_are_changed(admin, token_file):
    a = admin(admin={"token_file": token_file})
    path = "/v1/pools/web/backends/b1"
    for wrong in (None, TOKEN[:-1], TOKEN + "x", "x" * len(TOKEN)):
        status, reply = a.ask(path, "PATCH", '{"weight": 7}', token=wrong)
        assert (status, reply["error"]["reason"]) == (401, "unauthorized")
    assert "control: wrong token via=http" in a.daemon.log and TOKEN[:-1] not in a.daemon.log
    assert a.ask(path, "PATCH", '{"weight": 7}', token=TOKEN)[0] == 200
    assert a.ask("/v1/pools/web")[1]["backends"][0]["weight"] == 7
    assert re.search(r"audit: command method=PATCH path=/v1/pools/web/backends/b1 via=http uid=-1 "
                     r"pid=0 status=200 generation=2", a.daemon.log)


def test_the_audit_line_says_who(admin):
    a = admin()
    assert a.daemon.ctl("backend", "weight", "web/b1", "5").rc == 0
    assert re.search(rf"audit: command method=PATCH \S+ via=socket uid={os.getuid()} pid=[1-9]\d* "
                     "status=200 generation=2", a.daemon.log)
    assert a.daemon.ctl("backend", "weight", "web/nobody", "5").rc != 0
    assert re.search(r"audit: command method=PATCH path=/v1/pools/web/backends/nobody .* "
                     r"status=4\d\d generation=2", a.daemon.log)


@pytest.mark.parametrize("text, problem", [
    ("short\n", "16 to 256"), ("two words of sixteen\n", "one word"), (None, "No such file")])
def test_a_token_that_is_none(admin, tmp_path, text, problem):
    path = tmp_path / "token"
    if text:
        path.write_text(text)
    a = admin(admin={"token_file": str(path)}, start=False)
    check = subprocess.run([*a.daemon.command()[:1], "-c", a.daemon.config_path, "--check"],
                           capture_output=True, text=True)
    assert check.returncode == 1 and re.search(r":\d+:\d+: .*token_file.*" + problem, check.stderr)


def test_a_token_that_all_can_read_is_warned_of(admin, token_file):
    os.chmod(token_file, 0o644)
    assert "every user of this host may read the token" in admin(
        admin={"token_file": token_file}).daemon.log


@pytest.mark.parametrize("host", ["evil.test", "evil.test:9180", "127.0.0.1.evil.test", "", "a:b",
                                  "localhost:80:80", "[::1"])
def test_a_name_that_points_here_is_no_way_in(admin, host):
    a = admin()
    status, reply = a.ask("/v1/status", host=host)
    assert (status, reply["error"]["reason"]) == (403, "forbidden")


@pytest.mark.parametrize("host", ["127.0.0.1", "127.0.0.1:9180", "localhost", "LOCALHOST:1",
                                  "[::1]:9180", "lb.example.com", "LB.example.com:9180"])
def test_hosts_that_are_ours(admin, host):
    assert admin(admin={"hosts": ["lb.example.com"]}).ask("/v1/status", host=host)[0] == 200


def test_a_request_without_a_host(admin):
    a = admin()
    with socket.create_connection(("127.0.0.1", a.port), 20) as sock:
        sock.sendall(b"GET /v1/status HTTP/1.0\r\n\r\n")
        assert sock.recv(4096).split()[1] in (b"403", b"400")


def test_on_other_addresses_there_is_no_api(admin):
    def move(config):
        config["admin"]["http"] = config["admin"]["http"].replace("127.0.0.1", "0.0.0.0")
    a = admin(change=move)
    assert [a.ask(path)[0] for path in ("/healthz", "/readyz")] == [200, 200]
    assert a.metrics()["shunt_ready"] == 1
    for path in ("/v1/config", "/v1/status", "/openapi.json", "/metrics/", "/"):
        assert a.ask(path)[0] == 403


def test_a_unix_socket(admin, tmp_path):
    path = str(tmp_path / "admin.sock")
    a = admin(change=lambda config: config.update(admin={"http": f"unix:{path}"}))
    assert os.stat(path).st_mode & 0o777 == 0o660
    assert request(0, "GET", "/readyz", unix=path)[0] == 200
    assert request(0, "GET", "/v1/status", unix=path, host="any.test")[0] == 200
    assert request(0, "POST", "/v1/config/save", unix=path)[0] == 403
    a.daemon.terminate()
    assert not os.path.exists(path)


def test_an_address_that_is_taken_is_an_error(admin):
    a = admin(start=False)
    with socket.create_server(("127.0.0.1", a.port)):
        a.daemon.spawn()
        assert a.daemon.wait_exit() == 1
    assert f"admin.http: cannot listen on 127.0.0.1:{a.port}" in a.daemon.log


@pytest.mark.parametrize("where", ["127.0.0.1", "localhost:80", "unix:admin.sock", "80", "[1]"])
def test_what_is_no_place_to_listen(admin, where):
    a = admin(admin={"http": where}, start=False)
    check = subprocess.run([*a.daemon.command()[:1], "-c", a.daemon.config_path, "--check"],
                           capture_output=True, text=True)
    assert check.returncode == 1 and "admin.http: expected an address with a port" in check.stderr


# ---- bounds


def test_a_header_that_does_not_come_is_not_waited_for(admin):
    a = admin()
    with socket.create_connection(("127.0.0.1", a.port), 60) as sock:
        sock.sendall(b"GET /readyz HTTP/1.1\r\nHost: localhost\r\nX: ")

        def trickle():
            """A byte now and then is no excuse."""
            with contextlib.suppress(OSError):
                sock.send(b"x")
            sock.settimeout(0.2)
            try:
                return not sock.recv(4096)
            except TimeoutError:
                return False
            except OSError:
                return True
        wait_until(trickle, 30)
    assert a.ask("/readyz")[0] == 200


def test_a_header_that_is_too_long(admin):
    a = admin()
    with socket.create_connection(("127.0.0.1", a.port), 20) as sock:
        with contextlib.suppress(OSError):
            sock.sendall(b"GET / HTTP/1.1\r\nHost: localhost\r\nX: " + b"x" * 40000 + b"\r\n\r\n")
        with contextlib.suppress(OSError):
            assert sock.recv(4096).split()[1] in (b"431", b"413")
    assert a.ask("/readyz")[0] == 200


def test_too_many_connections_wait_their_turn(admin):
    a = admin()
    with contextlib.ExitStack() as stack:
        for _ in range(100):
            stack.enter_context(socket.create_connection(("127.0.0.1", a.port), 20))
        assert a.daemon.ctl("status").rc == 0
    assert a.ask("/readyz")[0] == 200


# ---- what is served


def test_not_ready_while_it_drains(admin):
    held, over = [], threading.Event()

    def hold(peer):
        peer.message()
        held.append(peer)
        assert over.wait(TIMEOUT_S)
    a = admin(hold)
    assert a.ask("/healthz") == (200, {"status": "ok"})
    assert a.ask("/readyz") == (200, {"ready": True, "problems": []})
    client = a.proxy.connect()
    client.send("GET / HTTP/1.1\r\nHost: a.test\r\n\r\n")
    wait_until(lambda: held, 10)
    a.daemon.signal(signal.SIGTERM)
    wait_until(lambda: a.ask("/readyz")[0] == 503, 10)
    assert a.ask("/readyz")[1] == {"ready": False, "problems": ["shuntd is stopping"]}
    assert a.ask("/healthz")[0] == 200
    assert a.metrics()["shunt_stopping"] == 1
    over.set()
    client.close()
    assert a.daemon.wait_exit() == 0


def test_metrics_are_as_their_reader_wants_them(admin):
    a = admin()
    get(a.proxy)
    text = request(a.port, "GET", "/metrics")[2]
    check = subprocess.run(["promtool", "check", "metrics"], input=text, capture_output=True,
                           text=True)
    assert check.returncode == 0 and not check.stderr, check.stderr


def test_metrics_of_the_kernel(l4, client):
    """By the control socket, which has them as well."""
    net = l4()
    net.expect_served(client, count=30)
    status, _, text = request(0, "GET", "/metrics", unix=net.daemon.socket)
    assert status == 200
    check = subprocess.run(["promtool", "check", "metrics"], input=text, capture_output=True,
                           text=True)
    assert check.returncode == 0 and not check.stderr, check.stderr
    m = series(text)
    echo = net.counters()
    assert m['shunt_l4_new_flows_total{service="echo"}'] == echo["new_flows"] == 30
    assert m['shunt_l4_packets_total{service="echo"}'] == echo["packets"] > 30
    assert m['shunt_packets_total{verdict="tx"}'] == net.verdicts()["tx"] > 30
    assert m['shunt_l4_drops_total{service="echo",reason="no-backend"}'] == 0
    assert sum(m[f'shunt_l4_backend_new_flows_total{{pool="echo",backend="b{i}"}}']
               for i in (1, 2, 3)) == 30
    assert m['shunt_table_used_entries{table="services"}'] == 6
    assert request(0, "GET", "/readyz", unix=net.daemon.socket)[0] == 200
    net.net.balancer.run(["ip", "link", "del", "eth0"])
    wait_until(lambda: request(0, "GET", "/readyz", unix=net.daemon.socket)[0] == 503, 20)


def test_what_is_counted(admin):
    a = admin()
    before = a.metrics()
    for _ in range(3):
        get(a.proxy)
    a.proxy.ask("GET / HTTP/1.1\r\n\r\n")
    assert a.daemon.ctl("backend", "weight", "web/b1", "5").rc == 0
    after = a.metrics()

    def grown(name):
        return after[name] - before[name]
    assert grown('shunt_service_requests_total{service="web"}') == 4
    assert grown('shunt_service_responses_total{service="web",code="2xx"}') == 3
    assert grown('shunt_service_responses_total{service="web",code="4xx"}') == 1
    assert grown('shunt_backend_requests_total{pool="web",backend="b1"}') == 3
    duration = "shunt_service_request_duration_seconds"
    assert grown(duration + '_count{service="web"}') == 3
    assert grown(duration + '_bucket{service="web",le="+Inf"}') == 3
    assert after['shunt_backend_weight{pool="web",backend="b1"}'] == 5
    assert after["shunt_config_generation"] == 2
    assert after['shunt_worker_config_generation{worker="0"}'] == 2


def test_how_long_requests_took(admin):
    asked, answer = threading.Event(), threading.Event()

    def late(peer):
        peer.message()
        asked.set()
        assert answer.wait(TIMEOUT_S)
        peer.send("HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n")
    a = admin(late)
    client = a.proxy.connect()
    client.send("GET / HTTP/1.1\r\nHost: a.test\r\n\r\n")
    assert asked.wait(TIMEOUT_S)
    answer_at = time.monotonic() + 0.07
    wait_until(lambda: time.monotonic() > answer_at, 10)
    answer.set()
    assert client.message().status == 200
    name = "shunt_service_request_duration_seconds"
    wait_until(lambda: a.metrics()[name + '_count{service="web"}'] == 1, 10)
    m = a.metrics()
    assert m[name + '_bucket{service="web",le="0.05"}'] == 0
    assert m[name + '_sum{service="web"}'] >= 0.06
    client.close()


def test_series_of_routes(admin):
    routes = [{"name": "gone", "match": {"path": {"prefix": "/gone"}}, "respond": {"status": 410}},
              {"pool": "web"}]
    a = admin(routes=routes, admin={"metrics": {"routes": 2}})
    for path in "/gone", "/", "/gone":
        a.proxy.ask(f"GET {path} HTTP/1.1\r\nHost: a.test\r\n\r\n")
    m = a.metrics()
    assert m['shunt_route_requests_total{service="web",route="gone"}'] == 2
    assert m['shunt_route_responses_total{service="web",route="gone",code="4xx"}'] == 2
    assert m['shunt_route_responses_total{service="web",route="#2",code="2xx"}'] == 1
    assert m['shunt_metrics_omitted{object="route"}'] == 0
    a.proxy.config["admin"]["metrics"] = {"routes": 1}
    a.daemon.reload(a.proxy.config)
    m = a.metrics()
    assert m['shunt_metrics_omitted{object="route"}'] == 1
    assert not [name for name in m if 'route="#2"' in name]


def test_series_of_labels_are_bounded(admin):
    """What finds no room in a route is its (other); a route without any is counted."""
    def series(most):
        a.proxy.config["admin"]["metrics"] = {"routes": most}
        a.daemon.reload(a.proxy.config)
        m, name = a.metrics(), "shunt_route_label_requests_total"
        told = {(r, t): m.get(f'{name}{{service="web",route="{r}",label="{t}"}}')
                for r, t in (("a", "1"), ("b", "(other)"), ("b", "2"))}
        return (*told.values(), m['shunt_metrics_omitted{object="label"}'])
    a = admin(routes=[{"name": name, "match": {"path": {"prefix": f"/{name}"}},
                       "label": "${query.t}", "respond": {"status": 200}} for name in "ab"],
              admin={})
    for path in "/a?t=1", "/b?t=2", "/b?t=2":
        a.proxy.ask(f"GET {path} HTTP/1.1\r\nHost: a.test\r\n\r\n")
    assert series(4) == (1, 0, 2, 0)
    assert series(3) == (1, 2, None, 0)
    assert series(2) == (1, None, None, 1)


def test_series_are_bounded_and_what_is_cut_is_counted(admin):
    a = admin(admin={"metrics": {"backends": 1}},
              backends=[{"address": f"127.0.0.{i}:9"} for i in range(1, 6)])
    m = a.metrics()
    assert m['shunt_metrics_omitted{object="backend"}'] == 4
    assert [name for name in m if name.startswith("shunt_backend_weight")] == [
        'shunt_backend_weight{pool="web",backend="b1"}']
    assert m['shunt_pool_backends{pool="web",state="up"}'] == 5
    a.proxy.config["admin"]["metrics"] = {"backends": 5, "services": 0}
    a.daemon.reload(a.proxy.config)
    m = a.metrics()
    assert m['shunt_metrics_omitted{object="backend"}'] == 0
    assert m['shunt_metrics_omitted{object="service"}'] == 1
    assert not [name for name in m if "service=" in name]
