# SPDX-License-Identifier: BSD-2-Clause
"""shuntctl top: rates of services and backends, on a terminal and off it."""
import json
import os
import pty
import subprocess

import pytest

from lab import TIMEOUT_S, binary, wait_until


def once(proxy, *args):
    return proxy.daemon.ctl_json("top", "--once", *args)


def asker(proxy):
    """Requests that go on beside, of a process of curl."""
    url = f"http://127.0.0.1:{proxy.port}/[1-100000]"
    return subprocess.Popen(["curl", "-s", "-o", "/dev/null", "--rate", "20/s", url],
                            stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)


@pytest.fixture(name="busy")
def fixture_busy(http_proxy):
    """A proxy with requests under way."""
    proxy = http_proxy()
    proc = asker(proxy)
    try:
        wait_until(lambda: proxy.daemon.ctl_json("service", "show", "web")["http"]["requests"] > 3,
                   what="requests")
        yield proxy
    finally:
        proc.kill()
        proc.wait()


def test_rates_are_those_of_the_traffic(busy):
    row = once(busy)["services"][0]
    assert row["name"] == "web" and row["state"] == "http"
    assert 1 < row["requests"] < 100 and row["bytes"] > row["requests"], row
    assert row["packets"] == row["errors"] == 0 and row["active"] >= 1, row
    row = once(busy, "backends")["backends"][0]
    assert row["name"] == "web/b1" and 1 < row["requests"] < 100, row
    shown = busy.daemon.ctl("top", "-b", "--sort", "requests")
    assert shown.rc == 0 and "REQUESTS/s" in shown.stdout and "\033" not in shown.stdout


def test_keys_on_a_terminal(busy):
    """What is drawn follows the keys, and the terminal is given back."""
    master, slave = pty.openpty()
    proc = subprocess.Popen([binary("shuntctl"), "--socket", busy.daemon.socket, "top"],
                            stdin=slave, stdout=slave, stderr=slave)
    os.close(slave)
    os.set_blocking(master, False)
    seen = []

    def shows(text):
        try:
            seen.append(os.read(master, 65536).decode())
        except BlockingIOError:
            pass
        return text in "".join(seen)
    try:
        wait_until(lambda: shows("services by bytes"), what="the first table")
        for key, text in ((b"s", "services by errors"), (b"\033[D", "services by bytes"),
                          (b"b", "backends by bytes"), (b"\033[C", "backends by errors")):
            seen.clear()
            os.write(master, key)
            wait_until(lambda text=text: shows(text), what=lambda: f"{text}: {''.join(seen)}")
        os.write(master, b"q")
        wait_until(lambda: shows("\033[?1049l"), what="the terminal's former screen")
        assert proc.wait(TIMEOUT_S) == 0
    finally:
        proc.kill()
        proc.wait()
        os.close(master)


def test_what_cannot_be_shown_is_refused(http_proxy):
    daemon = http_proxy().daemon
    assert daemon.ctl("top", "cats").rc == 2
    assert "latency_us" in daemon.ctl("top", "--sort", "cats").stderr
    assert json.loads(daemon.ctl("-o", "json", "top", "backends").stdout)["backends"]
