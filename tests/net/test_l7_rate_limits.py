# SPDX-License-Identifier: BSD-2-Clause
"""Rate limits: who is refused and told when to come again, who waits, and how exact it is."""
import concurrent.futures
import re
import time

import pytest

from h2peer import get, open_h2

BOTH = pytest.mark.parametrize("version", [1, 2])


def limited(http_proxy, limits, start=True, **service):
    """A proxy whose configuration has these rate limits."""
    proxy = http_proxy(start=False, **service)
    proxy.config["rate_limits"] = limits
    proxy.daemon.write_config(proxy.config)
    if start:
        proxy.daemon.start()
    return proxy


def ask(proxy, path="/", version=1, host="a", **fields):
    if version == 2:
        with open_h2(proxy) as client:
            return client.ask(get(path, host, **fields))
    lines = "".join(f"{k.replace('_', '-')}: {v}\r\n" for k, v in fields.items())
    return proxy.ask(f"GET {path} HTTP/1.1\r\nHost: {host}\r\n{lines}\r\n")


def shown(proxy, name):
    limits = proxy.daemon.ctl_json("limit", "list")["limits"]
    return next(row for row in limits if row["name"] == name)


@BOTH
def test_more_is_refused_and_told_when(http_proxy, version):
    proxy = limited(http_proxy, {"few": {"rate": "2/1h", "key": 'header["x-user"]'}},
                    rate_limit=["few"])
    assert [ask(proxy, version=version, x_user="a").status for _ in range(3)] == [200, 200, 429]
    assert ask(proxy, version=version, x_user="b").status == 200
    refused = ask(proxy, version=version, x_user="a")
    assert refused.status == 429 and b"too many requests" in bytes(refused.body)
    retry = int(refused.get("Retry-After"))
    assert 1700 <= retry <= 1800
    assert refused.get("RateLimit-Policy") == '"few";q=2;w=3600'
    assert refused.get("RateLimit") == f'"few";r=0;t={retry}'
    row = shown(proxy, "few")
    assert (row["hits"], row["limited"], row["entries"], row["evicted"]) == (5, 2, 2, 0)
    assert proxy.counter("rate_limited") == 2
    assert re.search(r"few +token-bucket +2/h .* 5 +2 +0 +2/65536 +0",
                     proxy.daemon.ctl("limit", "list").stdout)


def test_the_connection_goes_on(http_proxy):
    proxy = limited(http_proxy, {"one": {"rate": "1/1h"}}, rate_limit="one", routes=[
        {"match": {"path": {"exact": "/free"}}, "pool": "web"}])
    with proxy.connect() as peer:
        assert peer.ask("GET / HTTP/1.1\r\nHost: a\r\n\r\n").status == 200
        for _ in range(3):
            assert peer.ask("GET / HTTP/1.1\r\nHost: a\r\n\r\n").status == 429
        assert peer.ask("HEAD / HTTP/1.1\r\nHost: a\r\n\r\n", no_body=True).status == 429
        assert peer.ask("POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 3\r\n\r\nabc").status == 429
        assert peer.is_closed()


def test_grpc_is_told_in_its_words(http_proxy):
    proxy = limited(http_proxy, {"one": {"rate": "1/1h"}}, rate_limit="one")
    assert ask(proxy, version=2, content_type="application/grpc").status == 200
    refused = ask(proxy, version=2, content_type="application/grpc")
    assert refused.status == 200 and refused.get("grpc-status") == "8"
    assert not refused.body


def test_by_route_and_service(http_proxy):
    limits = {"each": {"rate": "1/1h", "per": "route"}, "all": {"rate": "3/1h"},
              "dry": {"rate": "1/1h", "dry_run": "on"}}
    proxy = limited(http_proxy, limits, rate_limit=["dry", "all"], routes=[
        {"name": "a", "match": {"path": {"prefix": "/a"}}, "rate_limit": "each", "pool": "web"},
        {"name": "b", "match": {"path": {"prefix": "/b"}}, "rate_limit": ["each"],
         "respond": {"status": 204}}])
    assert [ask(proxy, "/a").status for _ in range(2)] == [200, 429]
    assert ask(proxy, "/b").status == 204
    refused = ask(proxy, "/b")
    assert refused.status == 429 and refused.get("RateLimit").startswith('"all"')
    assert shown(proxy, "dry")["limited"] == 3 and shown(proxy, "each")["limited"] == 1


def test_a_leaky_bucket_makes_them_wait(http_proxy):
    proxy = limited(http_proxy, {"slow": {"algorithm": "leaky-bucket", "rate": "10/s", "burst": 4}},
                    rate_limit="slow")
    begin = time.monotonic()
    with concurrent.futures.ThreadPoolExecutor(5) as pool:
        answers = list(pool.map(lambda _: ask(proxy).status, range(5)))
    assert answers == [200] * 5 and time.monotonic() - begin > 0.35
    assert shown(proxy, "slow")["delayed"] >= 3


def test_who_waits_may_go_away(http_proxy):
    proxy = limited(http_proxy, {"slow": {"algorithm": "leaky-bucket", "rate": "1/30s",
                                          "burst": 1}}, rate_limit="slow")
    assert ask(proxy).status == 200
    with proxy.connect() as peer:
        peer.send("GET / HTTP/1.1\r\nHost: a\r\n\r\n")
        proxy.wait(lambda: shown(proxy, "slow")["delayed"] == 1)
        assert ask(proxy).status == 429
    proxy.wait_counter("aborted", 1)


def test_a_table_that_is_full_forgets_and_counts(http_proxy):
    proxy = limited(http_proxy, {"few": {"rate": "1/1h", "key": "path", "entries": 8}},
                    rate_limit="few")
    assert all(ask(proxy, f"/{i}").status == 200 for i in range(12))
    row = shown(proxy, "few")
    assert (row["entries"], row["entries_max"], row["evicted"]) == (8, 8, 4)


def test_reload_keeps_the_accounts(http_proxy):
    proxy = limited(http_proxy, {"a": {"rate": "1/1h"}, "b": {"rate": "1/1h"}}, routes=[
        {"match": {"path": {"exact": f"/{name}"}}, "rate_limit": name, "pool": "web"}
        for name in "ab"])
    assert [ask(proxy, f"/{name}").status for name in "ab"] == [200, 200]
    proxy.config["rate_limits"]["b"]["rate"] = "2/1h"
    proxy.config["rate_limits"]["c"] = {"rate": "9/s"}
    proxy.daemon.write_config(proxy.config)
    changes = proxy.daemon.ctl_json("config", "apply", proxy.daemon.config_path)["changes"]
    assert {c["object"] for c in changes} == {"rate limit b", "rate limit c"}
    assert [ask(proxy, f"/{name}").status for name in "ab"] == [429, 200]


@pytest.mark.parametrize("algorithm", ["token-bucket", "sliding-window", "leaky-bucket"])
def test_all_workers_keep_one_rate(http_proxy, algorithm):
    """More than is taken, on connections to all workers: what is taken is the rate times the time
    that passed, by the clock of whoever asks. What a pause of theirs leaves unused is made up for,
    by the burst, the window, or by those that wait."""
    rate, clients, seconds = 100, 16, 6
    limits = {"r": {"algorithm": algorithm, "rate": f"{rate}/s"}}
    if algorithm != "sliding-window":
        limits["r"]["burst"] = rate // 4
    proxy = limited(http_proxy, limits, rate_limit="r", workers=4)

    def one(until):
        taken = []
        with proxy.connect() as peer:
            while time.monotonic() < until:
                status = peer.ask("GET / HTTP/1.1\r\nHost: a\r\n\r\n").status
                taken += [time.monotonic()] if status == 200 else []
        return taken
    begin = time.monotonic()
    with concurrent.futures.ThreadPoolExecutor(clients) as pool:
        taken = sorted(t for some in pool.map(one, [begin + seconds] * clients) for t in some)
    row = shown(proxy, "r")
    assert row["limited"] + row["delayed"] > len(taken) / 10, "they did not ask for more"
    # A second and a half after the first, so that what may come at once has come.
    late = [t for t in taken if t > begin + 1.5]
    assert abs((len(late) - 1) / (late[-1] - late[0]) / rate - 1) < 0.05
