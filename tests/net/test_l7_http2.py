# SPDX-License-Identifier: BSD-2-Clause
"""HTTP/2 from clients: requests as streams, in front of HTTP/1 backends."""
import hashlib
import os
import subprocess

import pytest

from h2peer import get, open_h2
from http1 import TIMEOUT_S, see

CHUNKED = "Transfer-Encoding: chunked\r\n\r\n"


def test_requests_over_one_connection(http_proxy):
    seen = []
    proxy = http_proxy(see(seen))
    with open_h2(proxy) as client:
        for i in range(5):
            reply = client.ask(get(f"/{i}", x_test="yes"))
            assert (reply.status, reply.body, reply.ended) == (200, b"hi", True), reply
    assert [m.start for m in seen] == [f"GET /{i} HTTP/1.1" for i in range(5)]
    assert (seen[0].get("Host"), seen[0].get("X-Test"), seen[0].get("Via")) == \
        ("a", "yes", "2.0 shunt")
    assert proxy.scripts[0].connections == 1
    assert proxy.counter("http2_connections") == 1
    assert (proxy.counter("connections"), proxy.counter("requests")) == (1, 5)


@pytest.mark.parametrize("addr", ["127.0.0.1", "::1"])
def test_curl_by_prior_knowledge(http_proxy, addr):
    proxy = http_proxy(addr=addr)
    host = f"[{addr}]" if ":" in addr else addr
    done = subprocess.run(
        ["curl", "-sS", "--http2-prior-knowledge", "-w", "%{http_version}\n",
         f"http://{host}:{proxy.port}/"], capture_output=True, check=False, timeout=TIMEOUT_S)
    assert done.stdout == b"hi2\n", done


@pytest.mark.parametrize("version", ["1.2", "1.3"])
def test_curl_over_tls(tls_proxy, ca, version):
    proxy = tls_proxy()
    url = f"https://example.org:{proxy.port}/"
    done = subprocess.run(
        ["curl", "-sS", "--http2", "--cacert", ca.pem, f"--tlsv{version}", "--tls-max", version,
         "--connect-to", f"::127.0.0.1:{proxy.port}", "-w", "%{num_connects} %{http_version}\n",
         url, url], capture_output=True, check=False, timeout=TIMEOUT_S)
    assert done.stdout == b"hi1 2\nhi0 2\n", done


@pytest.mark.parametrize("size", [0, 1, 16384, 100000, 5000000])
def test_bodies_both_ways(http_proxy, size):
    body = os.urandom(size)
    seen = []

    def serve(peer):
        while True:
            message = peer.message()
            seen.append(message)
            peer.send(f"HTTP/1.1 200 OK\r\nContent-Length: {size}\r\n\r\n")
            peer.send(message.body)
    proxy = http_proxy(serve)
    with open_h2(proxy) as client:
        for length in (None, str(size)):
            fields = get(method="POST", **({"content_length": length} if length else {}))
            reply = client.ask(fields, body)
            assert reply.status == 200
            assert hashlib.sha256(reply.body).digest() == hashlib.sha256(body).digest()
    framing = (seen[0].get("Transfer-Encoding"), seen[0].get("Content-Length"))
    # Where the end came together with the header there is no body.
    assert framing == ("chunked", None) or (size == 0 and framing == (None, "0"))
    assert (seen[1].get("Transfer-Encoding"), seen[1].get("Content-Length")) == (None, str(size))


def test_h2load(tls_proxy):
    proxy = tls_proxy()
    done = subprocess.run(["h2load", "-n", "2000", "-c", "4", "-m", "20",
                           f"https://127.0.0.1:{proxy.port}/"],
                          capture_output=True, check=False, timeout=TIMEOUT_S)
    assert b"2000 succeeded, 0 failed, 0 errored" in done.stdout, done


@pytest.mark.parametrize("count", [1, 60])
def test_large_headers_both_ways(http_proxy, count):
    value = "v" * (24000 // count)
    names = [f"x-{i}" for i in range(count)]
    seen = []

    def serve(peer):
        seen.append(peer.message())
        peer.send("HTTP/1.1 200 OK\r\nContent-Length: 2\r\n" +
                  "".join(f"{n}: {value}\r\n" for n in names) + "\r\nhi")
    proxy = http_proxy(serve)
    with open_h2(proxy) as client:
        reply = client.ask([*get(), *((n, value) for n in names)])
    assert reply.body == b"hi"
    assert all(reply.get(n) == value and seen[0].get(n) == value for n in names)
