# SPDX-License-Identifier: BSD-2-Clause
"""A new configuration, a drain, an end: what connections notice of it."""
import collections
import signal
import socket

import pytest

from http1 import OK, Script
from lab import wait_until

GET = "GET / HTTP/1.1\r\nHost: a\r\n\r\n"


def test_twenty_reloads_under_64_busy_connections(http_proxy, backend, free_port, client):
    ports = [free_port() for _ in range(3)]
    for i, port in enumerate(ports):
        backend(f"b{i + 1}", http=[f"127.0.0.1:{port}"])
    proxy = http_proxy(backends=[f"127.0.0.1:{p}" for p in ports], workers=2)
    rows = proxy.config["pools"]["web"]["backends"]
    load = client("http", f"http://127.0.0.1:{proxy.port}/bytes/1000", "--connections", 64)
    wait_until(lambda: proxy.counter("requests") > 100)
    for i in range(20):
        before = proxy.counter("requests")
        proxy.config["pools"]["web"]["backends"] = [  # one leaves, another changes
            {**row, "weight": 1 + (i + j) % 3} for j, row in enumerate(rows) if j != i % 4]
        proxy.daemon.reload(proxy.config)
        wait_until(lambda b=before: proxy.counter("requests") > b + 50)
    result = load.finish()
    assert result["errors"] == {}, result
    assert result["reconnects"] == 0, result
    assert set(result["status"]) == {"200"}
    assert result["ok"] > 1000


def hold(release):
    def serve(peer):
        while True:
            message = peer.message()
            if message.start.startswith("GET /hold"):
                wait_until(lambda: release)
            peer.send(OK)
    return serve


def test_a_removed_service_ends_its_connections(http_proxy, free_port):
    release = []
    proxy = http_proxy(hold(release))
    web = proxy.config["services"]["web"]
    other = free_port()
    with proxy.connect() as idle, proxy.connect() as busy:
        assert idle.ask(GET).status == 200
        busy.send(GET.replace("/ ", "/hold "))
        proxy.wait_counter("requests", 2)
        proxy.daemon.reload({**proxy.config, "services": {
            "other": {**web, "listen": [f"127.0.0.1:{other}/tcp"]}}})
        assert idle.is_closed()
        release.append(True)
        reply = busy.message()
        assert (reply.status, reply.get("Connection")) == (200, "close")
        assert busy.is_closed()


def test_a_service_under_another_name_keeps_its_address(http_proxy):
    proxy = http_proxy()
    config = {**proxy.config, "services": {"renamed": proxy.config["services"]["web"]}}
    assert proxy.ask(GET).status == 200
    proxy.daemon.reload(config)
    assert proxy.ask(GET).status == 200


def test_new_limits_hold_for_connections_that_are_open(http_proxy):
    proxy = http_proxy()
    with proxy.connect() as client:
        assert client.ask(GET).status == 200
        proxy.config["services"]["web"]["limits"] = {"body": "1KiB"}
        proxy.daemon.reload(proxy.config)
        assert client.ask(GET).status == 200
        client.send("POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 1025\r\n\r\n")
        assert client.message().status == 413


def test_an_address_in_use_changes_nothing(http_proxy):
    proxy, other = http_proxy(), Script()
    taken = other.port
    bad = {**proxy.config, "services": {"web": {
        **proxy.config["services"]["web"], "listen": [f"127.0.0.1:{taken}/tcp"]}}}
    with proxy.connect() as client:
        assert client.ask(GET).status == 200
        generation = proxy.daemon.generation()
        proxy.daemon.write_config(bad)
        proxy.daemon.signal(signal.SIGHUP)
        wait_until(lambda: f"cannot listen at 127.0.0.1:{taken}" in proxy.daemon.log)
        assert proxy.daemon.generation() == generation
        assert client.ask(GET).status == 200
        assert proxy.ask(GET).status == 200
    other.close()


def listening(port, family=socket.AF_INET, addr="127.0.0.1"):
    """As a program that would share its port with whoever wants to."""
    sock = socket.socket(family)
    sock.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    sock.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEPORT, 1)
    sock.bind((addr, port))
    sock.listen()
    return sock


@pytest.mark.parametrize("addr", ["127.0.0.1", "0.0.0.0"])
def test_a_port_is_not_shared_with_a_stranger(http_proxy, free_port, addr):
    proxy, port = http_proxy(), free_port()
    web = proxy.config["services"]["web"]
    more = {**proxy.config, "services": {"web": {
        **web, "listen": [*web["listen"], f"127.0.0.1:{port}/tcp"]}}}
    with listening(port, addr=addr):
        generation = proxy.daemon.generation()
        proxy.daemon.write_config(more)
        proxy.daemon.signal(signal.SIGHUP)
        wait_until(lambda: f"cannot listen at 127.0.0.1:{port}: Address already in use"
                   in proxy.daemon.log)
        assert proxy.daemon.generation() == generation
        assert proxy.ask(GET).status == 200
    proxy.daemon.reload(more)  # the stranger is gone
    proxy.port = port
    assert proxy.ask(GET).status == 200


def test_two_daemons_do_not_share_a_port(http_proxy, shuntd):
    proxy = http_proxy()
    second = shuntd(proxy.config, start=False)
    second.spawn()
    assert second.wait_exit() == 1
    assert f"cannot listen at 127.0.0.1:{proxy.port}: Address already in use" in second.log
    proxy.daemon.terminate()
    second.start()
    assert proxy.ask(GET).status == 200


def test_a_wildcard_and_an_address_of_its_port(http_proxy, free_port):
    proxy, port = http_proxy(), free_port()
    web = proxy.config["services"]["web"]
    for listen in (["0.0.0.0"], ["0.0.0.0", "127.0.0.1"], ["127.0.0.1"], ["127.0.0.1", "0.0.0.0"]):
        proxy.daemon.reload({**proxy.config, "services": {"web": {
            **web, "listen": [f"{addr}:{port}/tcp" for addr in listen]}}})
        proxy.port = port
        assert proxy.ask(GET).status == 200


def test_a_stop_lets_requests_end(http_proxy):
    release = []
    proxy = http_proxy(hold(release))
    with proxy.connect() as idle, proxy.connect() as busy, proxy.connect() as fresh:
        assert idle.ask(GET).status == 200
        busy.send(GET.replace("/ ", "/hold "))
        proxy.wait_counter("requests", 2)
        proxy.wait_counter("open_connections", 3)
        proxy.daemon.signal(signal.SIGTERM)
        assert idle.is_closed()
        # Accepted before the end: its first request may be on its way.
        reply = fresh.ask(GET)
        assert (reply.status, reply.get("Connection")) == (200, "close")
        release.append(True)
        reply = busy.message()
        assert (reply.status, reply.get("Connection")) == (200, "close")
        assert proxy.daemon.wait_exit() == 0


def test_a_stop_has_an_end(http_proxy):
    release = []
    proxy = http_proxy(hold(release))
    proxy.config["node"]["drain_timeout"] = "1s"
    proxy.daemon.reload(proxy.config)
    with proxy.connect() as busy:
        busy.send(GET.replace("/ ", "/hold "))
        proxy.wait_counter("requests", 1)
        assert proxy.daemon.terminate() == 0
        assert busy.is_closed()
        release.append(True)


def test_workers_share_the_connections(http_proxy):
    proxy = http_proxy(workers=4)
    clients = [proxy.connect() for _ in range(64)]
    statuses = collections.Counter(c.ask(GET).status for c in clients)
    assert statuses == {200: 64}
    # Each worker has connections of its own to the backend.
    assert 2 <= proxy.scripts[0].connections <= 4
    for c in clients:
        c.close()
