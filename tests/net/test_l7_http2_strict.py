# SPDX-License-Identifier: BSD-2-Clause
"""What an HTTP/2 client may not say, and the frame and code that it is told so by (RFC 9113)."""
import socket
import struct

import pytest

from h2peer import ACK, CONTINUATION, DATA, END_HEADERS, END_STREAM, GOAWAY, HEADERS, PING, \
    PREFACE, PRIORITY, PUSH_PROMISE, RST_STREAM, SETTINGS, WINDOW_UPDATE, RawH2, frame, \
    open_raw
from http1 import OK
from lab import wait_until

M, S, A, P = (":method", "GET"), (":scheme", "http"), (":authority", "a"), (":path", "/")
GET = [M, S, A, P]
POST = [(":method", "POST"), S, A, P]
CONNECT = (":method", "CONNECT")
PADDED = 8


def path(text):
    return [M, S, A, (":path", text)]


def authority(text):
    return [M, S, (":authority", text), P]


RESET = "PROTOCOL_ERROR"  # a malformed request (8.1.1); those answered are malformed in HTTP's eyes
REFUSED = {
    "no method": ([S, A, P], RESET),
    "no scheme": ([M, A, P], RESET),
    "no path": ([M, S, A], RESET),
    "no authority, no host": ([M, S, P], RESET),
    "no pseudo field": ([("a", "b")], RESET),
    "method twice": ([M, M, S, A, P], RESET),
    "scheme twice": ([M, S, S, A, P], RESET),
    "authority twice": ([M, S, A, A, P], RESET),
    "path twice": ([M, S, A, P, P], RESET),
    "pseudo field behind another": ([M, S, A, ("a", "b"), P], RESET),
    "pseudo field at the end": (GET + [("a", "b"), (":authority", "a")], RESET),
    "unknown pseudo field": (GET + [(":a", "b")], RESET),
    "empty pseudo field": (GET + [(":", "b")], RESET),
    "status": (GET + [(":status", "200")], RESET),
    "upper case pseudo field": ([(":Method", "GET"), S, A, P], RESET),
    "protocol without CONNECT": (GET + [(":protocol", "websocket")], RESET),
    "empty method": ([(":method", ""), S, A, P], RESET),
    "space in method": ([(":method", "GE T"), S, A, P], RESET),
    "line end in method": ([(":method", "GET\r\n"), S, A, P], RESET),
    "bad scheme": ([M, (":scheme", "ht tp"), A, P], RESET),
    "other scheme": ([M, (":scheme", "ftp"), A, P], 400),
    "empty scheme": ([M, (":scheme", ""), A, P], RESET),
    "empty path": (path(""), RESET),
    "path without slash": (path("a"), RESET),
    "absolute path": (path("http://a/"), RESET),
    "asterisk for GET": (path("*"), RESET),
    "asterisk and more": ([(":method", "OPTIONS"), S, A, (":path", "*a")], RESET),
    "query alone": (path("?a"), RESET),
    "fragment": (path("/a#b"), 400),
    "space in path": (path("/a b"), RESET),
    "tab in path": (path("/a\tb"), RESET),
    "line end in path": (path("/a\r\nb: c"), RESET),
    "zero byte in path": (path("/a\0"), RESET),
    "delete in path": (path("/a\x7f"), RESET),
    "high byte in path": (path(b"/a\xff"), 400),
    "backslash in path": (path("/a\\b"), 400),
    "dots above the root": (path("/../a"), 400),
    "half an escape": (path("/a%2"), 400),
    "escaped zero byte": (path("/a%00b"), 400),
    "long path": (path("/" + "a" * 9000), 414),
    "user in authority": (authority("u@a"), 400),
    "user and password": (authority("u:p@a"), 400),
    "comma in authority": (authority("a,b"), 400),
    "space in authority": (authority("a b"), RESET),
    "path in authority": (authority("a/b"), RESET),
    "bad port in authority": (authority("a:b"), 400),
    "line end in authority": (authority("a\r\nb"), RESET),
    "zero byte in authority": (authority("a\0b"), RESET),
    "empty authority": (authority(""), RESET),
    "open bracket": (authority("[::1"), 400),
    "authority against host": (GET + [("host", "b")], 400),
    "authority against host, by port": (GET + [("host", "a:81")], 400),
    "two hosts": (GET + [("host", "a"), ("host", "a")], RESET),
    "two hosts without authority": ([M, S, P, ("host", "a"), ("host", "b")], RESET),
    "empty host": ([M, S, P, ("host", "")], RESET),
    "bad host": ([M, S, P, ("host", "a,b")], 400),
    "upper case name": (GET + [("A", "b")], RESET),
    "empty name": (GET + [("", "b")], RESET),
    "space in name": (GET + [("a b", "c")], RESET),
    "space before colon": (GET + [("a ", "b")], RESET),
    "colon in name": (GET + [("a:b", "c")], RESET),
    "line end in name": (GET + [("a\r\nb", "c")], RESET),
    "zero byte in name": (GET + [("a\0", "b")], RESET),
    "high byte in name": (GET + [(b"a\xff", "b")], RESET),
    "carriage return in value": (GET + [("a", "b\rc")], RESET),
    "line feed in value": (GET + [("a", "b\nc")], RESET),
    "smuggled field": (GET + [("a", "b\r\ntransfer-encoding: chunked")], RESET),
    "smuggled request": (GET + [("a", "b\r\n\r\nGET /smuggled HTTP/1.1\r\nhost: a")], RESET),
    "zero byte in value": (GET + [("a", "b\0")], RESET),
    "control byte in value": (GET + [("a", "b\x01c")], RESET),
    "leading space": (GET + [("a", " b")], RESET),
    "trailing space": (GET + [("a", "b ")], RESET),
    "leading tab": (GET + [("a", "\tb")], RESET),
    "trailing tab": (GET + [("a", "b\t")], RESET),
    "connection": (GET + [("connection", "close")], RESET),
    "keep-alive": (GET + [("keep-alive", "timeout=1")], RESET),
    "proxy-connection": (GET + [("proxy-connection", "close")], RESET),
    "upgrade": (GET + [("upgrade", "websocket")], RESET),
    "transfer-encoding": (POST + [("transfer-encoding", "chunked")], RESET),
    "te": (GET + [("te", "gzip")], RESET),
    "te, trailers and more": (GET + [("te", "trailers, gzip")], RESET),
    "length of nothing": (POST + [("content-length", "1")], RESET),
    "negative length": (POST + [("content-length", "-1")], RESET),
    "signed length": (POST + [("content-length", "+0")], RESET),
    "empty length": (POST + [("content-length", "")], RESET),
    "hexadecimal length": (POST + [("content-length", "0x0")], RESET),
    "list of lengths": (POST + [("content-length", "0, 0")], RESET),
    "two lengths": (POST + [("content-length", "0"), ("content-length", "0")], RESET),
    "length beyond 64 bits": (POST + [("content-length", "99999999999999999999")], RESET),
    "unknown expectation": (GET + [("expect", "the unexpected")], 417),
    "many fields": (GET + [(f"a{i}", "b") for i in range(101)], 431),
    "many crumbs": (GET + [("cookie", "a=b")] * 101, 431),
    "large header": (GET + [(f"a{i}", "x" * 8000) for i in range(5)], 431),
    "CONNECT": ([CONNECT, (":authority", "a:443")], 405),
    "CONNECT with a path": ([CONNECT, (":authority", "a:443"), S, P], RESET),
    "CONNECT without authority": ([CONNECT], RESET),
    "extended CONNECT that was not offered":
        ([CONNECT, S, A, P, (":protocol", "websocket")], RESET),
}


@pytest.fixture
def strict(http_proxy):
    """A proxy; done: what came to its backend, whole or not."""
    done = []

    def serve(peer):
        while True:
            done.append(peer.head().start)
            peer.send(OK)
    proxy = http_proxy(serve, upgrades=[])
    proxy.done = done
    return proxy


class Strict(RawH2):
    """Streams one after the other, and what becomes of them."""
    stream = -1

    def open(self, fields, flags=END_HEADERS | END_STREAM):
        self.stream += 2
        self.headers(self.stream, fields, flags)
        return self.stream

    def outcome(self, stream):
        """A status, or the code of RST_STREAM."""
        got = self.next()
        while got and not (got.stream == stream and got.kind in (HEADERS, RST_STREAM)):
            assert got.kind != GOAWAY, got.error
            got = self.next()
        assert got, "the connection ended"
        return got.error if got.kind == RST_STREAM else int(dict(self.fields(got))[":status"])

    def fate(self):
        """The code of GOAWAY; the connection must end then."""
        got = self.until(GOAWAY)
        assert got, "it ended without GOAWAY"
        assert self.until(HEADERS) is None
        return got.error

    def is_fine(self):
        """It serves still."""
        stream = self.open(GET)
        assert self.outcome(stream) == 200
        return True


def open_strict(proxy, **kw):
    raw = open_raw(proxy, **kw)
    raw.__class__ = Strict
    return raw


def check(table, outcome):
    """outcome() of a row's other columns must be what its last one says."""
    wrong = []
    for name, (*row, want) in table.items():
        try:
            got = outcome(*row)
        except (AssertionError, EOFError, OSError) as exc:
            got = repr(exc)
        if got != want:
            wrong.append(f"{name}: {got}, not {want}")
    assert not wrong, "\n".join(wrong)


def test_refused_requests(strict):
    with open_strict(strict) as raw:
        def outcome(fields):
            got = raw.outcome(raw.open(fields))
            if strict.done:
                return "it came to the backend: " + strict.done.pop()
            assert raw.is_fine() and strict.done.pop() == "GET / HTTP/1.1"
            return got
        check(REFUSED, outcome)
    answered = sum(isinstance(want, int) for _, want in REFUSED.values())
    assert strict.counter("local_errors") == answered
    assert strict.counter("connections") == 1


ACCEPTED = {
    "cookie crumbs": (GET + [("cookie", "a=1"), ("x", "y"), ("cookie", "b=2"), ("cookie", "c")],
                      ("Cookie", "a=1; b=2; c")),
    "one cookie": (GET + [("cookie", "a=1; b=2")], ("Cookie", "a=1; b=2")),
    "host like the authority": (GET + [("host", "A")], ("Host", "A")),
    "host alone": ([M, S, P, ("host", "b:81")], ("Host", "b:81")),
    "address as authority": (authority("[::1]:80"), ("Host", "[::1]:80")),
    "te": (GET + [("te", "trailers")], ("TE", "trailers")),
    "large header": (GET + [(f"a{i}", "x" * 10000) for i in range(3)], ("A2", "x" * 10000)),
    "many fields": (GET + [(f"a{i}", "b") for i in range(95)], ("A94", "b")),
    "empty value": (GET + [("a", "")], ("A", "")),
    "high bytes in value": (GET + [("a", b"\xc3\xa4\xff")], ("A", "\xc3\xa4\xff")),
    "tab in value": (GET + [("a", "b\tc")], ("A", "b\tc")),
    "length of nothing": (POST + [("content-length", "0")], ("Content-Length", "0")),
    "https": ([M, (":scheme", "https"), A, P], ("X-Forwarded-Proto", "http")),
    "options of all": ([(":method", "OPTIONS"), S, A, (":path", "*")],
                       (None, "OPTIONS * HTTP/1.1")),
    "path with dots": (path("/a/./b/../c?d=/../e"), (None, "GET /a/c?d=/../e HTTP/1.1")),
    "path with slashes": (path("/a//b"), (None, "GET /a/b HTTP/1.1")),
    "escaped dots": (path("/a/%2e%2e/b"), (None, "GET /b HTTP/1.1")),
    "forged client": (GET + [("x-forwarded-for", "192.0.2.1")], ("X-Forwarded-For", "127.0.0.1")),
}


def test_accepted_requests(http_proxy):
    seen = []

    def serve(peer):
        while True:
            seen.append(peer.message())
            peer.send(OK)
    proxy = http_proxy(serve)
    with open_strict(proxy) as raw:
        def outcome(fields, name_and_value):
            got = raw.outcome(raw.open(fields))
            if got != 200:
                return got
            request = seen.pop()
            name, value = name_and_value
            return (request.get(name) if name else request.start) == value or request
        check({name: (*row, True) for name, row in ACCEPTED.items()}, outcome)


def data(text, flags=0):
    return lambda stream: frame(DATA, flags, stream, text)


def trailers(*fields, flags=END_HEADERS | END_STREAM):
    """As HPACK literals that change no table."""
    block = b"".join(b"\0" + bytes([len(name)]) + name + bytes([len(value)]) + value
                     for name, value in fields)
    return lambda stream: frame(HEADERS, flags, stream, block)


def length(n):
    return [("content-length", str(n))]


BAD_BODIES = {
    "more than its length": (length(3), [data(b"abcd")], RESET),
    "less than its length": (length(3), [data(b"ab", END_STREAM)], RESET),
    "nothing instead of its length": (length(3), [data(b"", END_STREAM)], RESET),
    "trailers instead of its length": (length(3), [trailers((b"a", b"b"))], RESET),
    "over the limit": (length(101), [], 413),
    "over the limit, unannounced": ([], [data(b"x" * 101, END_STREAM)], 413),
    "pseudo field in trailers": ([], [data(b"a"), trailers((b":path", b"/"))], RESET),
    "upper case in trailers": ([], [data(b"a"), trailers((b"A", b"b"))], RESET),
    "connection in trailers": ([], [data(b"a"), trailers((b"connection", b"a"))], RESET),
    "line end in trailers": ([], [data(b"a"), trailers((b"a", b"b\r\nc: d"))], RESET),
    "trailers that end nothing":
        ([], [data(b"a"), trailers((b"a", b"b"), flags=END_HEADERS)], RESET),
    "window that overflows":
        ([], [lambda stream: frame(WINDOW_UPDATE, 0, stream, b"\x7f\xff\xff\xff")],
         "FLOW_CONTROL_ERROR"),
}


def test_more_than_was_announced(http_proxy):
    """The end of the body is where its length says, whatever still comes."""
    whole = []

    def serve(peer):
        while True:
            whole.append(peer.message().body)
    proxy = http_proxy(serve)
    with open_strict(proxy) as raw:
        for text, more in ((b"abc", b"d"), (b"", b"GET /smuggled HTTP/1.1\r\nHost: a\r\n\r\n")):
            stream = raw.open(POST + length(len(text)), END_HEADERS)
            raw.send(data(text)(stream))
            proxy.wait(lambda: whole)
            raw.send(data(more)(stream))
            assert raw.outcome(stream) == RESET
            assert whole.pop() == text
        assert not whole


def not_listening():
    """A socket at which connections are neither made nor refused."""
    full = socket.socket()
    full.bind(("127.0.0.1", 0))
    full.listen(0)
    waiting = []
    for _ in range(2):
        waiting.append(socket.socket())
        waiting[-1].setblocking(False)
        waiting[-1].connect_ex(full.getsockname())
    return full, waiting


def test_more_than_the_windows(http_proxy):
    full, waiting = not_listening()
    proxy = http_proxy(backends=[f"127.0.0.1:{full.getsockname()[1]}"],
                       pool={"connect_timeout": "60s"})
    chunk = bytes(16384)
    with open_strict(proxy) as raw:
        raw.until(SETTINGS)
        raw.send(frame(SETTINGS, ACK))  # the window is larger from now on
        stream = raw.open(POST, END_HEADERS)
        raw.send(frame(DATA, 0, stream, chunk) * 16)
        raw.send(frame(PING, 0, 0, bytes(8)))
        assert raw.until(PING, RST_STREAM).kind == PING
        raw.send(frame(DATA, 0, stream, b"a"))
        assert raw.outcome(stream) == "FLOW_CONTROL_ERROR"
        # What that one sent was forgotten, but the window of the connection is not larger yet.
        streams = [raw.open(POST, END_HEADERS) for _ in range(3)]
        for stream, count in zip(streams, (16, 16, 15)):
            raw.send(frame(DATA, 0, stream, chunk) * count)
        raw.send(frame(PING, 0, 0, bytes(8)))
        assert raw.until(PING, RST_STREAM, GOAWAY).kind == PING
        raw.send(frame(DATA, 0, streams[2], chunk))
        assert raw.fate() == "FLOW_CONTROL_ERROR"
    for sock in (*waiting, full):
        sock.close()


def test_bad_bodies(http_proxy):
    whole = []

    def serve(peer):
        while True:
            whole.append(peer.message())
            peer.send(OK)
    proxy = http_proxy(serve, limits={"body": 100})
    with open_strict(proxy) as raw:
        def outcome(fields, frames):
            stream = raw.open(POST + fields, END_HEADERS)
            raw.send(b"".join(make(stream) for make in frames))
            got = raw.outcome(stream)
            assert raw.is_fine()
            whole.pop()
            return got if not whole else f"its backend took it for whole: {whole.pop()}"
        check(BAD_BODIES, outcome)
    wait_until(lambda: proxy.daemon.ctl_json("backend", "list")["backends"][0]["http"]
               ["active_requests"] == 0)


def settings(*pairs):
    return frame(SETTINGS, 0, 0, b"".join(struct.pack(">HI", *pair) for pair in pairs))


# Behind three requests: stream 1 was answered, 3 is being sent, 5 waits for its response.
FATAL = {
    "large frame": (frame(DATA, 0, 3, bytes(16385)), "FRAME_SIZE_ERROR"),
    "large header": (frame(HEADERS, END_HEADERS, 7, bytes(16385)), "FRAME_SIZE_ERROR"),
    "short ping": (frame(PING, 0, 0, bytes(7)), "FRAME_SIZE_ERROR"),
    "long ping": (frame(PING, 0, 0, bytes(9)), "FRAME_SIZE_ERROR"),
    "ping of a stream": (frame(PING, 0, 3, bytes(8)), RESET),
    "part of a setting": (frame(SETTINGS, 0, 0, bytes(5)), "FRAME_SIZE_ERROR"),
    "acknowledgement with settings": (frame(SETTINGS, ACK, 0, bytes(6)), "FRAME_SIZE_ERROR"),
    "settings of a stream": (frame(SETTINGS, 0, 3), RESET),
    "push that is neither on nor off": (settings((2, 2)), RESET),
    "large initial window": (settings((4, 1 << 31)), "FLOW_CONTROL_ERROR"),
    "small largest frame": (settings((5, 16383)), RESET),
    "large largest frame": (settings((5, 1 << 24)), RESET),
    "connect protocol that is neither on nor off": (settings((8, 2)), RESET),
    "window of nothing, of a stream": (frame(WINDOW_UPDATE, 0, 3, bytes(4)), RESET),
    "short reset": (frame(RST_STREAM, 0, 3, bytes(3)), "FRAME_SIZE_ERROR"),
    "reset of no stream": (frame(RST_STREAM, 0, 0, bytes(4)), RESET),
    "reset of an idle stream": (frame(RST_STREAM, 0, 7, bytes(4)), RESET),
    "short window": (frame(WINDOW_UPDATE, 0, 3, bytes(3)), "FRAME_SIZE_ERROR"),
    "window of an idle stream": (frame(WINDOW_UPDATE, 0, 7, b"\0\0\0\1"), RESET),
    "window of nothing": (frame(WINDOW_UPDATE, 0, 0, bytes(4)), RESET),
    "window that overflows":
        (frame(WINDOW_UPDATE, 0, 0, b"\x7f\xff\xff\xff"), "FLOW_CONTROL_ERROR"),
    "short goaway": (frame(GOAWAY, 0, 0, bytes(7)), "FRAME_SIZE_ERROR"),
    "goaway of a stream": (frame(GOAWAY, 0, 3, bytes(8)), RESET),
    "data of no stream": (frame(DATA, 0, 0, b"a"), RESET),
    "data of an idle stream": (frame(DATA, 0, 7, b"a"), RESET),
    "data behind the end": (frame(DATA, 0, 5, b"a"), "STREAM_CLOSED"),
    "header behind the end": (frame(HEADERS, END_HEADERS | END_STREAM, 5), "STREAM_CLOSED"),
    "padding of all and more": (frame(DATA, PADDED, 3, b"\2a"), RESET),
    "padded without padding": (frame(DATA, PADDED, 3), RESET),
    "header of padding and more":
        (frame(HEADERS, PADDED | END_HEADERS, 7, b"\3\x82"), RESET),
    "header of no stream": (frame(HEADERS, END_HEADERS, 0, b"\x82"), RESET),
    "even stream": (frame(HEADERS, END_HEADERS, 8, b"\x82"), RESET),
    "push": (frame(PUSH_PROMISE, END_HEADERS, 3, b"\0\0\0\2\x82"), RESET),
    "continuation of nothing": (frame(CONTINUATION, END_HEADERS, 3, b"\x82"), RESET),
    "something else within a header":
        (frame(HEADERS, 0, 7, b"\x82") + frame(PING, 0, 0, bytes(8)), RESET),
    "unknown frame within a header":
        (frame(HEADERS, 0, 7, b"\x82") + frame(0x42, 0, 7), RESET),
    "continuation of another stream":
        (frame(HEADERS, 0, 7, b"\x82") + frame(CONTINUATION, END_HEADERS, 9, b"\x84"), RESET),
    "unknown index": (frame(HEADERS, END_HEADERS, 7, b"\xfe"), "COMPRESSION_ERROR"),
    "index of nothing": (frame(HEADERS, END_HEADERS, 7, b"\x80"), "COMPRESSION_ERROR"),
    "endless number": (frame(HEADERS, END_HEADERS, 7, b"\xff" * 12), "COMPRESSION_ERROR"),
    "half a string": (frame(HEADERS, END_HEADERS, 7, b"\0\5ab"), "COMPRESSION_ERROR"),
    "bad Huffman code": (frame(HEADERS, END_HEADERS, 7, b"\0\x84\xff\xff\xff\xff"),
                         "COMPRESSION_ERROR"),
    "table of too many bytes": (frame(HEADERS, END_HEADERS, 7, b"\x3f\xe2\x1f\x82"),
                                "COMPRESSION_ERROR"),
    "table size behind a field": (frame(HEADERS, END_HEADERS, 7, b"\x82\x20"),
                                  "COMPRESSION_ERROR"),
    "bad code in trailers": (frame(HEADERS, END_HEADERS | END_STREAM, 3, b"\x80"),
                             "COMPRESSION_ERROR"),
}


def serve_but_wait(peer):
    while True:
        if "/wait" in peer.message().start:
            peer.to_end()
        peer.send(OK)


def test_errors_of_the_connection(http_proxy):
    proxy = http_proxy(serve_but_wait)

    def outcome(frames):
        with open_strict(proxy) as raw:
            assert raw.is_fine()
            raw.open(POST, END_HEADERS)
            raw.open(path("/wait"))
            raw.send(frames)
            return raw.fate()
    check(FATAL, outcome)
    proxy.wait_counter("open_connections", 0)
    wait_until(lambda: proxy.daemon.ctl_json("backend", "list")["backends"][0]["http"]
               ["active_requests"] == 0)


# Behind four requests: stream 1 was answered, 3 was passed over, 5 is being sent, 7 waits.
HARMLESS = {
    "unknown frame": frame(0x42, 0xff, 0, b"abc") + frame(0x42, 0xff, 5, b"abc"),
    "unknown setting": settings((0x42, 7)),
    "unknown flags": frame(PING, 0xfe, 0, bytes(8)),
    "reserved bit": frame(PING, 0, 1 << 31, bytes(8)),
    "priority": frame(PRIORITY, 0, 5, b"\0\0\0\1\x10"),
    "priority of an idle stream": frame(PRIORITY, 0, 99, b"\0\0\0\1\x10"),
    "priority that depends on itself": frame(PRIORITY, 0, 5, b"\0\0\0\5\x10"),
    "window of a stream that was answered": frame(WINDOW_UPDATE, 0, 1, b"\0\0\0\1"),
    "reset of a stream that was answered": frame(RST_STREAM, 0, 1, bytes(4)),
    "padding alone": frame(DATA, PADDED, 5, b"\x10" + bytes(16)),
    "acknowledgement of a ping": frame(PING, ACK, 0, bytes(8)),
    "no push": settings((2, 0)),
    "priority update": frame(0x10, 0, 0, b"\0\0\0\3u=1"),
    "data of a stream that was answered": frame(DATA, 0, 1, b"a"),
    "stream that was passed over":
        frame(HEADERS, END_HEADERS | END_STREAM, 3, b"\x82\x86\x84\x01\1a"),
    "small table": settings((1, 0)),
    "no settings": settings(),
}


def test_what_means_nothing(http_proxy):
    proxy = http_proxy(serve_but_wait)
    with open_strict(proxy) as raw:
        assert raw.is_fine()
        raw.stream += 2  # 3, which is never used
        raw.open(POST, END_HEADERS)
        raw.open(path("/wait"))

        def outcome(frames):
            raw.send(frames)
            return raw.is_fine()
        check({name: (row, True) for name, row in HARMLESS.items()}, outcome)
    assert proxy.counter("connections") == 1


def test_ping_is_answered(http_proxy):
    with open_strict(http_proxy()) as raw:
        raw.send(frame(PING, 0, 0, b"12345678"))
        got = raw.until(PING)
        assert (got.flags, got.payload) == (ACK, b"12345678")


def test_the_preface_must_be_followed_by_settings(http_proxy):
    proxy = http_proxy()
    with proxy.connect() as peer:
        peer.send(PREFACE + frame(PING, 0, 0, bytes(8)))
        raw = Strict.__new__(Strict)
        raw.peer = peer
        assert raw.fate() == RESET


