# SPDX-License-Identifier: BSD-2-Clause
"""What a client or a backend may not say, and what is answered then."""
import socket

import pytest

from http1 import OK
from lab import TIMEOUT_S, wait_until

GET = "GET / HTTP/1.1\r\nHost: a\r\n"
POST = "POST / HTTP/1.1\r\nHost: a\r\n"
UPGRADE = "Connection: upgrade\r\nUpgrade: websocket\r\n"
CHUNKED = POST + "Transfer-Encoding: chunked\r\n\r\n"

REFUSED = {
    "bare LF": ("GET / HTTP/1.1\nHost: a\n\n", 400),
    "bare CR": (GET + "A: b\rTransfer-Encoding: chunked\r\n\r\n", 400),
    "zero byte": (GET + "A: b\0\r\n\r\n", 400),
    "folded line": (GET + "A: b\r\n c\r\n\r\n", 400),
    "space before colon": (GET + "A : b\r\n\r\n", 400),
    "empty name": (GET + ": b\r\n\r\n", 400),
    "no Host": ("GET / HTTP/1.1\r\n\r\n", 400),
    "two Hosts": (GET + "Host: b\r\n\r\n", 400),
    "Host against the target": ("GET http://b/ HTTP/1.1\r\nHost: a\r\n\r\n", 400),
    "empty Host": ("GET / HTTP/1.1\r\nHost:\r\n\r\n", 400),
    "Host with a path": ("GET / HTTP/1.1\r\nHost: a/b\r\n\r\n", 400),
    "both lengths": (POST + "Content-Length: 4\r\nTransfer-Encoding: chunked\r\n\r\n", 400),
    "both lengths, other order":
        (POST + "Transfer-Encoding: chunked\r\nContent-Length: 4\r\n\r\n", 400),
    "two equal lengths": (POST + "Content-Length: 4\r\nContent-Length: 4\r\n\r\n", 400),
    "list of lengths": (POST + "Content-Length: 4, 4\r\n\r\n", 400),
    "signed length": (POST + "Content-Length: +4\r\n\r\n", 400),
    "hexadecimal length": (POST + "Content-Length: 0x4\r\n\r\n", 400),
    "empty length": (POST + "Content-Length: \r\n\r\n", 400),
    "length beyond 64 bits": (POST + "Content-Length: 99999999999999999999\r\n\r\n", 400),
    "unknown coding": (POST + "Transfer-Encoding: gzip\r\n\r\n", 501),
    "two codings": (POST + "Transfer-Encoding: gzip, chunked\r\n\r\n", 400),
    "coding behind an empty one": (POST + "Transfer-Encoding: ,chunked\r\n\r\n", 400),
    "chunked twice": (POST + "Transfer-Encoding: chunked\r\n" * 2 + "\r\n", 400),
    "something behind chunked": (POST + "Transfer-Encoding: chunked, identity\r\n\r\n", 400),
    "empty coding and a length":
        (POST + "Transfer-Encoding:\r\nContent-Length: 4\r\n\r\n", 400),
    "length and another protocol":
        (GET + UPGRADE + "Content-Length: 3\r\n\r\nabc", 400),
    "chunks and another protocol":
        (GET + UPGRADE + "Transfer-Encoding: chunked\r\n\r\n0\r\n\r\n", 400),
    "unknown expectation": (GET + "Expect: the unexpected\r\n\r\n", 417),
    "two spaces": ("GET  / HTTP/1.1\r\nHost: a\r\n\r\n", 400),
    "HTTP/1.2": ("GET / HTTP/1.2\r\nHost: a\r\n\r\n", 505),
    "no colon": (GET + "A b\r\n\r\n", 400),
    "white space before the first field": ("GET / HTTP/1.1\r\n Host: a\r\n\r\n", 400),
    "coding with a vertical tab": (POST + "Transfer-Encoding: \x0bchunked\r\n\r\n", 400),
    "empty coding": (POST + "Transfer-Encoding:\r\n\r\n", 400),
    "coding in HTTP/1.0": ("POST / HTTP/1.0\r\nTransfer-Encoding: chunked\r\n\r\n", 400),
    "body of GET in HTTP/1.0": ("GET / HTTP/1.0\r\nContent-Length: 3\r\n\r\nabc", 400),
    "fragment": ("GET /a#b HTTP/1.1\r\nHost: a\r\n\r\n", 400),
    "space in target": ("GET /a b HTTP/1.1\r\nHost: a\r\n\r\n", 400),
    "asterisk for GET": ("GET * HTTP/1.1\r\nHost: a\r\n\r\n", 400),
    "CONNECT": ("CONNECT a:443 HTTP/1.1\r\nHost: a:443\r\n\r\n", 405),
    "unknown method": ("BREW / HTTP/1.1\r\nHost: a\r\n\r\n", 501),
    "not the HTTP/2 preface": ("PRI * HTTP/2.0\r\n\r\nSN\r\n\r\n", 505),
    "HTTP/0.9": ("GET /\r\n\r\n", 400),
    "TLS": ("\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03\r\n\r\n", 400),
    "long request line": ("GET /" + "x" * 9000 + " HTTP/1.1\r\nHost: a\r\n\r\n", 414),
    "endless request line": ("GET /" + "x" * 9000, 414),
    "large header": (GET + "A: " + "x" * 33000 + "\r\n\r\n", 431),
    "many fields": (GET + "A: b\r\n" * 100 + "\r\n", 431),
}
BAD_BODIES = {
    "no digits": ("x\r\n", 400),
    "sign": ("+1\r\na\r\n", 400),
    "prefix": ("0x1\r\na\r\n", 400),
    "space": ("1 \r\na\r\n", 400),
    "line feed": ("1\na\r\n", 400),
    "overflow": ("ffffffffffffffff1\r\n", 400),
    "no line end": ("1\r\nab", 400),
    "line feed in extension": ("1;a\nb\r\na\r\n", 400),
    "long extension": ("1;" + "a" * 5000, 400),
    "bad trailer": ("0\r\nA b\r\n\r\n", 400),
    "large trailer": ("0\r\nA: " + "b" * 9000, 431),
}


@pytest.fixture
def strict(http_proxy):
    """A proxy; nothing that was refused may have come to its backend whole."""
    done = []

    def serve(peer):
        while True:
            done.append(peer.message())
            peer.send(OK)
    proxy = http_proxy(serve)
    proxy.done = done
    return proxy


def refused(proxy, request, status):
    with proxy.connect() as client:
        # Whatever follows must not be taken for a request.
        client.send(request + "GET /smuggled HTTP/1.1\r\nHost: a\r\n\r\n")
        reply = client.message()
        assert reply.status == status, reply
        assert reply.get("Connection") == "close"
        assert reply.body.decode().startswith(f"{status} ")
        client.shutdown()
        assert client.is_closed()
    assert proxy.done == []
    with proxy.connect() as client:
        assert client.ask(GET + "\r\n").status == 200
    assert proxy.done.pop().start == "GET / HTTP/1.1"


def test_refused_requests(strict):
    for name, (request, status) in REFUSED.items():
        try:
            refused(strict, request, status)
        except AssertionError as exc:
            raise AssertionError(name) from exc
    assert strict.counter("local_errors") == len(REFUSED)


def test_refused_bodies(strict):
    for name, (body, status) in BAD_BODIES.items():
        try:
            refused(strict, CHUNKED + "3\r\nabc\r\n" + body, status)
        except AssertionError as exc:
            raise AssertionError(name) from exc
    wait_until(lambda: strict.daemon.ctl_json("backend", "list")["backends"][0]["http"]
               ["active_requests"] == 0)


def test_a_body_over_the_limit(http_proxy):
    proxy = http_proxy(limits={"body": "10KiB"})
    with proxy.connect() as client:
        reply = client.ask(POST + "Content-Length: 10240\r\n\r\n" + "x" * 10240)
        assert reply.status == 200
        assert client.ask(POST + "Content-Length: 10241\r\n\r\n").status == 413
    with proxy.connect() as client:
        reply = client.ask(CHUNKED + ("400\r\n" + "x" * 1024 + "\r\n") * 11)
        assert (reply.status, reply.get("Connection")) == (413, "close")


def test_connections_over_the_limit_are_closed(http_proxy):
    proxy = http_proxy(limits={"connections": 2})
    with proxy.connect() as one, proxy.connect() as two:
        assert one.ask(GET + "\r\n").status == 200
        assert two.ask(GET + "\r\n").status == 200
        with proxy.connect() as three:
            assert three.is_closed()
        assert proxy.counter("refused") == 1
        one.close()
        proxy.wait_counter("open_connections", 1)
        with proxy.connect() as three:
            assert three.ask(GET + "\r\n").status == 200


def test_without_descriptors_the_rest_waits(http_proxy):
    proxy = http_proxy(daemon={"wrap": ["prlimit", "--nofile=64:64"]})
    clients = [proxy.connect() for _ in range(100)]
    wait_until(lambda: "cannot accept, pausing" in proxy.daemon.log)
    before = proxy.cpu_seconds()
    assert clients[0].ask(GET + "\r\n").status in (200, 503)  # no descriptor for a backend, perhaps
    wait_until(lambda: proxy.daemon.log.count("cannot accept, pausing") >= 2)
    assert proxy.cpu_seconds() - before < 0.5  # over a second: it did not spin
    for client in clients[:60]:
        client.close()
    for client in clients[60:]:
        assert client.ask(GET + "\r\n").status == 200
        client.close()
    assert proxy.counter("accept_failures") >= 2


def test_without_descriptors_the_control_socket_waits(http_proxy):
    proxy = http_proxy(daemon={"wrap": ["prlimit", "--nofile=64:64"]})
    clients = [proxy.connect() for _ in range(100)]
    wait_until(lambda: "cannot accept, pausing" in proxy.daemon.log)
    with socket.socket(socket.AF_UNIX) as control:
        control.settimeout(TIMEOUT_S)
        control.connect(proxy.daemon.socket)
        control.sendall(b"GET /v1/status HTTP/1.1\r\nHost: x\r\n\r\n")
        before = proxy.cpu_seconds()
        wait_until(lambda: proxy.daemon.log.count("cannot accept, pausing") >= 2)
        assert proxy.cpu_seconds() - before < 0.3
        for client in clients:
            client.close()
        assert control.recv(4096).startswith(b"HTTP/1.1 200 ")


BAD_RESPONSES = {
    "no HTTP": "hello\r\n\r\n",
    "bad status": "HTTP/1.1 2x0 OK\r\n\r\n",
    "HTTP/2": "HTTP/2.0 200 OK\r\n\r\n",
    "bare LF": "HTTP/1.1 200 OK\nContent-Length: 0\n\n",
    "bare CR": "HTTP/1.1 200 OK\r\nA: b\rContent-Length: 0\r\n\r\n",
    "folded line": "HTTP/1.1 200 OK\r\nA: b\r\n c\r\n\r\n",
    "both lengths": "HTTP/1.1 200 OK\r\nContent-Length: 3\r\nTransfer-Encoding: chunked\r\n\r\n",
    "two lengths": "HTTP/1.1 200 OK\r\nContent-Length: 3\r\nContent-Length: 4\r\n\r\n",
    "unknown coding": "HTTP/1.1 200 OK\r\nTransfer-Encoding: gzip\r\n\r\n",
    "upgrade that nobody asked for": "HTTP/1.1 101 Switching Protocols\r\nUpgrade: x\r\n\r\n",
    "too many interim": "HTTP/1.1 103 Early Hints\r\n\r\n" * 17 + OK,
    "large header": "HTTP/1.1 200 OK\r\nA: " + "x" * 33000 + "\r\n\r\n",
    "many fields": "HTTP/1.1 200 OK\r\n" + "A: b\r\n" * 101 + "\r\n",
    "zero byte": "HTTP/1.1 200 OK\r\nA: b\0\r\n\r\n",
    "space before colon": "HTTP/1.1 200 OK\r\nContent-Length : 0\r\n\r\n",
    "empty name": "HTTP/1.1 200 OK\r\n: b\r\n\r\n",
    "no colon": "HTTP/1.1 200 OK\r\nA\r\n\r\n",
    "two equal lengths":
        "HTTP/1.1 200 OK\r\nContent-Length: 3\r\nContent-Length: 3\r\n\r\nabc",
    "list of lengths": "HTTP/1.1 200 OK\r\nContent-Length: 3, 3\r\n\r\nabc",
    "signed length": "HTTP/1.1 200 OK\r\nContent-Length: +3\r\n\r\nabc",
    "empty length": "HTTP/1.1 200 OK\r\nContent-Length:\r\n\r\n",
    "huge length": "HTTP/1.1 200 OK\r\nContent-Length: 9223372036854775808\r\n\r\n",
    "two codings": "HTTP/1.1 200 OK\r\nTransfer-Encoding: gzip, chunked\r\n\r\n0\r\n\r\n",
    "empty coding": "HTTP/1.1 200 OK\r\nTransfer-Encoding:\r\n\r\n",
    "coding in HTTP/1.0": "HTTP/1.0 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
    "HTTP/1.2": "HTTP/1.2 200 OK\r\nContent-Length: 0\r\n\r\n",
    "interim response with a length": "HTTP/1.1 103 Early\r\nContent-Length: 3\r\n\r\nabc" + OK,
    "interim response with chunks":
        "HTTP/1.1 103 Early\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n" + OK,
    "half a header": "HTTP/1.1 200 OK\r\nContent-Le",
    "bad chunk": "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n4\r\nhalf\r\nx\r\n",
    "nothing": "",
}


def test_bad_responses(http_proxy):
    todo = list(BAD_RESPONSES.items())

    def serve(peer):
        peer.message()
        peer.send(todo[0][1])
        peer.shutdown()
        peer.to_end()
    proxy = http_proxy(serve)
    with proxy.connect() as client:
        while todo:
            client.send(GET + "\r\n")
            reply = client.message()
            while reply.status < 200:
                reply = client.message()
            assert reply.status == 502, (todo[0][0], reply)
            assert reply.get("Connection") == "keep-alive"
            todo.pop(0)
    assert proxy.scripts[0].connections == len(BAD_RESPONSES)


@pytest.mark.parametrize("fields", ["Content-Length: 3", "Transfer-Encoding: chunked"])
def test_a_body_behind_a_response_without_one_is_no_response(http_proxy, fields):
    def serve(peer):
        peer.message()
        peer.send(f"HTTP/1.1 204 No Content\r\n{fields}\r\n\r\n")
        peer.to_end()  # had it been kept, what is said now would answer the next request
        closed.append(True)
    closed = []
    proxy = http_proxy(serve)
    with proxy.connect() as client:
        reply = client.ask(GET + "\r\n")
        assert (reply.status, reply.fields) == (204, [])
        proxy.wait(lambda: closed)
        assert client.ask(GET + "\r\n").status == 204


@pytest.mark.parametrize("head,rest", [("Content-Length: 10", "half"),
                                       ("Transfer-Encoding: chunked", "4\r\nhalf\r\n"),
                                       ("Transfer-Encoding: chunked", "4\r\nhalf\r\nx\r\n")])
def test_a_response_cut_short_closes_the_connection(http_proxy, head, rest):
    def serve(peer):
        peer.message()
        peer.send(f"HTTP/1.1 200 OK\r\n{head}\r\n\r\n")
        wait_until(lambda: seen)
        peer.send(rest)
    seen = []
    proxy = http_proxy(serve)
    with proxy.connect() as client:
        client.send(GET + "\r\n")
        seen.append(client.head())
        assert seen[0].status == 200
        assert not client.to_end().endswith(b"0\r\n\r\n")
    assert proxy.daemon.ctl_json("backend", "list")["backends"][0]["http"]["failures"] == 1
