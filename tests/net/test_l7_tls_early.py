# SPDX-License-Identifier: BSD-2-Clause
"""Requests in a client's first message (0-RTT): what is passed on at once, what waits, and that
nothing counts twice."""
import socket
import subprocess
import threading

import hpack
import pytest

import certs
from h2peer import END_HEADERS, END_STREAM, GOAWAY, HEADERS, PREFACE, SETTINGS, frame, get
from http1 import OK, connect
from lab import TIMEOUT_S, wait_until

GET = "GET /{} HTTP/1.1\r\nHost: example.org\r\n{}\r\n"
LAST = "Connection: close\r\n"


class Gate:
    """Between a client and the proxy: once the proxy has answered, the client is not heard before
    open(). sent: what it said first."""

    def __init__(self, port):
        self.go, self.sent, self.answered = threading.Event(), bytearray(), threading.Event()
        self.listener = socket.create_server(("127.0.0.1", 0))
        self.port = self.listener.getsockname()[1]
        self.back = socket.create_connection(("127.0.0.1", port))
        self.back.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self._start(self._run)

    @staticmethod
    def _start(target):
        def run():
            try:
                target()
            except OSError:  # either end may go at any time
                pass
        threading.Thread(target=run, daemon=True).start()

    def open(self):
        self.go.set()

    def _run(self):
        self.front = self.listener.accept()[0]
        self.listener.close()
        self._start(self._answer)
        while True:
            data = self.front.recv(65536)
            if self.answered.is_set():
                self.go.wait()
            else:
                self.sent += data
            if not data:
                self.back.shutdown(socket.SHUT_WR)
                return
            self.back.sendall(data)

    def _answer(self):
        while True:
            data = self.back.recv(65536)
            self.answered.set()
            if not data:
                self.front.close()
                return
            self.front.sendall(data)


class Client:
    """openssl s_client; its session is kept in a file."""

    def __init__(self, ca, name="session"):
        self.ca, self.file, self.early = ca, ca.path(name), ca.path(name + ".early")

    def run(self, port, *args, data=b"", version="-tls1_3"):
        with subprocess.Popen(
                ["openssl", "s_client", "-connect", f"127.0.0.1:{port}", "-servername",
                 "example.org", "-CAfile", self.ca.pem, version, "-ign_eof", "-nocommands", *args],
                stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.STDOUT) as proc:
            try:
                return proc.communicate(data, timeout=TIMEOUT_S)[0].decode(errors="replace")
            finally:
                proc.kill()

    def learn(self, port):
        out = self.run(port, "-sess_out", self.file, data=GET.format("", LAST).encode())
        assert "HTTP/1.1 200 OK" in out, out
        return out

    def come_back(self, port, request, data=b"", args=()):
        with open(self.early, "wb") as f:
            f.write(request if isinstance(request, bytes) else request.encode())
        return self.run(port, "-sess_in", self.file, "-early_data", self.early, *args, data=data)


@pytest.fixture(name="early")
def make_early(tls_proxy):
    """early(**service) -> (proxy, the requests that its backend saw)"""
    def make(**kw):
        seen = []

        def serve(peer):
            while True:
                seen.append(peer.message())
                peer.send(OK)
        tls = {"early_data": "on", **kw.pop("tls", {})}
        return tls_proxy(serve, tls=tls, **kw), seen
    return make


def start(target, *args, **kw):
    """A thread whose result is in .out at its end."""
    def run():
        thread.out = target(*args, **kw)
    thread = threading.Thread(target=run)
    thread.start()
    return thread


@pytest.mark.parametrize("method", ["GET", "HEAD", "OPTIONS"])
def test_a_safe_request_is_passed_on_at_once(early, ca, method):
    proxy, seen = early()
    client = Client(ca)
    assert "Max Early Data: 16384" in client.learn(proxy.port)
    gate = Gate(proxy.port)
    request = GET.replace("GET", method).format("early", "")
    last = GET.format("last", LAST).encode()
    running = start(client.come_back, gate.port, request, last)
    wait_until(lambda: len(seen) == 2)  # and the handshake cannot have ended
    assert not gate.go.is_set()
    gate.open()
    running.join()
    assert "Early data was accepted" in running.out
    assert running.out.count("HTTP/1.1 200 OK") == 2
    assert [m.start.split()[:2] for m in seen[1:]] == [[method, "/early"], ["GET", "/last"]]
    assert [m.get("Early-Data") for m in seen] == [None, "1", None]
    assert (proxy.counter("tls_early"), proxy.counter("tls_early_refused")) == (1, 0)
    assert (proxy.counter("tls_handshakes"), proxy.counter("tls_failures")) == (2, 0)
    assert "early data taken in 1 handshakes, refused in 0" in proxy.daemon.ctl(
        "service", "show", "web").stdout


def test_a_large_answer_before_the_end_of_the_handshake(tls_proxy, ca):
    size = 3000000

    def serve(peer):
        while True:
            body = b"x" * (size if "early" in peer.message().start else 2)
            peer.send(b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n%s" % (len(body), body))
    proxy = tls_proxy(serve, tls={"early_data": "on"})
    client = Client(ca)
    client.learn(proxy.port)
    gate = Gate(proxy.port)
    running = start(client.come_back, gate.port, GET.format("early", ""),
                    GET.format("last", LAST).encode())
    wait_until(lambda: proxy.counter("bytes_out") > size)
    assert not gate.go.is_set()
    gate.open()
    running.join()
    assert running.out.count("HTTP/1.1 200 OK") == 2
    assert max(len(line) for line in running.out.splitlines()) >= size


@pytest.mark.parametrize("request_text", [
    "POST /early HTTP/1.1\r\nHost: a\r\nContent-Length: 2\r\nConnection: close\r\n\r\nhi",
    "PUT /early HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\nConnection: close\r\n\r\n"
    "2\r\nhi\r\n0\r\n\r\n",
    "DELETE /early HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n",
    "GET /early HTTP/1.1\r\nHost: a\r\nContent-Length: 2\r\nConnection: close\r\n\r\nhi",
    GET.format("early", LAST),
    "GET /early HTTP/1.0\r\nHost: a\r\n\r\n",
], ids=["POST", "PUT", "DELETE", "GET with a body", "the last one", "HTTP/1.0"])
def test_others_wait_for_the_handshake(early, ca, request_text):
    proxy, seen = early()
    client = Client(ca)
    client.learn(proxy.port)
    gate = Gate(proxy.port)
    running = start(client.come_back, gate.port, request_text)
    assert gate.answered.wait(TIMEOUT_S)
    proxy.wait_counter("tls_early", 1)
    assert len(seen) == 1 and proxy.counter("requests") == 1
    gate.open()
    running.join()
    assert "Early data was accepted" in running.out
    assert running.out.count("HTTP/1.1 200 OK") == 1, running.out
    assert (len(seen), seen[1].start.split()[1], seen[1].get("Early-Data")) == (2, "/early", None)
    assert proxy.counter("tls_failures") == 0


def test_what_waits_keeps_its_place(early, ca):
    """A safe one behind one that waits waits, too; one before it does not."""
    proxy, seen = early()
    client = Client(ca)
    client.learn(proxy.port)
    gate = Gate(proxy.port)
    post = "POST /2 HTTP/1.1\r\nHost: a\r\nContent-Length: 0\r\n\r\n"
    running = start(client.come_back, gate.port,
                    GET.format(1, "") + post + GET.format(3, LAST))
    wait_until(lambda: len(seen) == 2)
    gate.open()
    running.join()
    assert [(m.start.split()[1], m.get("Early-Data")) for m in seen[1:]] == [
        ("/1", "1"), ("/2", None), ("/3", None)]


def test_what_waits_has_its_time(early, ca):
    proxy, seen = early(timeouts={"tls_handshake": "300ms"})
    client = Client(ca)
    client.learn(proxy.port)
    gate = Gate(proxy.port)
    running = start(client.come_back, gate.port, "POST / HTTP/1.1\r\nHost: a\r\n\r\n")
    proxy.wait_counter("closed", 2)
    gate.open()
    running.join()
    assert "408 Request Timeout" in running.out
    assert len(seen) == 1


@pytest.mark.parametrize("said", ["1", "0", "1, 1", "x"])
def test_a_client_that_says_it_itself(early, ca, said):
    """Another proxy, for example: it is not taken away, not even as an option of a connection."""
    proxy, seen = early()
    client = Client(ca)
    client.learn(proxy.port)
    own = f"Early-Data: {said}\r\nConnection: early-data\r\nEarly_Data: 0\r\n"
    gate = Gate(proxy.port)
    running = start(client.come_back, gate.port, GET.format(1, own))
    wait_until(lambda: len(seen) == 2)
    gate.open()
    with proxy.open() as later:
        assert later.ask(GET.format(2, own)).status == 200
    proxy.daemon.proc.terminate()
    running.join()
    assert proxy.daemon.wait_exit() == 0
    assert [m.all("Early-Data") for m in seen[1:]] == [["1"], [said]]
    assert not any(m.all("Early_Data") for m in seen)


def test_425_is_the_clients(early, ca, tls_proxy):
    seen = []

    def serve(peer):
        while True:
            seen.append(peer.message())
            peer.send("HTTP/1.1 425 Too Early\r\nContent-Length: 0\r\n\r\n"
                      if seen[-1].get("Early-Data") else OK)
    proxy = tls_proxy(serve, tls={"early_data": "on"})
    client = Client(ca)
    client.learn(proxy.port)
    out = client.come_back(proxy.port, GET.format(1, ""), GET.format(1, LAST).encode())
    assert "HTTP/1.1 425 Too Early" in out and len(seen) == 3


# ---- by route ----

ROUTES = [{"match": {"path": {"prefix": "/on/"}}, "pool": "web", "early_data": "on"},
          {"match": {"path": {"prefix": "/off/"}}, "pool": "web", "early_data": "off"},
          {"match": {"path": {"prefix": "/own/"}}, "pool": "web"}]


@pytest.mark.parametrize("service, path, at_once", [
    ("off", "on/x", True), ("off", "off/x", False), ("off", "own/x", False), ("off", "x", False),
    ("on", "on/x", True), ("on", "off/x", False), ("on", "own/x", True), ("on", "x", True),
    ("off", "off/../on/x", True), ("on", "on/%2e./off/x", False)])
def test_a_route_says_whether(early, ca, service, path, at_once):
    proxy, seen = early(tls={"early_data": service}, routes=ROUTES)
    client = Client(ca)
    client.learn(proxy.port)
    gate = Gate(proxy.port)
    running = start(client.come_back, gate.port, GET.format(path, ""),
                    GET.format("last", LAST).encode())
    if at_once:
        wait_until(lambda: len(seen) == 2)
    else:
        assert gate.answered.wait(TIMEOUT_S)
        proxy.wait_counter("tls_early", 1)
        assert len(seen) == 1
    gate.open()
    running.join()
    assert "Early data was accepted" in running.out
    assert [m.get("Early-Data") for m in seen] == [None, "1" if at_once else None, None]
    assert running.out.count("HTTP/1.1 200 OK") == 2


def test_a_route_that_takes_it_is_for_safe_requests(early, ca):
    proxy, seen = early(tls={"early_data": "off"}, routes=ROUTES)
    client = Client(ca)
    client.learn(proxy.port)
    gate = Gate(proxy.port)
    running = start(client.come_back, gate.port,
                    "POST /on/x HTTP/1.1\r\nHost: a\r\nContent-Length: 0\r\n"
                    "Connection: close\r\n\r\n")
    assert gate.answered.wait(TIMEOUT_S)
    proxy.wait_counter("tls_early", 1)
    assert len(seen) == 1
    gate.open()
    running.join()
    assert (len(seen), seen[1].get("Early-Data")) == (2, None)


def test_over_http2_what_would_wait_is_to_come_again(early, ca):
    """Streams are of no use to each other: one that is not for it is answered, 425."""
    proxy, seen = early(tls={"early_data": "off"}, routes=ROUTES)
    client = Client(ca)
    h2 = ("-alpn", "h2")
    client.run(proxy.port, "-sess_out", client.file, *h2,
               data=PREFACE + frame(SETTINGS) + frame(GOAWAY, 0, 0, bytes(8)))
    encoder, early_frames = hpack.Encoder(), PREFACE + frame(SETTINGS)
    for stream, (method, path) in enumerate([("GET", "/on/x"), ("GET", "/off/x"), ("GET", "/x"),
                                             ("DELETE", "/on/x")]):
        early_frames += frame(HEADERS, END_HEADERS | END_STREAM, 2 * stream + 1, encoder.encode(
            get(path, method=method, scheme="https", authority="example.org")))
    gate = Gate(proxy.port)
    running = start(client.come_back, gate.port, early_frames,
                    frame(GOAWAY, 0, 0, bytes(8)), h2)
    wait_until(lambda: len(seen) == 1)
    proxy.wait_counter("responses_4xx", 3)
    gate.open()
    running.join()
    assert "Early data was accepted" in running.out
    assert [(m.start.split()[1], m.get("Early-Data")) for m in seen] == [("/on/x", "1")]
    assert running.out.count("425 Too Early: request came before the end") == 3


def test_without_such_a_route_none_is_taken(early, ca):
    proxy, _ = early(tls={"early_data": "off"}, routes=ROUTES[1:])
    assert "Max Early Data: 0" in Client(ca).learn(proxy.port)
    proxy.config["services"]["web"]["routes"] = ROUTES
    proxy.daemon.reload(proxy.config)
    assert "Max Early Data: 16384" in Client(ca).learn(proxy.port)


# ---- once ----

def test_a_replay_is_refused_at_every_worker(early, ca):
    proxy, seen = early(workers=4)
    client = Client(ca)
    client.learn(proxy.port)
    gate = Gate(proxy.port)
    running = start(client.come_back, gate.port, GET.format(1, ""), GET.format(2, LAST).encode())
    wait_until(lambda: len(seen) == 2)
    peers = []
    for _ in range(16):
        peers.append(connect(proxy.port))
        peers[-1].send(bytes(gate.sent))
        assert peers[-1].fill()  # it is answered, as any ClientHello is
    gate.open()
    running.join()
    for peer in peers:
        peer.close()
    proxy.wait_counter("tls_failures", 16)
    assert [m.start.split()[1] for m in seen] == ["/", "/1", "/2"]
    assert (proxy.counter("tls_early"), proxy.counter("tls_early_refused")) == (1, 16)


def test_a_ticket_is_good_for_it_once(early, ca):
    """Then the session goes on without, and the client has to say it again."""
    proxy, seen = early()
    client = Client(ca)
    client.learn(proxy.port)
    assert "Early data was accepted" in client.come_back(
        proxy.port, GET.format(1, ""), GET.format(2, LAST).encode())
    out = client.come_back(proxy.port, GET.format(3, ""), GET.format(4, LAST).encode())
    assert "Early data was rejected" in out and "Reused, TLSv1.3" in out
    assert [m.start.split()[1] for m in seen[1:]] == ["/1", "/2", "/4"]
    assert proxy.counter("tls_early_refused") == 1


def test_a_handshake_that_does_not_end_well(early, ca):
    """The connection is over; what was passed on was safe to."""
    proxy, seen = early()
    client = Client(ca)
    client.learn(proxy.port)
    gate = Gate(proxy.port)
    running = start(client.come_back, gate.port, GET.format(1, ""))
    wait_until(lambda: len(seen) == 2)
    gate.back.sendall(b"\x17\x03\x03\x00\x20" + bytes(32))
    proxy.wait_counter("closed", 2)
    gate.open()
    running.join()
    assert len(seen) == 2


# ---- off ----

def test_it_is_off_by_default(tls_proxy, ca):
    proxy = tls_proxy()
    client = Client(ca)
    assert "Max Early Data: 0" in client.learn(proxy.port)
    assert proxy.counter("tls")["early_data"] == "off"


def test_a_reload_switches_it(early, ca):
    proxy, seen = early()
    client = Client(ca)
    client.learn(proxy.port)
    web = proxy.config["services"]["web"]
    web["tls"]["early_data"] = "off"
    proxy.daemon.reload(proxy.config)
    out = client.come_back(proxy.port, GET.format(1, ""), GET.format(2, LAST).encode())
    assert "Early data was rejected" in out and "Reused, TLSv1.3" in out
    assert [m.start.split()[1] for m in seen] == ["/", "/2"]
    web["tls"]["early_data"] = "on"
    proxy.daemon.reload(proxy.config)
    client.learn(proxy.port)
    assert "Early data was accepted" in client.come_back(
        proxy.port, GET.format(3, ""), GET.format(4, LAST).encode())


def test_clients_without_it_are_served(early, ca):
    proxy, _ = early()
    with proxy.open() as client:
        for _ in range(3):
            assert client.ask(GET.format("", "")).status == 200
    client = Client(ca)
    for version in ("-tls1_2", "-tls1_3"):
        assert "HTTP/1.1 200 OK" in client.run(proxy.port, version=version,
                                               data=GET.format("", LAST).encode())
    assert proxy.counter("tls_early") == 0
    assert certs.served(proxy.port, ca.context(), "example.org") == ["example.org"]
