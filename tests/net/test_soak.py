# SPDX-License-Identifier: BSD-2-Clause
"""Some seconds of everything at once: clients and backends that leave at any point, new
configurations beside it. What the daemon holds afterwards is what it held before."""
import glob
import os
import random
import threading
import time
from concurrent import futures

import grpc
import pytest

import soak_lanes
from http1 import Script
from lab import wait_until

SECONDS = int(os.environ.get("SHUNT_SOAK_S", "6"))
LANES = [soak_lanes.http1] * 7 + [soak_lanes.http2] * 3 + [soak_lanes.websocket] + [None]
GROWTH_MAX = 8 << 20  # bytes of memory, after a first round

class Held:
    """What the daemon holds on to."""

    def __init__(self, proxy):
        pid = proxy.daemon.proc.pid
        self.descriptors = len(glob.glob(f"/proc/{pid}/fd/*"))
        self.memory = proxy.memory()


def run_lanes(proxy, seconds, seed):
    end, failures = time.monotonic() + seconds, []

    def lane(number, make):
        rng = random.Random(f"{seed} {number}")
        run = soak_lanes.exchange if make else soak_lanes.calls
        while time.monotonic() < end:
            try:
                run(rng, proxy.port, make)
            except OSError:
                pass
            except Exception as exc:  # pylint: disable=broad-except
                failures.append(exc)
                raise
    threads = [threading.Thread(target=lane, args=args) for args in enumerate(LANES)]
    for thread in threads:
        thread.start()
    rng, rows = random.Random(seed), proxy.config["pools"]["web"]["backends"]
    while time.monotonic() < end:
        weights = [{**row, "weight": rng.randrange(1, 4)} for row in rows if rng.random() < 0.8]
        pools = proxy.config["pools"]
        proxy.daemon.reload({**proxy.config, "pools": {
            **pools, "web": {**pools["web"], "backends": weights or rows}}})
    for thread in threads:
        thread.join()
    proxy.daemon.reload(proxy.config)
    assert not failures


def settle(proxy):
    def shown():
        return proxy.daemon.ctl_json("status")["proxy"]
    wait_until(lambda: proxy.counter("open_connections") == 0, 30)
    wait_until(lambda: shown()["idle_backend_connections"] == 0, 30)
    wait_until(lambda: shown()["buffer_bytes"] == 0, 30, what=shown)
    rows = proxy.daemon.ctl_json("backend", "list")["backends"]
    assert [row["http"]["active_requests"] for row in rows] == [0] * len(rows)
    return Held(proxy)


@pytest.fixture(name="grpc_port")
def make_grpc():
    server = grpc.server(futures.ThreadPoolExecutor(8), handlers=[soak_lanes.Calls()],
                         options=[("grpc.so_reuseport", 0)])
    port = server.add_insecure_port("127.0.0.1:0")
    server.start()
    yield port
    server.stop(None)


WAITS = ("request_header", "request_body", "idle", "response_header", "response_body", "write",
         "tunnel")


def proxy_of(http_proxy, backends, **pools):
    """Its further pools are those of the routes."""
    idle = {"idle_timeout": "500ms"}
    proxy = http_proxy(backends=backends, workers=2, pool={
        **idle, "health": {"tcp": {}, "every": "100ms", "timeout": "100ms"}},
        timeouts={name: "1s" for name in WAITS})
    for name, (target, protocol) in pools.items():
        proxy.config["pools"][name] = {**idle, "health": "none", "protocol": protocol,
                                       "backends": [{"name": name, "address": target}]}
    proxy.config["services"]["web"]["routes"] = [
        {"match": {"path": {"prefix": prefix}}, "pool": name}
        for prefix, name in (("/h2/", "h2"), ("/test/", "grpc"), ("/ws", "ws"))]
    proxy.daemon.reload(proxy.config)
    return proxy


@pytest.mark.timeout(2 * SECONDS + 240)
def test_nothing_is_left_of_much_traffic(http_proxy, backend, free_port, grpc_port):
    seed = random.randrange(1 << 32)
    print("seed", seed)
    ports = [free_port(), free_port()]
    for i, port in enumerate(ports):
        backend(f"b{i}", http=[f"127.0.0.1:{port}"])
    scripts = [Script(soak_lanes.misbehave(seed)), Script(soak_lanes.http2_backend(seed)),
               Script(soak_lanes.websocket_backend)]
    proxy = proxy_of(http_proxy, [*(f"127.0.0.1:{port}" for port in ports), scripts[0]],
                     h2=(scripts[1].target, "http2"), ws=(scripts[2].target, "http1"),
                     grpc=(f"127.0.0.1:{grpc_port}", "http2"))
    run_lanes(proxy, 2, seed)
    before = settle(proxy)
    run_lanes(proxy, SECONDS, seed + 1)
    after = settle(proxy)
    for script in scripts:
        script.close()
    assert not [error for script in scripts for error in script.errors]
    assert proxy.counter("requests") > 500
    assert proxy.counter("http2_connections") > 50
    assert proxy.counter("tunnels") > 10
    assert proxy.counter("connections") == proxy.counter("closed")
    # A health check may be under way.
    assert after.descriptors <= before.descriptors + 3
    assert after.memory - before.memory < GROWTH_MAX
