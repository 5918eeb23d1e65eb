# SPDX-License-Identifier: BSD-2-Clause
"""The clients: how each is called, and what it says at its end."""
import contextlib
import json
import math
import os
import re
import signal
import subprocess

from common import BenchError
from lab import PATIENCE, binary

SHAKE = "bench/proxy/shake"
UNITS = {"us": 1.0, "ms": 1e3, "s": 1e6, "m": 60e6}
# What a client runs longer than it is measured, for its beginning; more where that was too little.
MARGINS_S = (1, 4, 16)
GOODBYE_S = 30


class TooEarly(Exception):
    """The client ended while it was measured."""


def microseconds(text):
    number, unit = re.fullmatch(r"([0-9.]+)(us|ms|s|m)", text).groups()
    return float(number) * UNITS[unit]


class Client:
    """One run of a client against a target."""

    def __init__(self, target, seconds):
        """It runs for so many seconds, or until it is told to stop if it can be told."""
        self.target, self.bench, self.scenario = target, target.bench, target.scenario
        self.seconds = seconds
        self.proc = self.bench.popen(self.command(), self.bench.options.client_cpu, text=True,
                                     stdout=subprocess.PIPE, stderr=subprocess.STDOUT)

    def command(self):
        raise NotImplementedError

    def read(self, out):
        """{"requests", "errors", "error", "p50_us", "p99_us"} of what it printed."""
        raise NotImplementedError

    def stop(self):
        """Its measurement is over: it may end."""

    def finish(self):
        self.stop()
        out, _ = self.proc.communicate(timeout=self.seconds + GOODBYE_S * PATIENCE)
        if self.proc.returncode:
            raise BenchError(f"{self.scenario.client} against {self.target.name} ended with "
                             f"{self.proc.returncode}: {out}")
        try:
            return self.read(out)
        except (AttributeError, ValueError, KeyError, TypeError) as exc:
            raise BenchError(f"{self.scenario.client} said what is not understood: {out}") from exc

    def counter(self):
        """The file of the number of requests, while they go on."""
        return self.bench.path("origin.count")


class Wrk(Client):
    def command(self):
        s = self.scenario
        last = ["-H", "Connection: close"] if s.last else []
        return ["wrk", "-t1", f"-c{s.connections}", f"-d{math.ceil(self.seconds) + 60}s",
                "--timeout", "10s", "--latency", *last, self.target.url()]

    def stop(self):
        self.proc.send_signal(signal.SIGINT)

    def read(self, out):
        latency = {percent: microseconds(re.search(rf"^\s+{percent}%\s+(\S+)\s*$", out, re.M)[1])
                   for percent in (50, 99)}
        errors = {}
        broken = re.search(r"Socket errors: connect (\d+), read (\d+), write (\d+), timeout (\d+)",
                           out)
        if broken:
            errors = dict(zip(("connect", "read", "write", "timeout"), map(int, broken.groups())))
        bad = re.search(r"Non-2xx or 3xx responses: (\d+)", out)
        errors["status"] = int(bad[1]) if bad else 0
        return {"requests": int(re.search(r"(\d+) requests in", out)[1]),
                "errors": sum(errors.values()),
                "error": ", ".join(f"{n} {what}" for what, n in errors.items() if n),
                "p50_us": latency[50], "p99_us": latency[99]}


class H2load(Client):
    def command(self):
        s, grpc = self.scenario, []
        # In a folder of its own: that of the configuration is watched, each line would be heard of.
        self.log = os.path.join(self.bench.path("h2load"), "log")
        os.makedirs(os.path.dirname(self.log), exist_ok=True)
        if s.front == "grpc":
            grpc = ["-d", self.bench.message, "-H", "content-type: application/grpc",
                    "-H", "te: trailers"]
        return ["h2load", "-t1", f"-c{s.connections}", f"-m{s.streams}",
                "-D", f"{self.seconds * 1e3:.0f}ms", f"--log-file={self.log}", *grpc,
                self.target.url()]

    def read(self, out):
        # What was under way when the time was over is neither done nor an error.
        names = ("total", "started", "done", "succeeded", "failed", "errored", "timeout")
        line = re.search(r"requests: " + ", ".join(rf"(\d+) {name}" for name in names), out)
        counts = dict(zip(names, map(int, line.groups())))
        with open(self.log, encoding="ascii") as log:
            times = sorted(int(line.split()[2]) for line in log)
        if not times:
            raise BenchError(f"h2load got no answer from {self.target.name}: {out}")
        with open(self.log, "wb"):
            pass  # the next run appends to it
        # An error of gRPC has status 200 too, but no body.
        bodies = int(re.search(r"\((\d+)\) data", out)[1]) // self.scenario.body
        empty = max(counts["succeeded"] - bodies, 0)
        bad = counts["done"] - counts["succeeded"] + counts["errored"] + counts["timeout"] + empty
        return {"requests": counts["done"], "errors": bad,
                "error": f"{line[0]}; {empty} without a body" if bad else "",
                "p50_us": times[len(times) // 2], "p99_us": times[len(times) * 99 // 100]}

    def counter(self):
        return None if self.scenario.front == "grpc" else super().counter()


class Shake(Client):
    def command(self):
        s = self.scenario
        with contextlib.suppress(FileNotFoundError):
            os.unlink(self.counter())  # it begins anew with each run
        return [binary(SHAKE), "--port", str(self.target.port), "--tls", s.tls,
                "--counter", self.counter(), "--parallel", str(s.connections),
                "--seconds", str(self.seconds), *(["--resume"] if s.resume else [])]

    def counter(self):
        return self.bench.path("shake.count")

    def read(self, out):
        said = json.loads(out)
        errors, text = said["failed"], said["error"]
        if self.scenario.resume and said["full"]:
            errors += said["full"]
            text += f" {said['full']} were not resumed"
        return {"requests": said["done"], "errors": errors, "error": text.strip(),
                "p50_us": said["p50_us"], "p99_us": said["p99_us"]}


CLIENTS = {"wrk": Wrk, "h2load": H2load, "shake": Shake}
