# SPDX-License-Identifier: BSD-2-Clause
"""What a check wants to hear: statuses and bodies of HTTP, the gRPC health service."""
import re
import threading
from concurrent import futures

import grpc
import pytest

from certs import TlsScript
from h2peer import h2_serve
from http1 import Script
from lab import TIMEOUT_S, wait_until

FAST = {"every": "200ms", "timeout": "200ms", "rise": 1, "fall": 1}


def result(proxy):
    return proxy.daemon.ctl_json("health")["backends"][0]


def wait_for(proxy, state, pattern):
    wait_until(lambda: result(proxy)["state"] == state and re.fullmatch(
        pattern, result(proxy)["result"]), 20, what=lambda: f"{state} {pattern}: {result(proxy)}")


class Answers:
    """Says answer to each check."""

    def __init__(self, answer):
        self.answer = answer

    def __call__(self, peer):
        peer.head()
        peer.send(self.answer)


def ok(body, status="200 OK"):
    return f"HTTP/1.1 {status}\r\nContent-Length: {len(body)}\r\n\r\n{body}"


@pytest.fixture(name="checked")
def make_checked(http_proxy, ca):
    """checked(serve, health, tls=False, ...) -> Proxy with one backend, which is checked"""
    def make(serve, health, tls=False, **pool):
        if tls:
            pool["tls"] = {"ca": ca.pem, "name": "backend.test"}
        if callable(serve):
            serve = TlsScript(ca.issue("backend.test"), serve) if tls else Script(serve)
        return http_proxy(backends=[serve], pool={"health": {**FAST, **health}, **pool})
    return make


@pytest.mark.parametrize("tls", [False, True], ids=["plain", "tls"])
def test_statuses(checked, tls):
    answers = Answers(ok("", "204 None"))
    proxy = checked(answers, {"http": {"status": [200, 204, "300-399"]}}, tls)
    wait_for(proxy, "up", "204 None in .* ms")
    answers.answer = ok("", "201 Made")
    wait_for(proxy, "down", "status 201 Made, expected 200, 204, 300 to 399")
    answers.answer = ok("", "399 Odd")
    wait_for(proxy, "up", "399 Odd in .* ms")
    shown = proxy.daemon.ctl("pool", "show", "web").stdout
    assert "status 200, 204, 300 to 399" in shown


@pytest.mark.parametrize("tls", [False, True], ids=["plain", "tls"])
@pytest.mark.parametrize("what", [{"body": "all good"}, {"body_regex": "all +g[o]{2}d$"}])
def test_bodies(checked, what, tls):
    answers = Answers(ok("it is all good"))
    proxy = checked(answers, {"http": what}, tls)
    wait_for(proxy, "up", "200 OK in .* ms")
    answers.answer = ok("it is all bad")
    wait_for(proxy, "down", "status 200, but 13 bytes of body without what is expected")
    answers.answer = "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n" \
        "9\r\nit is all\r\n5\r\n good\r\n0\r\n\r\n"
    wait_for(proxy, "up", "200 OK in .* ms")
    answers.answer = ok("it is all good", "500 Bad")
    wait_for(proxy, "down", "status 500 Bad, expected 200 to 299")
    answers.answer = "HTTP/1.1 200 OK\r\n\r\nit is all good"  # to the end of the connection
    if not tls:  # where its end is not said
        wait_for(proxy, "up", "200 OK in .* ms")
    answers.answer = "HTTP/1.1 200 OK\r\nContent-Length: 99\r\n\r\nit is all good"
    wait_for(proxy, "down", "the answer is malformed, or cut short|closed before an answer|"
             "no answer within 200 ms|TLS: .*")
    proxy.config["pools"]["web"]["health"]["http"] = {}
    proxy.daemon.reload(proxy.config)
    wait_for(proxy, "up", "200 OK in .* ms")


def test_only_so_much_of_a_body_is_looked_at(checked):
    done = threading.Event()

    def serve(peer):
        peer.head()
        try:
            while True:  # without end
                peer.send(b"x" * 10000 if done.is_set() else
                          b"HTTP/1.1 200 OK\r\n\r\n" + b"x" * 1999 + b"good")
                if not done.is_set():
                    return
        except OSError:
            return
    proxy = checked(serve, {"http": {"body": "good", "body_limit": 2000}})
    wait_for(proxy, "down", "status 200, but 2000 bytes of body without what is expected")
    proxy.config["pools"]["web"]["health"]["http"]["body_limit"] = 2003
    proxy.daemon.reload(proxy.config)
    wait_for(proxy, "up", "200 OK in .* ms")


def test_a_body_without_end_has_one(checked):
    def serve(peer):
        peer.head()
        peer.send(b"HTTP/1.1 200 OK\r\n\r\n")
        try:
            while True:
                peer.send(b"x" * 10000)
        except OSError:
            return
    proxy = checked(serve, {"http": {"body_regex": "x{5}y"}})
    wait_for(proxy, "down", "status 200, but 16384 bytes of body without what is expected")


# ---- gRPC

class Health(grpc.GenericRpcHandler):
    """The health service, its messages by hand. services: what each is said to be."""

    def __init__(self, services, implemented=True):
        self.services, self.implemented, self.asked = services, implemented, []
        self.go = threading.Event()
        self.go.set()

    def service(self, details):
        if details.method != "/grpc.health.v1.Health/Check" or not self.implemented:
            return None
        return grpc.unary_unary_rpc_method_handler(self.check)

    def check(self, request, context):
        name = request[2:].decode() if request else ""
        assert not request or request[:2] == bytes((0x0a, len(name)))
        self.asked.append(name)
        self.go.wait(TIMEOUT_S)
        if name not in self.services:
            context.abort(grpc.StatusCode.NOT_FOUND, "unknown service")
        return bytes((0x08, self.services[name]))


@pytest.fixture(name="serve_grpc")
def make_grpc():
    servers = []

    def make(handler, pair=None):
        server = grpc.server(futures.ThreadPoolExecutor(8), handlers=[handler],
                             options=[("grpc.so_reuseport", 0)])
        if pair:
            with open(pair["key"], "rb") as key, open(pair["cert"], "rb") as cert:
                port = server.add_secure_port("127.0.0.1:0", grpc.ssl_server_credentials(
                    [(key.read(), cert.read())]))
        else:
            port = server.add_insecure_port("127.0.0.1:0")
        server.start()
        servers.append((server, handler))
        return f"127.0.0.1:{port}"
    yield make
    for server, handler in servers:
        handler.go.set()
        server.stop(None)


@pytest.mark.parametrize("tls", [False, True], ids=["plain", "tls"])
@pytest.mark.parametrize("service", ["", "shop.Orders"])
def test_grpc(checked, serve_grpc, ca, service, tls):
    health = Health({service: 1})
    target = serve_grpc(health, ca.issue("backend.test") if tls else None)
    proxy = checked(target, {"grpc": {"service": service} if service else {}}, tls,
                    protocol="http2")
    wait_for(proxy, "up", "SERVING in .* ms")
    assert set(health.asked) == {service}
    health.services[service] = 2
    wait_for(proxy, "down", "NOT_SERVING")
    health.services[service] = 3
    wait_for(proxy, "down", "SERVICE_UNKNOWN")
    health.services[service] = 1
    wait_for(proxy, "up", "SERVING in .* ms")
    health.go.clear()
    wait_for(proxy, "down", "no answer within 200 ms")
    health.go.set()
    wait_for(proxy, "up", "SERVING in .* ms")
    shown = proxy.daemon.ctl("pool", "show", "web").stdout
    assert f"grpc, service {service or '-'}, port of the backend" in shown


def test_grpc_of_a_service_that_is_not_there(checked, serve_grpc):
    proxy = checked(serve_grpc(Health({"": 1})), {"grpc": {"service": "none"}}, protocol="http2")
    wait_for(proxy, "down", "grpc-status 5 not found: unknown service")


def test_grpc_without_a_health_service(checked, serve_grpc):
    target = serve_grpc(Health({}, implemented=False))
    proxy = checked(target, {"grpc": {}}, protocol="http2")
    wait_for(proxy, "down", "grpc-status 12 unimplemented: Method not found!")


def test_grpc_of_a_pool_that_speaks_http1(checked, serve_grpc, ca):
    """The check has its own protocol, and asks for it in TLS."""
    health = Health({"": 1})
    proxy = checked(serve_grpc(health, ca.issue("backend.test")), {"grpc": {}}, tls=True)
    wait_for(proxy, "up", "SERVING in .* ms")


@pytest.mark.parametrize("fields, body, reason", [
    ({"status": 503}, b"", "status 503, expected 200"),
    ({}, b"\0\0\0\0\2\x08\1", "the answer has no grpc-status"),
    ({"grpc_status": "0"}, b"\0\0\0\0\2\x08", "the answer is no HealthCheckResponse"),
    ({"grpc_status": "0"}, b"\0" * 300, "the answer is no HealthCheckResponse"),
])
def test_grpc_answers_that_are_none(checked, fields, body, reason):
    fields = {k.replace("_", "-"): v for k, v in fields.items()}

    def respond(server, request):
        server.reply(request, body=body, **fields)
    proxy = checked(h2_serve(respond), {"grpc": {}}, protocol="http2")
    wait_for(proxy, "down", reason)


def test_grpc_of_a_backend_that_speaks_http1(checked):
    proxy = checked(Answers(ok("hi")), {"grpc": {}})
    wait_for(proxy, "down", "HTTP/2: .*|closed before an answer|no answer within 200 ms|read: .*")
