# SPDX-License-Identifier: BSD-2-Clause
"""What a backend is told about the hops in front of it, and by whom."""
import pytest

from http1 import OK

CLAIMS = [("X-Forwarded-For", "192.0.2.1"), ("X-Forwarded-Proto", "https"),
          ("X-Forwarded-Host", "b"), ("X-Real-IP", "192.0.2.1"), ("Forwarded", "for=192.0.2.1")]
REQUEST = ("GET / HTTP/1.1\r\nHost: a\r\n" +
           "".join(f"{name}: {value}\r\n" for name, value in CLAIMS) + "\r\n")


def kept(addr):
    element = f'for="[{addr}]"' if ":" in addr else f"for={addr}"
    return [("Host", "a"), *CLAIMS[1:], ("X-Forwarded-For", f"192.0.2.1, {addr}"),
            ("Forwarded", f"{element};proto=http"), ("Via", "1.1 shunt")]


def replaced(addr):
    return [("Host", "a"), ("X-Forwarded-For", addr), ("X-Forwarded-Proto", "http"),
            ("X-Forwarded-Host", "a"), ("Via", "1.1 shunt")]


@pytest.mark.parametrize("addr,near,far", [("127.0.0.1", "127.0.0.0/8", "128.0.0.0/1"),
                                           ("::1", "::1", "::2/127")])
def test_only_a_trusted_proxy_is_believed(http_proxy, addr, near, far):
    seen = []

    def serve(peer):
        while True:
            seen.append(peer.message().fields)
            peer.send(OK)
    proxy = http_proxy(serve, addr=addr, trusted_proxies=[near, far])
    with proxy.connect() as client:
        assert client.ask(REQUEST).status == 200
        assert seen.pop() == kept(addr)
        for trusted in ([], [far], ["192.0.2.0/24", "2001:db8::/32"]):
            proxy.config["services"]["web"]["trusted_proxies"] = trusted
            proxy.daemon.reload(proxy.config)
            assert client.ask(REQUEST).status == 200  # on the same connection
            assert seen.pop() == replaced(addr)
