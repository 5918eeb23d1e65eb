# SPDX-License-Identifier: BSD-2-Clause
"""Services whose bytes are passed on as they are."""
import collections
import hashlib
import os
import random
import socket
import threading

import pytest

from http1 import NOBODY, Script
from lab import TIMEOUT_S, wait_until
from test_l7_backends import backend_row, refusing


def echo(peer):
    """Sends back what comes, to its end."""
    while peer.fill():
        peer.send(peer.take(len(peer.buffer)))
    peer.shutdown()


def greeter(name, counts=None):
    def serve(peer):
        if counts is not None:
            counts[name] += 1
        peer.send(f"{name}\n")
        peer.to_end()
    return serve


@pytest.mark.vm
@pytest.mark.parametrize("addr", ["127.0.0.1", "::1"])
def test_bytes_go_both_ways(http_proxy, addr):
    proxy = http_proxy(echo, addr=addr, mode="tcp")
    with proxy.connect() as client:
        for size in (1, 1000, 100000):
            data = os.urandom(size)
            threading.Thread(target=client.send, args=(data,)).start()
            assert client.exactly(size) == data
        assert proxy.counter("open_connections") == 1
        assert backend_row(proxy, "b1")["active_requests"] == 1
        client.shutdown()
        assert client.to_end() == b""
    proxy.wait_counter("open_connections", 0)
    assert proxy.counter("bytes_in") == proxy.counter("bytes_out") == 101001
    assert backend_row(proxy, "b1")["active_requests"] == 0
    assert proxy.counter("resets") == 0


def test_a_backend_may_speak_first(http_proxy):
    proxy = http_proxy(greeter("hello"), mode="tcp")
    with proxy.connect() as client:
        assert client.until(b"\n") == b"hello\n"


def test_the_end_of_a_client_is_passed_on_and_its_answer_too(http_proxy):
    def serve(peer):
        peer.send(hashlib.sha256(peer.to_end()).hexdigest())
    proxy = http_proxy(serve, mode="tcp")
    data = os.urandom(300000)
    with proxy.connect() as client:
        client.send(data)
        client.shutdown()
        assert client.to_end().decode() == hashlib.sha256(data).hexdigest()
    proxy.wait_counter("open_connections", 0)


def test_the_end_of_a_backend_is_passed_on_and_the_rest_of_the_client_too(http_proxy):
    heard = []

    def serve(peer):
        peer.send("bye")
        peer.shutdown()
        heard.append(peer.to_end())
    proxy = http_proxy(serve, mode="tcp")
    with proxy.connect() as client:
        assert client.to_end() == b"bye"
        client.send("and you")
    wait_until(lambda: heard == [b"and you"])
    assert proxy.counter("resets") == 0


def test_a_reset_of_a_backend_comes_after_what_it_said(http_proxy):
    def serve(peer):
        peer.send("x" * 1000)
        peer.exactly(1)
        peer.reset()
    proxy = http_proxy(serve, mode="tcp")
    with proxy.connect() as client:
        assert client.exactly(1000) == b"x" * 1000
        client.send("!")
        with pytest.raises(ConnectionResetError):
            client.fill()
    proxy.wait_counter("resets", 1)
    proxy.wait_counter("open_connections", 0)


def test_a_reset_of_a_client_is_passed_on(http_proxy):
    seen = []

    def serve(peer):
        peer.send("hi")
        try:
            peer.to_end()
        except ConnectionResetError:
            seen.append("reset")
    proxy = http_proxy(serve, mode="tcp")
    client = proxy.connect()
    assert client.exactly(2) == b"hi"
    client.reset()
    wait_until(lambda: seen == ["reset"])
    proxy.wait_counter("open_connections", 0)
    assert proxy.counter("resets") == 1


def test_who_does_not_read_stops_who_sends(http_proxy):
    """The proxy holds little of it: both ends' kernels fill up, then the sender must wait."""
    go_on = threading.Event()
    digests = []

    def serve(peer):
        go_on.wait(TIMEOUT_S)
        digests.append(hashlib.sha256(peer.to_end()).hexdigest())
    proxy = http_proxy(serve, mode="tcp")
    data = os.urandom(1 << 20) * 64
    sent = []

    with proxy.connect() as client:
        def send():
            for at in range(0, len(data), 1 << 20):
                client.send(data[at:at + (1 << 20)])
                sent.append(at)
            client.shutdown()
        thread = threading.Thread(target=send)
        thread.start()
        wait_until(lambda: proxy.counter("bytes_in") > 0)
        calm = [0]

        def is_calm():
            before, calm[0] = calm[0], proxy.counter("bytes_in")
            return calm[0] == before
        wait_until(is_calm)
        assert proxy.counter("bytes_in") < len(data)
        assert proxy.counter("bytes_in") - backend_row(proxy, "b1")["bytes_out"] <= 1 << 18
        go_on.set()
        thread.join()
        assert client.to_end() == b""
    wait_until(lambda: digests == [hashlib.sha256(data).hexdigest()])


def test_a_connection_without_a_byte_ends(http_proxy):
    proxy = http_proxy(echo, mode="tcp", relay={"idle": "300ms"})
    with proxy.connect() as client:
        client.send("once")
        assert client.exactly(4) == b"once"
        assert client.is_closed()
    assert proxy.counter("idle_timeouts") == 1
    proxy.wait_counter("open_connections", 0)


def test_half_a_connection_without_a_byte_ends_sooner(http_proxy):
    closed = threading.Event()

    def serve(peer):
        peer.to_end()
        closed.wait(TIMEOUT_S)
    proxy = http_proxy(serve, mode="tcp", relay={"idle": "1h", "half_closed": "200ms"})
    with proxy.connect() as client:
        client.shutdown()
        assert client.is_closed()
    closed.set()
    assert proxy.counter("idle_timeouts") == 1


def test_a_refused_connection_goes_to_another_backend(http_proxy):
    counts = collections.Counter()
    proxy = http_proxy(backends=[refusing(), refusing(), Script(greeter("b3", counts))],
                       mode="tcp")
    for _ in range(6):
        with proxy.connect() as client:
            assert client.until(b"\n") == b"b3\n"
    assert counts["b3"] == 6
    assert proxy.counter("retries") > 0 and proxy.counter("connect_failures") == 0
    assert backend_row(proxy, "b1")["failures"] > 0


@pytest.mark.parametrize("backends", [[NOBODY], None])
def test_without_a_backend_the_client_is_reset(http_proxy, backends):
    proxy = http_proxy(backends=backends or [refusing()], mode="tcp")
    with pytest.raises(ConnectionResetError):
        with proxy.connect() as client:
            client.fill()
    assert proxy.counter("connect_failures") == 1
    proxy.wait_counter("open_connections", 0)


def test_a_backend_that_does_not_accept_is_given_up(http_proxy):
    """Its queue is full, so that the kernel answers no SYN."""
    with socket.socket() as full, socket.socket() as waiting:
        full.bind(("127.0.0.1", 0))
        full.listen(0)
        waiting.connect(full.getsockname())
        proxy = http_proxy(backends=[f"127.0.0.1:{full.getsockname()[1]}"], mode="tcp",
                           pool={"connect_timeout": "200ms"})
        with proxy.connect() as client:
            with pytest.raises(ConnectionResetError):
                client.fill()
    assert proxy.counter("connect_failures") == 1


def test_connections_have_a_bound(http_proxy):
    proxy = http_proxy(greeter("hi"), mode="tcp", relay={"connections": 2})
    clients = [proxy.connect() for _ in range(2)]
    assert [c.until(b"\n") for c in clients] == [b"hi\n"] * 2
    with proxy.connect() as third:
        assert third.is_closed()
    assert proxy.counter("refused") == 1
    for c in clients:
        c.close()


def test_a_change_leaves_connections_alone(http_proxy):
    counts = collections.Counter()
    scripts = [Script(echo), Script(greeter("b2", counts))]
    proxy = http_proxy(backends=[scripts[0]], mode="tcp")
    with proxy.connect() as client:
        client.send("one")
        assert client.exactly(3) == b"one"
        proxy.config["pools"]["web"]["backends"] = [{"name": "b2", "address": scripts[1].target}]
        proxy.daemon.reload(proxy.config)
        client.send("two")
        assert client.exactly(3) == b"two"
        with proxy.connect() as other:
            assert other.until(b"\n") == b"b2\n"
        client.shutdown()
        assert client.to_end() == b""


def test_a_drain_waits_for_connections(http_proxy):
    proxy = http_proxy(echo, mode="tcp")
    with proxy.connect() as client:
        client.send("one")
        assert client.exactly(3) == b"one"
        proxy.daemon.signal(15)
        wait_until(lambda: "drain" in proxy.daemon.log)
        client.send("two")
        assert client.exactly(3) == b"two"
        client.shutdown()
        assert client.to_end() == b""
    assert proxy.daemon.wait_exit() == 0


def test_many_connections_leave_nothing_behind(http_proxy):
    """Ends of every kind, at any moment, on two workers, with reloads meanwhile."""
    rng = random.Random(7)

    def serve(peer):
        try:
            while peer.fill():
                data = peer.take(len(peer.buffer))
                if data.endswith(b"r"):
                    peer.reset()
                    return
                peer.send(data)
        except OSError:
            pass
    proxy = http_proxy(serve, serve, mode="tcp", workers=2)

    def run(seed):
        mine = random.Random(seed)
        for _ in range(15):
            client = proxy.connect()
            try:
                for _ in range(mine.randrange(4)):
                    client.send(b"x" * mine.choice([1, 1000, 200000]))
                    if mine.random() < 0.5:
                        client.fill()
                client.send(mine.choice([b"r", b".", b""]))
                if mine.random() < 0.5:
                    client.shutdown()
                    client.to_end()
            except OSError:
                pass
            mine.choice([client.close, client.reset])()
    threads = [threading.Thread(target=run, args=(rng.random(),)) for _ in range(16)]
    for thread in threads:
        thread.start()
    for weight in (2, 3, 1):
        proxy.config["pools"]["web"]["backends"][0]["weight"] = weight
        proxy.daemon.reload(proxy.config)
    for thread in threads:
        thread.join()
    proxy.wait_counter("open_connections", 0)
    assert proxy.counter("connections") == 16 * 15
    for name in ("b1", "b2"):
        assert backend_row(proxy, name)["active_requests"] == 0
    assert proxy.counter("connect_failures") == 0


@pytest.mark.parametrize("mode", ["tcp", "tls"])
def test_tls_keys_of_another_mode_have_no_effect(http_proxy, mode):
    """They are for http services; here there is a warning, and not even a file."""
    proxy = http_proxy(mode=mode, tls={"certificates": [{"cert": "/nowhere.pem"}]})
    assert "tls has no effect with mode" in proxy.daemon.log
    proxy.daemon.reload(proxy.config)
    assert proxy.daemon.ctl("status").rc == 0
