# SPDX-License-Identifier: BSD-2-Clause
"""shuntctl top: rates of services and backends, on a terminal and off it."""
import contextlib
import json
import os
import pty
import signal
import subprocess
import termios

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
    assert 0 < row["p50_us"] <= row["p99_us"] <= 60e6, row
    row = once(busy, "backends")["backends"][0]
    assert row["name"] == "web/b1" and 1 < row["requests"] < 100, row
    shown = busy.daemon.ctl("top", "-b", "--sort", "requests")
    assert shown.rc == 0 and "REQUESTS/s" in shown.stdout and "\033" not in shown.stdout


class Terminal:
    """shuntctl top on a terminal of its own."""

    def __init__(self, socket):
        self.master, slave = pty.openpty()
        self.former = termios.tcgetattr(self.master)
        self.proc = subprocess.Popen([binary("shuntctl"), "--socket", socket, "top"], stdin=slave,
                                     stdout=slave, stderr=slave)
        self.slave = slave  # open: what was written last stays readable
        os.set_blocking(self.master, False)
        self.text = ""

    def wait(self, text):
        """Until it was shown after what was waited for before."""
        def shows():
            with contextlib.suppress(BlockingIOError):
                self.text += os.read(self.master, 65536).decode()
            return text in self.text
        wait_until(shows, what=lambda: f"{text}: {self.text}")
        self.text = self.text[self.text.index(text) + len(text):]

    def press(self, key):
        self.text = ""
        os.write(self.master, key)

    def ended(self):
        """With the terminal as it was; the status."""
        self.wait("\033[?1049l")
        status = self.proc.wait(TIMEOUT_S)
        assert termios.tcgetattr(self.master) == self.former
        return status

    def close(self):
        self.proc.kill()
        self.proc.wait()
        os.close(self.master)
        os.close(self.slave)


@pytest.fixture(name="terminal")
def fixture_terminal(busy):
    made = Terminal(busy.daemon.socket)
    yield made
    made.close()


def test_keys_on_a_terminal(terminal):
    """What is drawn follows the keys, and the terminal is given back."""
    terminal.wait("services by bytes")
    for key, text in ((b"s", "services by errors"), (b"\033[D", "services by bytes"),
                      (b"b", "backends by bytes"), (b"\033[C", "backends by errors")):
        terminal.press(key)
        terminal.wait(text)
    terminal.press(b"q")
    assert terminal.ended() == 0


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGHUP])
def test_who_is_ended_gives_the_terminal_back(terminal, number):
    terminal.wait("services by bytes")
    terminal.proc.send_signal(number)
    assert terminal.ended() == -number


def test_what_cannot_be_shown_is_refused(http_proxy):
    daemon = http_proxy().daemon
    assert daemon.ctl("top", "cats").rc == 2
    assert "latency_us" in daemon.ctl("top", "--sort", "cats").stderr
    assert json.loads(daemon.ctl("-o", "json", "top", "backends").stdout)["backends"]
