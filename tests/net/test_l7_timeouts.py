# SPDX-License-Identifier: BSD-2-Clause
"""Every wait of an http service has an end."""
import socket
import threading
import time

from http1 import OK, TIMEOUT_S

GET = "GET / HTTP/1.1\r\nHost: a\r\n\r\n"
POST = "POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 1000000\r\n\r\n"
SHORT = 0.3


def short(*names):
    return {"timeouts": {name: f"{int(SHORT * 1000)}ms" for name in names}}


def in_time(call, *args):
    """The result of call, which has to take about as long as the time-out."""
    start = time.monotonic()
    result = call(*args)
    took = time.monotonic() - start
    assert SHORT * 0.8 <= took < 10, took
    return result


def hang(peer):
    peer.head()
    peer.to_end()


def test_nothing_said_is_closed_silently(http_proxy):
    proxy = http_proxy(**short("request_header"))
    with proxy.connect() as client:
        assert in_time(client.is_closed)
    assert proxy.counter("local_errors") == 0


def test_a_header_that_does_not_end(http_proxy):
    proxy = http_proxy(**short("request_header"))
    with proxy.connect() as client:
        client.send("GET / HTTP/1.1\r\nHost: a\r\n")
        reply = in_time(client.message)
        assert (reply.status, reply.get("Connection")) == (408, "close")


def test_a_header_that_trickles_is_not_given_more_time(http_proxy):
    proxy = http_proxy(**short("request_header"))
    with proxy.connect() as client:
        client.sock.settimeout(0.02)
        start = time.monotonic()
        for byte in "GET / HTTP/1.1\r\nA: " + "x" * 1000:
            client.send(byte)
            try:
                if client.fill():
                    break
            except socket.timeout:
                pass
        assert time.monotonic() - start < 10
        client.sock.settimeout(TIMEOUT_S)
        assert client.message().status == 408


def test_an_idle_connection_is_closed_silently(http_proxy):
    proxy = http_proxy(**short("idle"))
    with proxy.connect() as client:
        for _ in range(2):
            assert client.ask(GET).status == 200
        assert in_time(client.is_closed)


def test_the_second_header_has_its_own_time(http_proxy):
    proxy = http_proxy(**short("request_header"))
    with proxy.connect() as client:
        assert client.ask(GET).status == 200
        client.send("GET /")
        assert in_time(client.message).status == 408


def test_a_body_that_does_not_come(http_proxy):
    proxy = http_proxy(hang, **short("request_body"))
    with proxy.connect() as client:
        client.send(POST + "x" * 1000)
        reply = in_time(client.message)
        assert (reply.status, reply.get("Connection")) == (408, "close")


def test_a_body_that_keeps_coming_may_take_long(http_proxy):
    proxy = http_proxy(limits={"client_rate": 10}, **short("request_body"))
    with proxy.connect() as client:
        client.send("POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 12\r\n\r\n")
        client.sock.settimeout(SHORT / 3)
        for _ in range(12):
            client.send("x")
            try:
                client.fill()
            except socket.timeout:
                pass
        client.sock.settimeout(TIMEOUT_S)
        assert client.message().status == 200


def trickle(client, pieces, wait=SHORT / 10):
    """Send them one by one; the message that comes meanwhile or then."""
    client.sock.settimeout(wait)
    for piece in pieces:
        client.send(piece)
        try:
            if client.fill():
                break
        except socket.timeout:
            pass
    client.sock.settimeout(TIMEOUT_S)
    return client.message()


def test_a_body_that_trickles_is_given_up(http_proxy):
    proxy = http_proxy(hang, **short("request_body"))
    for head, pieces in ((POST, "x" * 500),
                         ("POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n",
                          "1\r\nx\r\n" * 100),
                         ("POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n1;",
                          "x" * 500)):
        with proxy.connect() as client:
            client.send(head)
            start = time.monotonic()
            reply = trickle(client, pieces)
            assert (reply.status, reply.get("Connection")) == (408, "close")
            assert time.monotonic() - start < 10


def test_a_backend_that_is_slow_is_not_the_clients_fault(http_proxy):
    size = 8 << 20

    def serve(peer):
        length = int(peer.head().get("Content-Length"))
        for _ in range(length >> 16):
            peer.exactly(65536)
            threading.Event().wait(0.01)  # over a second in all, and the client waits
        peer.send(OK)
    proxy = http_proxy(serve, **short("request_body"))
    with proxy.connect() as client:
        client.send(f"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: {size}\r\n\r\n")
        client.send(b"x" * size)
        assert client.message().status == 200


def test_a_client_that_reads_by_drops_is_given_up(http_proxy):
    def serve(peer):
        peer.message()
        peer.send(f"HTTP/1.1 200 OK\r\nContent-Length: {1 << 30}\r\n\r\n")
        while True:
            peer.send(b"x" * 65536)
    proxy = http_proxy(serve, limits={"client_rate": "1MiB"}, **short("write"))
    with proxy.connect(rcvbuf=4096, mss=500) as client:
        client.send(GET)
        client.until(b"\r\n\r\n")
        start = time.monotonic()
        while proxy.counter("aborted") == 0:  # some ten kilobytes a second
            client.sock.recv(500)
            assert time.monotonic() - start < 20
    proxy.wait_counter("open_connections", 0)


def test_the_last_request_of_a_connection(http_proxy):
    proxy = http_proxy(limits={"requests": 3})
    with proxy.connect() as client:
        client.send(GET * 5)
        replies = [client.message() for _ in range(3)]
        assert [reply.get("Connection") for reply in replies] == [None, None, "close"]
        assert client.is_closed()
    assert proxy.scripts[0].connections == 1


def test_a_backend_that_does_not_take_the_body(http_proxy):
    def serve(peer):
        peer.head()
        stuck.wait()  # reads nothing
    stuck = threading.Event()
    proxy = http_proxy(serve, **short("write"))

    def upload(client):
        try:
            client.send(POST.replace("1000000", "1000000000"))
            while True:
                client.send(b"x" * 65536)
        except OSError:
            pass
    with proxy.connect() as client:
        thread = threading.Thread(target=upload, args=(client,))
        thread.start()
        assert client.message().status == 504
    stuck.set()
    thread.join()


def test_a_backend_that_does_not_answer(http_proxy):
    proxy = http_proxy(hang, **short("response_header"))
    with proxy.connect() as client:
        client.send(GET)
        reply = in_time(client.message)
        assert (reply.status, reply.get("Connection")) == (504, "keep-alive")
        client.send(GET)
        assert in_time(client.message).status == 504


def test_a_backend_that_does_not_ask_for_the_body(http_proxy):
    proxy = http_proxy(hang, **short("response_header"))
    with proxy.connect() as client:
        client.send(POST.replace("\r\n\r\n", "\r\nExpect: 100-continue\r\n\r\n"))
        assert in_time(client.message).status == 504


def test_a_client_that_was_told_to_go_on_and_does_not(http_proxy):
    def serve(peer):
        peer.head()
        peer.send("HTTP/1.1 100 Continue\r\n\r\n")
        peer.to_end()
    proxy = http_proxy(serve, **short("request_body"))
    with proxy.connect() as client:
        client.send(POST.replace("\r\n\r\n", "\r\nExpect: 100-continue\r\n\r\n"))
        assert client.message().status == 100
        assert in_time(client.message).status == 408


def test_a_response_that_stalls(http_proxy):
    def serve(peer):
        peer.message()
        peer.send("HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\nhalf")
        peer.to_end()
    proxy = http_proxy(serve, **short("response_body"))
    with proxy.connect() as client:
        client.send(GET)
        assert client.head().status == 200
        assert in_time(client.to_end) == b"half"


def test_a_client_that_does_not_read(http_proxy):
    def serve(peer):
        peer.message()
        peer.send(f"HTTP/1.1 200 OK\r\nContent-Length: {1 << 30}\r\n\r\n")
        while True:
            peer.send(b"x" * 65536)
    proxy = http_proxy(serve, **short("write"))
    with proxy.connect() as client:
        client.send(GET)
        proxy.wait_counter("aborted", 1)
        proxy.wait_counter("open_connections", 0)


def test_a_backend_that_cannot_be_reached(http_proxy):
    # A full accept queue: the kernel drops what comes next.
    with socket.socket() as full, socket.socket() as one, socket.socket() as two:
        full.bind(("127.0.0.1", 0))
        full.listen(0)
        one.connect(full.getsockname())
        two.setblocking(False)
        two.connect_ex(full.getsockname())
        proxy = http_proxy(backends=[f"127.0.0.1:{full.getsockname()[1]}"],
                           pool={"connect_timeout": f"{int(SHORT * 1000)}ms"})
        with proxy.connect() as client:
            client.send(GET)
            assert in_time(client.message).status == 504


def test_kept_backend_connections_end_when_idle(http_proxy):
    closed = []

    def serve(peer):
        while peer.fill():
            peer.head()
            peer.send(OK)
        closed.append(time.monotonic())
    proxy = http_proxy(serve, pool={"idle_timeout": f"{int(SHORT * 1000)}ms"})
    with proxy.connect() as client:
        assert client.ask(GET).status == 200
        start = time.monotonic()
        proxy.wait(lambda: closed)
        assert closed[0] - start >= SHORT * 0.8
        assert client.ask(GET).status == 200
    assert proxy.scripts[0].connections == 2
