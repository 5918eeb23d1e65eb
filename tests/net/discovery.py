# SPDX-License-Identifier: BSD-2-Clause
"""A proxy whose backends are found, and what is seen of them."""
import collections

from lab import wait_until

GET = "GET / HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n"


def rows(proxy):
    return {b["address"]: b for b in proxy.daemon.ctl_json("backend", "list")["backends"]}


def discovery(proxy, name="web"):
    return proxy.daemon.ctl_json("pool", "show", name)["discover"]


def make(http_proxy, conf, **kw):
    """A proxy whose pool lists nobody."""
    proxy = http_proxy(start=False, **kw)
    proxy.config["pools"]["web"] = conf
    proxy.daemon.write_config(proxy.config)
    proxy.daemon.start()
    return proxy


def wait_rows(proxy, *addresses):
    wait_until(lambda: set(rows(proxy)) == set(addresses), 15,
               what=lambda: f"{addresses}, not {set(rows(proxy))}: {discovery(proxy)}")


def served_by(proxy, count=30):
    by = collections.Counter()
    for _ in range(count):
        reply = proxy.ask(GET)
        assert reply.status == 200, reply
        by[reply.get("X-Backend")] += 1
    return by


def at(port, *hosts):
    return [f"127.0.9.{i}:{port}" for i in hosts]
