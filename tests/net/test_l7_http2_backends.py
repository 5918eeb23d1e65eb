# SPDX-License-Identifier: BSD-2-Clause
"""HTTP/2 to backends: requests of clients of any version over shared connections."""
import contextlib
import os
import ssl
import threading

import h2.events
import pytest

from certs import TlsScript
from h2peer import H2Client, H2Server, Request, get, h2_serve, open_h2
from http1 import connect
from lab import TIMEOUT_S, wait_until

POOL = {"protocol": "http2"}
GET = "GET /x HTTP/1.1\r\nHost: example.org\r\n\r\n"


def test_an_http1_client(http_proxy):
    made = []
    proxy = http_proxy(h2_serve(made=made), pool=POOL)
    with proxy.connect() as client:
        for _ in range(5):
            reply = client.ask(GET)
            assert (reply.status, reply.body, reply.get("Content-Length")) == (200, b"hi", "2")
    assert proxy.scripts[0].connections == 1
    request = made[0].requests[1]
    assert request.fields[:4] == [(":authority", "example.org"), (":method", "GET"),
                                  (":scheme", "http"), (":path", "/x")]
    assert (request.get("via"), request.get("x-forwarded-proto")) == ("1.1 shunt", "http")
    assert not {"host", "connection", "transfer-encoding"} & {k for k, _ in request.fields}


def test_an_http2_client(http_proxy):
    made = []
    proxy = http_proxy(h2_serve(made=made), pool=POOL)
    with open_h2(proxy) as client:
        streams = [client.start(get(f"/{i}", te="trailers")) for i in range(50)]
        assert [client.reply(s).body for s in streams] == [b"hi"] * 50
    assert proxy.scripts[0].connections == 1
    assert sorted(r.get(":path") for r in made[0].requests.values()) == \
        sorted(f"/{i}" for i in range(50))
    assert made[0].requests[1].get("te") == "trailers"


def test_a_length_that_is_not_said(http_proxy):
    def respond(server, request):
        server.reply(request, body=b"x" * 1000 if request.get(":path") == "/x" else b"")
    proxy = http_proxy(h2_serve(respond), pool=POOL)
    with proxy.connect() as client:
        reply = client.ask(GET)
        assert (reply.body, reply.get("Transfer-Encoding")) == (b"x" * 1000, "chunked")
        reply = client.ask(GET.replace("/x", "/none"))
        assert (reply.status, reply.get("Content-Length")) == (200, "0")
        reply = client.ask(GET.replace("GET", "HEAD"), no_body=True)
        assert reply.status == 200
        assert client.ask(GET).body == b"x" * 1000


@pytest.mark.parametrize("size", [0, 1, 60000])
@pytest.mark.parametrize("chunked", [False, True])
def test_bodies(http_proxy, size, chunked):
    body = os.urandom(size)
    seen = []

    def respond(server, request):
        seen.append(request)
        server.reply(request, body=bytes(request.body))
    proxy = http_proxy(h2_serve(respond), pool=POOL)
    head = "POST / HTTP/1.1\r\nHost: a\r\n"
    with proxy.connect() as client:
        if chunked:
            client.send(head + "Transfer-Encoding: chunked\r\n\r\n")
            if body:
                client.send(b"%x\r\n%s\r\n" % (size, body))
            client.send("0\r\n\r\n")
        else:
            client.send(head + f"Content-Length: {size}\r\n\r\n")
            client.send(body)
        assert client.message().body == body
    assert seen[0].get("content-length") == (None if chunked else str(size))


def test_a_large_body_each_way(http_proxy, lab, free_port):
    """Past every window, with a backend that is not ours."""
    big = os.urandom(3 << 20)
    root = lab.path("root")
    os.mkdir(root)
    with open(os.path.join(root, "big"), "wb") as f:
        f.write(big)
    port = free_port()
    with open(lab.path("nghttpd.log"), "wb") as log:
        lab.popen(["nghttpd", "--no-tls", "--echo-upload", "-d", root, str(port)],
                  stdout=log, stderr=log)
    proxy = http_proxy(backends=[f"127.0.0.1:{port}"], pool=POOL)
    proxy.wait(lambda: proxy.ask(GET).status == 404)
    assert proxy.ask(GET.replace("/x", "/big")).body == big
    with open_h2(proxy) as client:
        reply = client.ask(get("/big", method="POST"), big)
        assert bytes(reply.body) == big
        assert bytes(client.ask(get("/big")).body) == big


def test_trailers_both_ways(http_proxy):
    seen = []

    def respond(server, request):
        seen.append(request)
        server.reply(request, body=b"hi", trailers=[("grpc-status", "0"), ("x-sum", "1")])
    proxy = http_proxy(h2_serve(respond), pool=POOL)
    with open_h2(proxy) as client:
        stream = client.start(get(method="POST", te="trailers"), end=False)
        client.send_body(stream, b"abc", end=False)
        client.conn.send_headers(stream, [("x-end", "yes")], end_stream=True)
        client.flush()
        reply = client.reply(stream)
        assert (reply.body, reply.trailers) == (b"hi", [("grpc-status", "0"), ("x-sum", "1")])
    assert (bytes(seen[0].body), seen[0].trailers) == (b"abc", [("x-end", "yes")])
    with proxy.connect() as client:
        client.send("POST / HTTP/1.1\r\nHost: a\r\nTE: trailers\r\n"
                    "Transfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n0\r\nX-End: yes\r\n\r\n")
        reply = client.message()
        assert (reply.body, reply.trailers) == (b"hi", [("grpc-status", "0"), ("x-sum", "1")])
    assert seen[1].trailers == [("x-end", "yes")]


def test_interim_responses(http_proxy):
    def respond(server, request):
        server.conn.send_headers(request.stream, [(":status", "103"), ("link", "</a>")])
        server.conn.send_headers(request.stream, [(":status", "103"), ("link", "</b>")])
        server.reply(request, body=b"hi", content_length="2")
    proxy = http_proxy(h2_serve(respond), pool=POOL)
    with proxy.connect() as client:
        client.send(GET)
        links = [(m.status, m.get("Link")) for m in (client.head(), client.head())]
        assert links == [(103, "</a>"), (103, "</b>")]
        assert client.message().body == b"hi"
    with open_h2(proxy) as client:
        reply = client.ask(get())
        assert [dict(i)["link"] for i in reply.interim] == ["</a>", "</b>"]
        assert reply.body == b"hi"


def test_streams_of_one_connection_are_limited(http_proxy):
    """By the pool, and by what the backend says: more connections, not more streams."""
    held, lock = [], threading.Event()

    def respond(server, request):
        held.append((server, request))
        if len(held) == 12:
            for one, other in held:
                one.reply(other, body=b"hi", content_length="2")
            lock.set()
    proxy = http_proxy(h2_serve(respond), pool={**POOL, "streams": 5})
    with open_h2(proxy) as client:
        streams = [client.start(get(f"/{i}")) for i in range(12)]
        assert [client.reply(s).body for s in streams] == [b"hi"] * 12
    assert lock.is_set()
    assert proxy.scripts[0].connections == 3


def test_refused_streams_are_sent_again(http_proxy):
    refused = []

    def respond(server, request):
        if not refused:
            refused.append(request)
            server.conn.reset_stream(request.stream, 7)  # REFUSED_STREAM
        else:
            server.reply(request, body=b"hi", content_length="2")
    proxy = http_proxy(h2_serve(respond), pool=POOL)
    # Nothing was looked at: also what is not idempotent.
    reply = proxy.ask("POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 0\r\n\r\n")
    assert (reply.status, reply.body, len(refused)) == (200, b"hi", 1)


def test_a_reset_stream_is_one_failure(http_proxy):
    def respond(server, request):
        if request.get(":path") == "/bad":
            server.conn.reset_stream(request.stream, 2)  # INTERNAL_ERROR
        else:
            server.reply(request, body=b"hi", content_length="2")
    proxy = http_proxy(h2_serve(respond), pool=POOL)
    with open_h2(proxy) as client:
        assert client.ask(get()).status == 200
        assert client.ask(get("/bad", method="POST")).status == 502
        assert client.ask(get()).status == 200
    assert proxy.scripts[0].connections == 1


def test_a_cut_response(http_proxy):
    def respond(server, request):
        server.conn.send_headers(request.stream, [(":status", "200"), ("content-length", "9")])
        server.conn.send_data(request.stream, b"abc")
        server.conn.reset_stream(request.stream, 2)
    proxy = http_proxy(h2_serve(respond), pool=POOL)
    with proxy.connect() as client:
        with pytest.raises(EOFError):
            client.ask(GET)
    with open_h2(proxy) as client:
        assert client.ask(get()).error == "INTERNAL_ERROR"


def test_goaway_loses_nothing(http_proxy):
    """A backend that ends each connection after a few requests."""
    def respond(server, request):
        server.reply(request, body=b"hi", content_length="2", flush=False)
        if len(server.requests) == 3:
            server.conn.close_connection(last_stream_id=request.stream)
        server.flush()
    proxy = http_proxy(h2_serve(respond), pool=POOL)
    with open_h2(proxy) as client:
        for i in range(20):
            reply = client.ask(get(f"/{i}"))
            assert (reply.status, reply.body) == (200, b"hi"), (i, reply)
    assert proxy.scripts[0].connections >= 6


def test_a_connection_that_dies_idle(http_proxy):
    made = []
    proxy = http_proxy(h2_serve(made=made), pool=POOL)
    with proxy.connect() as client:
        assert client.ask(GET).status == 200
        made[0].peer.reset()
        assert client.ask(GET).status == 200


def test_a_client_that_goes_frees_the_stream(http_proxy):
    made = []

    def begin(server, request):
        del server, request
    proxy = http_proxy(h2_serve(lambda server, request: None, begin=begin, made=made), pool=POOL)
    with open_h2(proxy) as client:
        stream = client.start(get())
        proxy.wait(lambda: made and made[0].requests)
        client.conn.reset_stream(stream, 8)
        client.flush()
        proxy.wait(lambda: made[0].resets == [(1, "CANCEL")])


def test_over_tls(http_proxy, lab, ca, free_port):
    files = ca.issue("backend.test")
    port = free_port()
    with open(lab.path("nghttpd.log"), "wb") as log:
        lab.popen(["nghttpd", "-d", lab.path(""), str(port), files["key"], files["cert"]],
                  stdout=log, stderr=log)
    proxy = http_proxy(backends=[f"127.0.0.1:{port}"],
                       pool={**POOL, "tls": {"ca": ca.pem, "name": "backend.test"}})
    proxy.wait(lambda: proxy.ask(GET).status == 404)
    with open_h2(proxy) as client:
        assert client.ask(get("/nothing")).status == 404


def test_a_backend_without_http2(http_proxy, lab, ca, free_port):
    """ALPN does not agree on h2: a failure to connect, no HTTP/2 to who does not speak it."""
    files = ca.issue("backend.test")
    port = free_port()
    with open(lab.path("s_server.log"), "wb") as log:
        lab.popen(["openssl", "s_server", "-accept", f"127.0.0.1:{port}", "-cert", files["cert"],
                   "-key", files["key"], "-www"], stdout=log, stderr=log)
    proxy = http_proxy(backends=[f"127.0.0.1:{port}"],
                       pool={**POOL, "tls": {"ca": ca.pem, "name": "backend.test"}})
    assert proxy.ask(GET).status == 502


def test_a_reload_that_drains_a_backend(http_proxy):
    """What is under way ends; the connection goes with it."""
    made = []
    proxy = http_proxy(h2_serve(made=made), h2_serve(), pool=POOL)
    with proxy.connect() as client:
        while not made:
            assert client.ask(GET).status == 200
        proxy.daemon.ctl("backend", "drain", "web/b1")
        proxy.wait(lambda: made[0].peer.sock.fileno() == -1)
        assert client.ask(GET).status == 200


def test_a_connection_to_a_backend_that_is_drained_ends_as_tls_asks(http_proxy, ca):
    """GOAWAY and, behind it, close_notify."""
    def respond(server, request):
        asked.set()
        assert go.wait(TIMEOUT_S)
        server.reply(request, body=b"hi", content_length="2")

    def serve(peer):
        try:
            H2Server(peer, respond).run()
            ends.append("close_notify")
        except OSError as error:
            ends.append(error)

    def backend():
        script = TlsScript(ca.issue("backend.test"), serve, alpn=("h2",))
        script.context.options &= ~ssl.OP_IGNORE_UNEXPECTED_EOF
        return script

    ends, asked, go = [], threading.Event(), threading.Event()
    with contextlib.closing(backend()) as old, contextlib.closing(backend()) as new:
        proxy = http_proxy(backends=[old], pool={
            **POOL, "tls": {"ca": ca.pem, "name": "backend.test"}})
        with proxy.connect() as client:
            client.send(GET)
            assert asked.wait(TIMEOUT_S)
            proxy.config["pools"]["web"]["backends"] = [{"name": "new", "address": new.target}]
            proxy.daemon.reload(proxy.config)
            go.set()
            assert client.message().status == 200
        wait_until(lambda: ends)
    assert ends == ["close_notify"]


def test_both_ends_in_one_process(http_proxy):
    """Two hops of ours, one in front of the other."""
    inner = http_proxy(h2_serve(), pool=POOL)
    outer = http_proxy(backends=[f"127.0.0.1:{inner.port}"], pool=POOL)
    with H2Client(connect(outer.port)) as client:
        assert client.ask(get()).body == b"hi"


def test_large_headers(http_proxy):
    value = "v" * 9000

    def respond(server, request):
        assert request.get("x-a") == request.get("x-b") == value
        server.reply(request, body=b"hi", content_length="2", x_c=value, x_d=value)
    proxy = http_proxy(h2_serve(respond), pool=POOL)
    with proxy.connect() as client:
        for _ in range(2):
            reply = client.ask(GET.replace("\r\n\r\n", f"\r\nX-A: {value}\r\nX-B: {value}\r\n\r\n"))
            assert (reply.get("X-C"), reply.get("X-D"), reply.body) == (value, value, b"hi")


def ws_serve(made):
    """A backend that takes extended CONNECT and says back what it hears, in upper case."""
    class Server(H2Server):
        def _take(self, event):
            if isinstance(event, h2.events.RequestReceived):
                self.requests[event.stream_id] = Request(event.stream_id, event.headers)
                self.conn.send_headers(event.stream_id, [(":status", "200"), ("x-ws", "yes")])
            elif isinstance(event, h2.events.DataReceived):
                self.conn.acknowledge_received_data(event.flow_controlled_length, event.stream_id)
                self.conn.send_data(event.stream_id, event.data.upper())
            elif isinstance(event, h2.events.StreamEnded):
                self.conn.end_stream(event.stream_id)

    def serve(peer):
        server = Server(peer, None, ENABLE_CONNECT_PROTOCOL=1)
        made.append(server)
        server.run()
    return serve


KEY, ACCEPT = "dGhlIHNhbXBsZSBub25jZQ==", "s3pPLMBiTxaQ9kYGzzhZRbK+xOo="  # RFC 6455, 1.3


def test_websocket_of_an_http1_client(http_proxy):
    made = []
    proxy = http_proxy(ws_serve(made), pool=POOL)
    with proxy.connect() as client:
        client.send("GET /chat HTTP/1.1\r\nHost: a\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n"
                    f"Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: {KEY}\r\n\r\n")
        head = client.head()
        assert (head.status, head.get("Upgrade"), head.get("Sec-WebSocket-Accept")) == \
            (101, "websocket", ACCEPT)
        assert head.get("X-Ws") == "yes"
        for word in (b"one", b"two"):
            client.send(word)
            assert client.exactly(3) == word.upper()
        client.shutdown()
        assert client.is_closed()
    request = made[0].requests[1]
    assert [request.get(n) for n in (":method", ":protocol", ":path", ":scheme")] == \
        ["CONNECT", "websocket", "/chat", "http"]
    assert request.get("sec-websocket-version") == "13"
    assert request.get("sec-websocket-key") is None
    assert proxy.counter("tunnels") == 1


def test_websocket_of_an_http2_client(http_proxy):
    made = []
    proxy = http_proxy(ws_serve(made), pool=POOL)
    with open_h2(proxy) as client:
        stream = client.start([(":method", "CONNECT"), (":protocol", "websocket"),
                               (":scheme", "http"), (":path", "/chat"), (":authority", "a")],
                              end=False)
        reply = client.replies[stream]
        client.until(lambda: reply.fields)
        assert (reply.status, reply.get("sec-websocket-accept")) == (200, None)
        client.send_body(stream, b"one", end=False)
        client.until(lambda: reply.body == b"ONE")
        client.conn.end_stream(stream)
        client.flush()
        client.until(lambda: reply.ended)


def test_a_backend_that_takes_no_websocket(http_proxy):
    proxy = http_proxy(h2_serve(), pool=POOL)
    reply = proxy.ask("GET / HTTP/1.1\r\nHost: a\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n"
                      f"Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: {KEY}\r\n\r\n")
    assert reply.status == 502


def test_a_backend_that_does_not_say_what_it_takes(http_proxy):
    """Without its settings nobody knows whether it takes WebSocket: the wait has an end."""
    proxy = http_proxy(lambda peer: peer.to_end(), pool={**POOL, "connect_timeout": "300ms"})
    reply = proxy.ask("GET / HTTP/1.1\r\nHost: a\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n"
                      f"Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: {KEY}\r\n\r\n")
    assert reply.status == 504

