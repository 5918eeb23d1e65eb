# SPDX-License-Identifier: BSD-2-Clause
"""What is measured: a row a scenario."""
import dataclasses

SMALL, MEDIUM, LARGE = 128, 16384, 1048576  # bytes of a body
HANDSHAKES = 16  # at once


@dataclasses.dataclass(frozen=True)
class Scenario:
    name: str
    what: str  # for people; "a request" costs it
    client: str  # wrk, h2load, shake or idle
    front: str = "http"  # what the proxy speaks: http, https, h2, grpc (by h2)
    key: str = "ecdsa"  # of its certificate
    connections: int = 64
    streams: int = 1  # of each connection
    body: int = SMALL
    last: bool = False  # each request is its connection's last one
    tls: str = "1.3"
    resume: bool = False
    websocket: bool = False
    has_floor: bool = False
    goal: tuple = ()  # ("floor" or "best", ratio), or ("bytes", number)

    @property
    def is_tls(self):
        return self.front != "http"

    @property
    def is_h2(self):
        return self.front in ("h2", "grpc")


SCENARIOS = [
    Scenario("keepalive", "HTTP/1.1, connections kept", "wrk", has_floor=True,
             goal=("floor", 1.10)),
    Scenario("keepalive-1000", "the same, 1,000 connections", "wrk", connections=1000,
             has_floor=True),
    Scenario("16k", "the same, bodies of 16 KiB", "wrk", body=MEDIUM, has_floor=True,
             goal=("floor", 1.15)),
    Scenario("1m", "the same, bodies of 1 MiB, 16 connections", "wrk", body=LARGE, connections=16,
             has_floor=True, goal=("floor", 1.05)),
    Scenario("close", "a connection for each request", "wrk", last=True, has_floor=True,
             goal=("best", 0.87)),
    Scenario("tls", "HTTPS, HTTP/1.1, connections kept", "wrk", front="https",
             goal=("best", 0.87)),
    Scenario("tls-1000", "the same, 1,000 connections", "wrk", front="https", connections=1000),
    Scenario("h2", "HTTPS, HTTP/2, 8 connections of 16 streams", "h2load", front="h2",
             connections=8, streams=16, goal=("best", 0.80)),
    Scenario("grpc", "gRPC unary calls, HTTP/2 over TLS to HTTP/2, 8 connections of 16 streams",
             "h2load", front="grpc", connections=8, streams=16),
    Scenario("handshake-p256", "full TLS 1.3 handshakes, P-256", "shake", front="https",
             connections=HANDSHAKES, goal=("best", 0.85)),
    Scenario("handshake-rsa", "full TLS 1.3 handshakes, RSA-2048", "shake", front="https",
             key="rsa", connections=HANDSHAKES, goal=("best", 0.85)),
    Scenario("resumed", "resumed TLS 1.3 handshakes, P-256", "shake", front="https",
             connections=HANDSHAKES, resume=True, goal=("best", 0.85)),
    Scenario("resumed-1.2", "resumed TLS 1.2 handshakes, P-256", "shake", front="https",
             connections=HANDSHAKES, resume=True, tls="1.2", goal=("best", 0.85)),
    Scenario("idle-http", "bytes of an idle HTTP connection", "idle", goal=("bytes", 470)),
    Scenario("idle-tls", "bytes of an idle TLS connection", "idle", front="https",
             goal=("bytes", 8000)),
    Scenario("idle-ws", "bytes of an idle WebSocket connection", "idle", websocket=True),
]
