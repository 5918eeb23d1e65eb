# SPDX-License-Identifier: BSD-2-Clause
"""Many HTTP/2 streams at a time: limits, windows and back-pressure, ends of all kinds."""
import signal
import struct
import subprocess
import threading

import hpack
import pytest

from h2peer import ACK, CONTINUATION, END_HEADERS, END_STREAM, GOAWAY, HEADERS, PING, PREFACE, \
    RST_STREAM, SETTINGS, RawH2, frame, get, open_h2, open_raw
from http1 import OK, answer_ok
from lab import TIMEOUT_S, wait_until

CHUNKED = "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n"
BIG = 64 << 20


def active(proxy):
    return proxy.daemon.ctl_json("backend", "list")["backends"][0]["http"]["active_requests"]


class Gate:
    """A backend that answers when it is told to; /fast at once, /big with much."""

    def __init__(self):
        self.open, self.sent, self.ended = threading.Event(), 0, 0

    def __call__(self, peer):
        try:
            self.serve(peer)
        finally:
            self.ended += 1

    def serve(self, peer):
        while True:
            start = peer.message().start
            if "/fast" in start:
                peer.send(OK)
            elif "/big" in start:
                peer.send(f"HTTP/1.1 200 OK\r\nContent-Length: {BIG}\r\n\r\n")
                for _ in range(BIG >> 16):
                    peer.send(bytes(1 << 16))
                    self.sent += 1 << 16
            else:
                while not self.open.wait(0.01):
                    peer.sock.settimeout(0.01)
                    try:
                        if not peer.fill():
                            return
                    except TimeoutError:
                        pass
                peer.sock.settimeout(TIMEOUT_S)
                peer.send(OK)


class Ends:
    """What became of the streams of a RawH2, read to its end or until they all ended."""

    def __init__(self, raw, *streams):
        self.status, self.error, self.goaways, self.ended = {}, {}, [], False
        while not streams or not all(s in self.status or s in self.error for s in streams):
            got = raw.next()
            if not got:
                self.ended = True
                break
            if got.kind == HEADERS:
                self.status[got.stream] = int(dict(raw.fields(got))[":status"])
            elif got.kind == RST_STREAM:
                self.error[got.stream] = got.error
            elif got.kind == GOAWAY:
                self.goaways.append((got.error, int.from_bytes(got.payload[:4], "big")))
            elif got.kind == PING and not got.flags:
                raw.send(frame(PING, ACK, 0, got.payload))


def test_streams_over_the_limit_are_refused(http_proxy):
    gate = Gate()
    proxy = http_proxy(gate, limits={"streams": 8})
    with open_raw(proxy) as raw:
        for i in range(1, 21, 2):
            raw.headers(i, get())
        ends = Ends(raw, 17, 19)
        assert ends.error == {17: "REFUSED_STREAM", 19: "REFUSED_STREAM"}
        wait_until(lambda: active(proxy) == 8)
        gate.open.set()
        ends = Ends(raw, *range(1, 17, 2))
        assert list(ends.status.values()) == [200] * 8
        raw.headers(21, get())
        assert Ends(raw, 21).status == {21: 200}
    assert proxy.counter("requests") == 9


def test_a_client_that_knew_of_the_limit_keeps_its_connection(http_proxy):
    gate = Gate()
    proxy = http_proxy(gate, limits={"streams": 8})
    with open_raw(proxy) as raw:
        got = raw.until(SETTINGS)
        assert struct.pack(">HI", 3, 8) in [got.payload[i:i + 6]
                                            for i in range(0, len(got.payload), 6)]
        raw.send(frame(SETTINGS, ACK))
        for i in range(1, 21, 2):
            raw.headers(i, get())
        assert Ends(raw, 17, 19).error == {17: "REFUSED_STREAM", 19: "REFUSED_STREAM"}
        gate.open.set()
        assert list(Ends(raw, *range(1, 17, 2)).status.values()) == [200] * 8
        raw.send(b"".join(  # as many as it likes, one after another
            frame(HEADERS, END_HEADERS | END_STREAM, i, b"\x82\x86\x84\x01\x01a") +
            frame(RST_STREAM, 0, i, struct.pack(">I", 8)) for i in range(21, 81, 2)))
        raw.headers(81, get("/fast"))
        assert Ends(raw, 81).status == {81: 200}
    wait_until(lambda: active(proxy) == 0)


def test_streams_over_the_limit_again_and_again_are_a_flood(http_proxy):
    proxy = http_proxy(Gate(), limits={"streams": 8, "resets": 10})
    with open_raw(proxy) as raw:
        raw.send(frame(SETTINGS, ACK))
        for i in range(1, 401, 2):
            raw.headers(i, get())
        assert Ends(raw).goaways[0][0] == "ENHANCE_YOUR_CALM"
    wait_until(lambda: active(proxy) == 0)


def test_a_client_that_does_not_read_holds_its_response_alone(http_proxy):
    """The backend is stopped, the other streams go on, and nothing piles up."""
    gate = Gate()
    proxy = http_proxy(gate)
    with open_h2(proxy, hold=True) as client:
        assert client.ask(get("/fast")).status == 200
        before = proxy.memory()
        big = client.start(get("/big"))
        client.until(lambda: len(client.replies[big].body) == 65533)  # all of the connection's
        for _ in range(10):
            last, done = -1, 0
            while last != gate.sent:
                last = gate.sent
                done += 1
                other = client.start(get("/fast"))
                client.conn.increment_flow_control_window(100)
                client.flush()
                assert client.reply(other).status == 200
        assert gate.sent < 16 << 20  # what the kernel holds between the two
        assert len(client.replies[big].body) <= 65535
        assert proxy.memory() - before < 4 << 20
        client.conn.increment_flow_control_window(1 << 20)
        client.conn.increment_flow_control_window(1 << 20, big)
        client.flush()
        client.until(lambda: len(client.replies[big].body) == 65535 + (1 << 20))


def test_a_backend_that_does_not_read_stops_its_stream_alone(http_proxy):
    let, seen = threading.Event(), []

    def serve(peer):
        while True:
            request = peer.head()
            if "/slow" in request.start:
                seen.append(request)
                let.wait(TIMEOUT_S)
                peer.buffer += b""
                total = int(request.get("Content-Length"))
                peer.exactly(total)
            peer.send(OK)
    proxy = http_proxy(serve)
    size = 32 << 20
    with open_h2(proxy) as client:
        client.ask(get("/fast"))
        before = proxy.memory()
        slow = client.start(get("/slow", method="POST", content_length=str(size)), end=False)
        sent = 0
        while True:
            room = min(client.conn.local_flow_control_window(slow), 16384, size - sent)
            if room:
                client.conn.send_data(slow, bytes(room), end_stream=sent + room == size)
                sent += room
                client.flush()
                assert sent < size
                continue
            # Each answer behind which no window came says that it stays shut for now.
            assert client.ask(get("/fast")).status == 200
            if seen and not client.conn.local_flow_control_window(slow) and \
                    all(client.ask(get("/fast")).status == 200 for _ in range(20)) and \
                    not client.conn.local_flow_control_window(slow):
                break
        assert proxy.memory() - before < 4 << 20
        let.set()
        while sent < size:
            client.until(lambda: client.conn.local_flow_control_window(slow))
            room = min(client.conn.local_flow_control_window(slow), 16384, size - sent)
            client.conn.send_data(slow, bytes(room), end_stream=sent + room == size)
            sent += room
            client.flush()
        assert client.reply(slow).status == 200


def test_padding_gives_its_window_back(http_proxy):
    def serve(peer):
        while True:
            bodies.append(peer.message().body)
            peer.send(OK)
    bodies = []
    proxy = http_proxy(serve)
    with open_h2(proxy) as client:
        stream = client.start(get(method="POST"), end=False)
        for _ in range(20000):  # 5 MB, of which nearly all is padding
            client.until(lambda: client.conn.local_flow_control_window(stream) >= 257)
            client.conn.send_data(stream, b"a", pad_length=255)
            client.flush()
        client.conn.end_stream(stream)
        client.flush()
        assert client.reply(stream).status == 200
    assert bodies == [b"a" * 20000]


def test_a_reset_frees_the_backend(http_proxy):
    gate = Gate()
    proxy = http_proxy(gate)
    with open_h2(proxy) as client:
        streams = [client.start(get("/wait")), client.start(get("/big")),
                   client.start(get("/wait", method="POST"), end=False)]
        client.until(lambda: client.replies[streams[1]].fields)
        wait_until(lambda: active(proxy) == 3)
        for stream in streams:
            client.conn.reset_stream(stream, 8)
        client.flush()
        wait_until(lambda: active(proxy) == 0)
        wait_until(lambda: gate.ended == 3)
        assert client.ask(get("/fast")).status == 200
        assert proxy.counter("aborted") == 3


def test_a_response_before_the_end_of_the_request(http_proxy):
    def serve(peer):
        peer.head()
        peer.send("HTTP/1.1 403 Forbidden\r\nContent-Length: 2\r\n\r\nno")
        peer.to_end()
    proxy = http_proxy(serve)
    with open_h2(proxy) as client:
        stream = client.start(get(method="POST", content_length="100000"), end=False)
        client.conn.send_data(stream, b"x" * 1000)
        client.flush()
        reply = client.reply(stream)
        assert (reply.status, reply.body) == (403, b"no")
        client.until(lambda: reply.error)
        assert reply.error == "NO_ERROR"  # RFC 9113, 8.1
        assert client.ask(get()).status == 403


@pytest.mark.parametrize("method", ["GET", "HEAD"])
@pytest.mark.parametrize("head,status,length", [
    ("200 OK\r\nContent-Length: 2", 200, "2"), ("204 No Content", 204, None),
    ("304 Not Modified\r\nContent-Length: 2", 304, "2")])
def test_responses_without_a_body(http_proxy, method, head, status, length):
    has_body = method == "GET" and status == 200

    def serve(peer):
        while True:
            peer.head()
            peer.send(f"HTTP/1.1 {head}\r\n\r\n" + ("hi" if has_body else ""))
    proxy = http_proxy(serve)
    with open_h2(proxy) as client:
        for _ in range(2):
            reply = client.ask(get(method=method))
            assert (reply.status, reply.body, reply.get("content-length"), reply.error) == \
                (status, b"hi" if has_body else b"", length, None)
    assert proxy.scripts[0].connections == 1


def test_interim_responses_and_an_awaited_body(http_proxy):
    def serve(peer):
        while True:
            head = peer.head()
            assert head.get("Expect") == "100-continue"
            peer.send("HTTP/1.1 103 Early Hints\r\nLink: </a>\r\n\r\n"
                      "HTTP/1.1 100 Continue\r\n\r\n")
            assert peer.exactly(3) == b"abc"
            peer.send(OK)
    proxy = http_proxy(serve)
    with open_h2(proxy) as client:
        stream = client.start(get(method="POST", expect="100-continue", content_length="3"),
                              end=False)
        reply = client.replies[stream]
        client.until(lambda: len(reply.interim) == 2)
        assert [dict(fields)[":status"] for fields in reply.interim] == ["103", "100"]
        assert dict(reply.interim[0])["link"] == "</a>"
        client.send_body(stream, b"abc")
        assert client.reply(stream).status == 200


def test_a_large_header_of_a_response(http_proxy):
    value = "x" * 10000

    def serve(peer):
        while True:
            peer.head()
            peer.send("HTTP/1.1 200 OK\r\nContent-Length: 0\r\n" +
                      "".join(f"A{i}: {value}\r\n" for i in range(3)) + "\r\n")
    proxy = http_proxy(serve)
    with open_h2(proxy) as client:
        for _ in range(3):
            assert client.ask(get()).get("a2") == value


def test_trailers_both_ways(http_proxy):
    seen = []

    def serve(peer):
        while True:
            seen.append(peer.message())
            peer.send(CHUNKED + "\r\n2\r\nhi\r\n0\r\nX-Sum: 7\r\nGrpc-Status: 0\r\n\r\n")
    proxy = http_proxy(serve)
    with open_h2(proxy) as client:
        for body in (b"abc", b""):
            stream = client.start(get(method="POST", te="trailers"), end=False)
            if body:
                client.send_body(stream, body, end=False)
            client.conn.send_headers(stream, [("x-check", "9")], end_stream=True)
            client.flush()
            reply = client.reply(stream)
            assert (reply.status, reply.body) == (200, b"hi")
            assert reply.trailers == [("x-sum", "7"), ("grpc-status", "0")]
            request = seen.pop()
            assert (request.body, request.trailers) == (body, [("x-check", "9")])


def test_a_response_cut_short(http_proxy):
    def serve(peer):
        peer.head()
        peer.send("HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\nhalf")
    proxy = http_proxy(serve)
    with open_h2(proxy) as client:
        reply = client.ask(get())
        assert (reply.status, reply.ended, reply.error) == (200, False, "INTERNAL_ERROR")
        assert client.ask(get()).status == 200


def test_the_last_request(http_proxy):
    """Streams that were on their way when the connection had had its requests are served still."""
    gate = Gate()
    proxy = http_proxy(gate, limits={"requests": 3})
    with open_raw(proxy) as raw:
        for i in range(1, 13, 2):
            raw.headers(i, get())
        wait_until(lambda: active(proxy) == 6)
        gate.open.set()
        ends = Ends(raw)
        assert ends.status == {i: 200 for i in range(1, 13, 2)}
        assert ends.goaways == [("NO_ERROR", 2 ** 31 - 1), ("NO_ERROR", 11)]


def test_a_client_that_does_not_take_the_hint(http_proxy):
    """Who goes on without a look at GOAWAY is not served for ever."""
    proxy = http_proxy(limits={"requests": 3, "streams": 5})
    with open_raw(proxy) as raw:
        with pytest.raises((OSError, AssertionError)):
            for i in range(1, 201, 2):
                raw.headers(i, get())
                assert (got := raw.until(HEADERS)) and got.stream == i
    assert proxy.counter("requests") <= 3 + 5
    proxy.wait_counter("open_connections", 0)


@pytest.mark.parametrize("how", ["term", "reload"])
def test_a_drain_loses_no_stream(http_proxy, how):
    gate = Gate()
    proxy = http_proxy(gate)
    with open_raw(proxy) as raw:
        for i in (1, 3, 5):
            raw.headers(i, get())
        wait_until(lambda: active(proxy) == 3)
        if how == "term":
            proxy.daemon.signal(signal.SIGTERM)
        else:
            proxy.config["services"]["other"] = {
                **proxy.config["services"].pop("web"), "listen": ["127.0.0.1:1/tcp"]}
            proxy.daemon.reload(proxy.config)
        got = raw.until(GOAWAY)
        assert (got.error, got.payload[:4]) == ("NO_ERROR", b"\x7f\xff\xff\xff")
        raw.headers(7, get())  # as if it had been on its way
        raw.send(frame(PING, ACK, 0, raw.until(PING).payload))
        gate.open.set()
        ends = Ends(raw)
        assert ends.status == {i: 200 for i in (1, 3, 5, 7)}
        assert (ends.goaways, ends.ended) == ([("NO_ERROR", 7)], True)
    if how == "term":
        proxy.daemon.wait_exit()


SHORT = {name: "300ms" for name in ("request_header", "request_body", "idle")}


def test_half_a_header_is_waited_for_in_vain(http_proxy):
    proxy = http_proxy(timeouts=SHORT)
    with open_raw(proxy) as raw:
        raw.send(frame(HEADERS, 0, 1, b"\x82"))
        raw.send(frame(CONTINUATION, 0, 1, b"\x86"))
        assert raw.until(GOAWAY).error == "NO_ERROR"
        assert raw.next() is None


def test_a_first_request_in_one_packet_with_the_preface_may_take_its_time(http_proxy):
    gate = Gate()
    proxy = http_proxy(gate, timeouts=SHORT)
    with proxy.connect() as peer:
        raw = RawH2.__new__(RawH2)
        raw.peer, raw.decoder = peer, hpack.Decoder()
        raw.send(PREFACE + frame(SETTINGS) +
                 frame(HEADERS, END_HEADERS | END_STREAM, 1, b"\x82\x86\x84\x01\x01a"))
        peer.sock.settimeout(0.7)
        with pytest.raises(TimeoutError):
            raw.until(GOAWAY)
        peer.sock.settimeout(TIMEOUT_S)
        gate.open.set()
        assert raw.until(HEADERS, GOAWAY).kind == HEADERS


@pytest.mark.parametrize("first", [b"", frame(PING, 0, 0, bytes(8))])
def test_a_connection_without_a_request_ends(http_proxy, first):
    proxy = http_proxy(timeouts=SHORT)
    with open_raw(proxy) as raw:
        raw.send(first)
        assert raw.until(GOAWAY).error == "NO_ERROR"
        assert raw.next() is None


def test_a_refused_request_is_not_waited_for(http_proxy):
    """Streams under way go on, however long that takes."""
    gate = Gate()
    proxy = http_proxy(gate, timeouts={"request_header": "200ms", "idle": "200ms"})
    with open_raw(proxy) as raw:
        raw.headers(1, get())
        wait_until(lambda: active(proxy) == 1)
        raw.headers(3, get(Upper="x"))
        assert raw.until(RST_STREAM).stream == 3
        raw.send(frame(HEADERS, END_HEADERS | END_STREAM, 3))  # as if for trailers
        raw.peer.sock.settimeout(0.6)
        with pytest.raises(TimeoutError):
            raw.until(GOAWAY)
        raw.peer.sock.settimeout(TIMEOUT_S)
        gate.open.set()
        assert raw.until(HEADERS, GOAWAY).kind == HEADERS


def test_a_body_that_does_not_come(http_proxy):
    def serve(peer):
        if "POST" in peer.head().start:
            peer.to_end()
        peer.send(OK)
    proxy = http_proxy(serve, timeouts={"request_body": "300ms"})
    with open_h2(proxy) as client:
        stream = client.start(get(method="POST"), end=False)
        reply = client.reply(stream)
        assert reply.status == 408
        client.until(lambda: reply.error)
        assert client.ask(get()).status == 200


def test_what_was_sent_before_a_reset_is_not_begun(http_proxy):
    """A request and its reset in one packet cost no backend."""
    proxy = http_proxy(answer_ok)
    with open_raw(proxy) as raw:
        raw.send(b"".join(frame(HEADERS, END_HEADERS | END_STREAM, i, b"\x82\x86\x84\x01\x01a") +
                          frame(RST_STREAM, 0, i, b"\0\0\0\x08") for i in range(1, 41, 2)))
        raw.headers(41, get())
        assert raw.until(HEADERS).stream == 41
    assert proxy.daemon.ctl_json("backend", "list")["backends"][0]["http"]["requests"] == 1


def h2load(proxy, requests, *args):
    return subprocess.Popen(["h2load", "-n", str(requests), "-c", "10", "-m", "20", *args,
                             f"http://127.0.0.1:{proxy.port}/"],
                            stdout=subprocess.PIPE, stderr=subprocess.STDOUT)


def test_reloads_under_load_lose_nothing(http_proxy):
    proxy = http_proxy(answer_ok, workers=2)
    load = h2load(proxy, 20000)
    reloads = 0
    while load.poll() is None:
        reloads += 1
        proxy.config["services"]["web"]["limits"] = {"header_count": 100 + reloads}
        proxy.daemon.reload(proxy.config)
    out = load.stdout.read()
    assert b"20000 succeeded, 0 failed, 0 errored" in out, out
    assert reloads > 1


def test_clients_that_vanish_leave_nothing(http_proxy):
    """Killed in the midst of many streams, again and again."""
    proxy = http_proxy(answer_ok, workers=2)
    with open_h2(proxy) as client:
        for i in range(10):
            seen = proxy.counter("requests")
            load = h2load(proxy, 1000000)
            wait_until(lambda seen=seen, i=i: proxy.counter("requests") > seen + 100 * i)
            load.kill()
            load.wait()
            assert client.ask(get()).status == 200
    proxy.wait_counter("open_connections", 0)
    wait_until(lambda: active(proxy) == 0)
