# SPDX-License-Identifier: BSD-2-Clause
"""HTTP/1 through the proxy: what arrives at the other end, byte by byte."""
import hashlib
import json
import subprocess
import threading
import time

import pytest

from http1 import NOBODY, OK, TIMEOUT_S, see

GET = "GET / HTTP/1.1\r\nHost: a\r\n\r\n"


def answering(text):
    """A backend that answers every request with this text."""
    def serve(peer):
        while True:
            peer.message()
            peer.send(text)
    return serve


def then_close(text):
    def serve(peer):
        peer.message()
        peer.send(text)
    return serve


@pytest.mark.parametrize("addr", ["127.0.0.1", "::1"])
def test_a_request_and_its_response(http_proxy, addr):
    seen = []
    p = http_proxy(see(seen), addr=addr)
    with p.connect() as client:
        reply = client.ask("GET /a?b HTTP/1.1\r\nHost: example.org\r\nAccept: */*\r\n"
                           "X-Forwarded-For: 1.2.3.4\r\nConnection: x-y\r\nX-Y: z\r\n\r\n")
        assert (reply.start, reply.body) == ("HTTP/1.1 200 OK", b"hi")
        assert reply.fields == [("Content-Length", "2")]
        assert seen[0].start == "GET /a?b HTTP/1.1"
        assert seen[0].fields == [("Host", "example.org"), ("Accept", "*/*"),
                                  ("X-Forwarded-For", addr), ("X-Forwarded-Proto", "http"),
                                  ("X-Forwarded-Host", "example.org"), ("Via", "1.1 shunt")]


def test_connections_are_kept_on_both_sides(http_proxy):
    p = http_proxy()
    for _ in range(3):
        with p.connect() as client:
            for _ in range(20):
                assert client.ask(GET).status == 200
    assert p.scripts[0].connections == 1


def test_pipelined_requests_are_answered_in_order(http_proxy):
    seen = []

    def serve(peer):
        while True:
            message = peer.message()
            seen.append(message)
            body = message.start.split(" ")[1]
            peer.send(f"HTTP/1.1 200 OK\r\nContent-Length: {len(body)}\r\n\r\n{body}")
    p = http_proxy(serve)
    with p.connect() as client:
        client.send("".join(f"GET /{i} HTTP/1.1\r\nHost: a\r\n\r\n" for i in range(500)))
        for i in range(500):
            assert client.message().body == f"/{i}".encode()
    assert len(seen) == 500


def test_pipelined_requests_that_the_proxy_answers(http_proxy):
    p = http_proxy(backends=[NOBODY])
    with p.connect() as client:
        client.send(GET * 1000)
        for _ in range(1000):
            assert client.message().status == 503
        assert client.ask(GET).status == 503
    assert p.counter("local_errors") == 1001


def test_a_header_byte_by_byte(http_proxy):
    p = http_proxy()
    with p.connect() as client:
        for byte in "\r\n" + GET:
            client.send(byte)
        assert client.message().status == 200


def test_a_header_as_large_as_the_limit(http_proxy):
    seen = []
    p = http_proxy(see(seen))
    value = "x" * 8000
    fields = "".join(f"X-{i}: {value}\r\n" for i in range(4))
    with p.connect() as client:
        assert client.ask(f"GET / HTTP/1.1\r\nHost: a\r\n{fields}\r\n").status == 200
        assert client.ask(GET).status == 200
    assert [seen[0].get(f"X-{i}") for i in range(4)] == [value] * 4


@pytest.mark.parametrize("size", [0, 1, 16384, 16385, 65536, 3_000_000])
def test_request_bodies(backend, http_proxy, free_port, size, tmp_path):
    port = free_port()
    backend("b1", http=[f"127.0.0.1:{port}"])
    p = http_proxy(backends=[f"127.0.0.1:{port}"])
    data = bytes(i * 7 % 251 for i in range(size % 65536)) + b"z" * (size - size % 65536)
    path = tmp_path / "data"
    path.write_bytes(data)
    url = f"http://127.0.0.1:{p.port}/"
    want = {"bytes": size, "sha256": hashlib.sha256(data).hexdigest()}
    for framing in ([], ["-H", "Transfer-Encoding: chunked"], ["-H", "Expect: 100-continue"],
                    ["--http1.0"]):
        done = subprocess.run(["curl", "-sS", "--max-time", "30", *framing, "--data-binary",
                               f"@{path}", url + "sink"], capture_output=True, check=True)
        assert json.loads(done.stdout) == want, framing
        done = subprocess.run(["curl", "-sS", "--max-time", "30", *framing, "--data-binary",
                               f"@{path}", url + "echo"], capture_output=True, check=True)
        assert done.stdout == data, framing


@pytest.mark.parametrize("size", [0, 1, 100_000, 5_000_000])
@pytest.mark.parametrize("kind", ["bytes", "chunked"])
def test_response_bodies(backend, http_proxy, free_port, kind, size):
    port = free_port()
    backend("b1", http=[f"127.0.0.1:{port}"])
    p = http_proxy(backends=[f"127.0.0.1:{port}"])
    want = (bytes(range(256)) * (size // 256 + 1))[:size]
    if kind == "chunked":
        want = b"".join((bytes(range(256)) * 17)[o % 256:o % 256 + min(4096, size - o)]
                        for o in range(0, size, 4096))
    for version in ("--http1.1", "--http1.0"):
        done = subprocess.run(["curl", "-sS", "--max-time", "30", version,
                               f"http://127.0.0.1:{p.port}/{kind}/{size}"],
                              capture_output=True, check=True)
        assert done.stdout == want


def test_many_small_chunks_are_joined(http_proxy):
    def serve(peer):
        while True:
            peer.message()
            peer.send("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n" +
                      "".join(f"{1:x};x=y\r\n{i % 10}\r\n" for i in range(1000)) +
                      "0\r\nX-Trailer: dropped\r\n\r\n")
    p = http_proxy(serve)
    with p.connect() as client:
        for _ in range(3):
            assert client.ask(GET).body == b"0123456789" * 100
    assert p.scripts[0].connections == 1


def test_a_response_that_ends_with_its_connection(http_proxy):
    p = http_proxy(then_close("HTTP/1.1 200 OK\r\n\r\nall of this"))
    with p.connect() as client:  # HTTP/1.1 clients get chunks, and can go on
        for _ in range(2):
            reply = client.ask(GET)
            assert reply.get("Transfer-Encoding") == "chunked"
            assert reply.body == b"all of this"
    with p.connect() as client:
        reply = client.ask("GET / HTTP/1.0\r\nConnection: keep-alive\r\n\r\n")
        assert reply.get("Transfer-Encoding") is None
        assert reply.get("Connection") == "close"
        assert reply.body == b"all of this"


def test_old_clients_get_old_framing(http_proxy):
    p = http_proxy(answering("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n"
                             "3\r\nabc\r\n0\r\n\r\n"))
    with p.connect() as client:
        reply = client.ask("GET / HTTP/1.0\r\n\r\n")
        assert (reply.get("Connection"), reply.body) == ("close", b"abc")


def test_old_clients_may_keep_their_connection(http_proxy):
    p = http_proxy()
    with p.connect() as client:
        for _ in range(2):
            reply = client.ask("GET / HTTP/1.0\r\nConnection: Keep-Alive\r\n\r\n")
            assert reply.get("Connection") == "keep-alive"
        assert client.ask("GET / HTTP/1.0\r\n\r\n").get("Connection") == "close"
        assert client.is_closed()


def test_connection_close_is_honoured(http_proxy):
    p = http_proxy()
    with p.connect() as client:
        reply = client.ask("GET / HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n")
        assert reply.get("Connection") == "close"
        assert client.is_closed()


def test_a_backend_that_closes_is_not_used_again(http_proxy):
    p = http_proxy(answering("HTTP/1.1 200 OK\r\nConnection: close\r\nContent-Length: 2\r\n\r\nhi"))
    with p.connect() as client:
        for _ in range(3):
            assert client.ask(GET).get("Connection") is None
    assert p.scripts[0].connections == 3


def test_a_backend_that_says_too_much_is_not_used_again(http_proxy):
    p = http_proxy(answering(OK + "HTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\nevil"))
    with p.connect() as client:
        for _ in range(3):
            assert client.ask(GET).body == b"hi"
    assert p.scripts[0].connections == 3


@pytest.mark.parametrize("status,fields", [
    (204, ""), (204, "Content-Length: 5\r\n"), (304, "Content-Length: 5\r\n"), (304, "")])
def test_statuses_without_a_body(http_proxy, status, fields):
    p = http_proxy(answering(f"HTTP/1.1 {status} X\r\n{fields}\r\n"))
    with p.connect() as client:
        for _ in range(2):
            reply = client.ask(GET)
            assert reply.status == status
            assert reply.get("Content-Length") == ("5" if status == 304 and fields else None)


def test_head_has_a_length_and_no_body(http_proxy):
    p = http_proxy(answering("HTTP/1.1 200 OK\r\nContent-Length: 1000\r\n\r\n"))
    with p.connect() as client:
        for _ in range(2):
            reply = client.ask("HEAD / HTTP/1.1\r\nHost: a\r\n\r\n", no_body=True)
            assert reply.get("Content-Length") == "1000"


def test_an_answer_of_the_proxy_to_head_has_no_body(http_proxy):
    p = http_proxy(backends=[NOBODY])
    with p.connect() as client:
        for _ in range(2):
            reply = client.ask("HEAD / HTTP/1.1\r\nHost: a\r\n\r\n", no_body=True)
            assert reply.status == 503
            assert int(reply.get("Content-Length")) > 0


def test_interim_responses_are_passed_on(http_proxy):
    def serve(peer):
        while True:
            peer.head()
            peer.send("HTTP/1.1 103 Early Hints\r\nLink: </x>\r\n\r\nHTTP/1.1 100 Continue\r\n\r\n")
            assert peer.exactly(4) == b"body"
            peer.send(OK)
    p = http_proxy(serve)
    with p.connect() as client:
        for _ in range(2):
            client.send("POST / HTTP/1.1\r\nHost: a\r\nExpect: 100-continue\r\n"
                        "Content-Length: 4\r\n\r\n")
            early = client.head()
            assert (early.status, early.fields) == (103, [("Link", "</x>")])
            assert client.head().status == 100
            assert client.ask("body").status == 200
    assert p.counter("responses_1xx") == 4


def test_interim_responses_wait_for_a_slow_client(http_proxy):
    def serve(peer):
        peer.message()
        peer.send(("HTTP/1.1 103 Early Hints\r\n" + f"Link: {'x' * 8000}\r\n" * 4 + "\r\n") * 15)
        go.wait()
        peer.send(OK)
    go = threading.Event()
    p = http_proxy(serve)
    with p.connect(rcvbuf=2048, mss=500) as client:
        client.send(GET)
        p.wait_counter("responses_1xx", 15)
        assert_at_rest(p)
        for _ in range(15):  # without waiting for the response behind them
            assert len(client.message().all("Link")) == 4
        go.set()
        assert client.message().body == b"hi"


def test_old_clients_get_no_interim_responses(http_proxy):
    p = http_proxy(answering("HTTP/1.1 103 Early Hints\r\n\r\n" + OK))
    with p.connect() as client:
        assert client.ask("GET / HTTP/1.0\r\n\r\n").status == 200


def test_an_early_response_is_passed_on_then_the_connection_closes(http_proxy):
    def serve(peer):
        peer.head()
        peer.send("HTTP/1.1 401 No\r\nContent-Length: 2\r\n\r\nno")
        peer.to_end()
    p = http_proxy(serve)
    with p.connect() as client:
        client.send("POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 1000000\r\n\r\n" + "x" * 1000)
        reply = client.message()
        assert (reply.status, reply.body, reply.get("Connection")) == (401, b"no", "close")
        client.send("x" * 100000)  # the rest is read, not reset
        client.shutdown()
        assert client.is_closed()


def test_both_bodies_can_flow_at_once(http_proxy):
    def serve(peer):
        head = peer.head()
        peer.send("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n")
        for _ in range(int(head.get("Content-Length")) // 10):
            peer.send(b"a\r\n" + peer.exactly(10) + b"\r\n")
        peer.send("0\r\n\r\n")
    p = http_proxy(serve)
    with p.connect() as client:
        client.send("POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 50\r\n\r\n")
        for i in range(5):
            client.send(f"{i}" * 10)
            if i == 0:
                assert client.head().get("Connection") == "close"  # it was not all here yet
            assert client.until(b"\r\n") == b"a\r\n"
            assert client.exactly(12) == f"{i}".encode() * 10 + b"\r\n"
        assert client.until(b"\r\n") == b"0\r\n"


def test_a_slow_reader_stops_the_backend(http_proxy):
    sent = [0]

    def serve(peer):
        peer.message()
        peer.send(f"HTTP/1.1 200 OK\r\nContent-Length: {64 << 20}\r\n\r\n")
        for _ in range(64 << 4):
            peer.send(b"x" * 65536)
            sent[0] += 65536
    p = http_proxy(serve)
    before = p.memory()
    with p.connect(rcvbuf=65536) as client:
        client.send(GET)
        assert client.head().status == 200
        stuck = wait_for_rest(lambda: sent[0])
        assert stuck < 32 << 20  # the kernel's buffers, not the proxy's
        assert_at_rest(p)
        assert p.memory() - before < 2 << 20
        assert client.exactly(64 << 20) == b"x" * (64 << 20)


def test_a_slow_backend_stops_the_client(http_proxy):
    go, got = threading.Event(), []

    def serve(peer):
        head = peer.head()
        go.wait(TIMEOUT_S)
        got.append(len(peer.exactly(int(head.get("Content-Length")))))
        peer.send(OK)
    p = http_proxy(serve)
    before = p.memory()
    sent = [0]

    def upload(client):
        client.send(f"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: {64 << 20}\r\n\r\n")
        for _ in range(64 << 4):
            client.send(b"x" * 65536)
            sent[0] += 65536
    with p.connect() as client:
        thread = threading.Thread(target=upload, args=(client,))
        thread.start()
        assert wait_for_rest(lambda: sent[0]) < 32 << 20
        assert_at_rest(p)
        assert p.memory() - before < 2 << 20
        go.set()
        assert client.message().status == 200
        thread.join()
    assert got == [64 << 20]


def assert_at_rest(p):
    """It waits for the slow side, it does not ask again and again."""
    before = p.cpu_seconds()
    wait_for_rest(lambda: 0)
    assert p.cpu_seconds() - before < 0.2


def wait_for_rest(value, rest=0.5):
    """The value, once it has not changed for so long."""
    seen, since = value(), time.monotonic()
    while time.monotonic() - since < rest:
        if value() != seen:
            seen, since = value(), time.monotonic()
        threading.Event().wait(0.02)
    return seen
