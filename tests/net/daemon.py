# SPDX-License-Identifier: BSD-2-Clause
"""shuntd and backend servers as objects of a test."""
import copy
import ctypes
import json
import os
import shlex
import signal
import socket
import subprocess

import yaml

import admin_http
from lab import BPFFS, HERE, PYTHON, TIMEOUT_S, binary, unique, wait_until

# Prefix for the daemon, such as "valgrind -q --error-exitcode=99".
WRAP = shlex.split(os.environ.get("SHUNT_WRAP", ""))
SANITIZER = {
    "ASAN_OPTIONS": "detect_leaks=1:abort_on_error=0:exitcode=98",
    "UBSAN_OPTIONS": "print_stacktrace=1:halt_on_error=1:exitcode=98",
}
REPORTS = ("ERROR: AddressSanitizer", "ERROR: LeakSanitizer", "runtime error:",
           "WARNING: ThreadSanitizer", "== ERROR SUMMARY")

# Small tables: a test makes and removes them in milliseconds.
SMALL_LIMITS = {"services": 64, "backends": 256, "ring_slots": 1 << 20, "flows": 1 << 16,
                "pending": 1 << 12, "guard": 1 << 12, "sources": 1 << 12,
                "nat": 1 << 12}


class Control:
    """The outcome of one shuntctl."""

    def __init__(self, done):
        self.rc, self.stdout, self.stderr = done.returncode, done.stdout, done.stderr

    def __iter__(self):
        return iter((self.rc, self.stdout, self.stderr))

    def __repr__(self):
        return f"exit {self.rc}\n{self.stdout}{self.stderr}"


PR_SET_CHILD_SUBREAPER = 36


class Successor:
    """A process that an upgrade has started, with what is needed of subprocess.Popen. It is this
    process's child once its own parent has ended."""

    def __init__(self, pid):
        self.pid, self.returncode = pid, None

    def poll(self):
        if self.returncode is None:
            try:
                pid, status = os.waitpid(self.pid, os.WNOHANG)
            except ChildProcessError:  # its parent still drains
                return None
            if pid:
                self.returncode = os.waitstatus_to_exitcode(status)
        return self.returncode

    def wait(self, timeout=20):
        wait_until(lambda: self.poll() is not None, timeout)
        return self.returncode

    def send_signal(self, number):
        os.kill(self.pid, number)

    def kill(self):
        self.send_signal(signal.SIGKILL)

    def terminate(self):
        self.send_signal(signal.SIGTERM)


class Daemon:
    """One shuntd with its own configuration file, control socket and pin path.

    config: a dict, or YAML text in which @PIN@ stands for the pin path. In a dict with
    node.interfaces the pin path and small limits are filled in where they are not said; with
    node.steer_sockets the pin path. program: another shuntd than the one that was built here."""

    def __init__(self, lab, config, ns=None, args=(), env=None, wrap=(), pin_path=None,
                 program=None):
        self.lab, self.ns, self.args = lab, ns, list(args)
        self.program = program or binary("shuntd")
        self.env = {**os.environ, **SANITIZER, **(env or {})}
        self.wrap = list(wrap)
        tag = unique("shuntd")
        self.pin_path = pin_path or f"{BPFFS}/{tag}"
        self.config_path = lab.path(tag + ".yaml")
        self.socket = lab.path(tag + ".sock")
        self.log_path = lab.path(tag + ".log")
        self.proc = None
        self.died_as_told = False
        self.write_config(config)
        if not pin_path:  # who gave it also removes it
            lab.at_close(self._purge)
        lab.at_close(self._check_and_end)

    # ---- configuration
    def write_config(self, config):
        """Replace the file; reload() makes the daemon read it."""
        if isinstance(config, dict):
            config = copy.deepcopy(config)
            node = config.setdefault("node", {})
            if node.get("interfaces"):
                node.setdefault("pin_path", self.pin_path)
                node["limits"] = {**SMALL_LIMITS, **node.get("limits", {})}
            elif "steer_sockets" in node:
                node.setdefault("pin_path", self.pin_path)
            node.setdefault("workers", 2)
            text = yaml.safe_dump(config, sort_keys=False)
        else:
            text = config.replace("@PIN@", self.pin_path)
        with open(self.config_path + ".new", "w", encoding="utf-8") as f:
            f.write(text)
        os.rename(self.config_path + ".new", self.config_path)

    # ---- life
    def command(self):
        return [*self.wrap, *WRAP, self.program, "-c", self.config_path,
                "--socket", self.socket, *self.args]

    def spawn(self):
        """Start without waiting for it to be ready."""
        self.died_as_told = False
        with open(self.log_path, "ab") as log:
            self.proc = self.lab.popen(self.command(), ns=self.ns, stdin=subprocess.DEVNULL,
                                       stdout=log, stderr=log, env=self.env)

    def start(self, timeout=20):
        self.spawn()
        wait_until(self.is_ready, timeout, what=lambda: "shuntd to be ready; its log:\n" + self.log)
        return self

    def is_ready(self):
        if self.proc.poll() is not None:
            raise AssertionError(f"shuntd ended with {self.proc.returncode}; its log:\n{self.log}")
        try:
            return self._status() is not None
        except OSError:
            return False

    def _status(self):
        """What `shuntctl status` shows, without a process; None: refused."""
        status, _, text = admin_http.request(0, "GET", "/v1/status", unix=self.socket)
        return json.loads(text) if status == 200 else None

    def wait_exit(self, timeout=20):
        """The exit status of a daemon that is expected to end by itself."""
        wait_until(lambda: self.proc.poll() is not None, timeout,
                   what=lambda: "shuntd to end; its log:\n" + self.log)
        self.died_as_told = True
        return self.proc.returncode

    def signal(self, number):
        self.proc.send_signal(number)

    def terminate(self, timeout=20):
        """SIGTERM; its exit status."""
        self.signal(signal.SIGTERM)
        return self.wait_exit(timeout)

    def sigkill(self):
        self.proc.kill()
        self.proc.wait()
        self.died_as_told = True

    def upgrade(self, *args, timeout=TIMEOUT_S):
        """shuntctl upgrade. This object is the new process; the former one, which drains."""
        ctypes.CDLL(None).prctl(PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0)
        done = self.ctl("-o", "json", "upgrade", *args, timeout=timeout)
        assert done.rc == 0, f"{done}{self.log}"
        former, reply = self.proc, json.loads(done.stdout)
        assert reply["former_pid"] == former.pid
        self.proc = Successor(reply["pid"])
        self.lab.at_close(self._end_former, former)
        return former

    def _end_former(self, former):
        for _ in range(2):
            if former.poll() is None:
                former.terminate()
        former.wait()

    def restart(self, timeout=20):
        """Start again with the same files, after sigkill() or terminate()."""
        if self.proc.poll() is None:
            assert self.terminate() == 0, self.log
        return self.start(timeout)

    def reload(self, config=None, timeout=20):
        """SIGHUP (with another configuration); returns once all workers have the new generation."""
        before = self.generation()
        if config is not None:
            self.write_config(config)
        self.signal(signal.SIGHUP)
        wait_until(lambda: self._status()["proxy"]["oldest_generation"] > before, timeout,
                   what=lambda: "the reload; the log:\n" + self.log)

    # ---- looking at it
    @property
    def log(self):
        with open(self.log_path, encoding="utf-8", errors="replace") as f:
            return f.read()

    def ctl(self, *args, timeout=TIMEOUT_S):
        argv = [binary("shuntctl"), "--socket", self.socket, *map(str, args)]
        return Control(subprocess.run(argv, capture_output=True, text=True, timeout=timeout,
                                      env={**os.environ, **SANITIZER}, check=False))

    def ctl_json(self, *args):
        done = self.ctl("-o", "json", *args)
        assert done.rc == 0, done
        return json.loads(done.stdout)

    def generation(self):
        return self._status()["generation"]

    # ---- end
    def _check_and_end(self):
        if self.proc is None:
            return
        if self.proc.poll() is None:
            status = self.terminate()
        else:
            status = self.proc.returncode
        expected = self.died_as_told and status in (0, 1, 2, -signal.SIGKILL)
        assert expected or status == 0, f"shuntd ended with {status}; its log:\n{self.log}"
        assert not any(word in self.log for word in REPORTS), self.log

    def _purge(self):
        if os.path.isdir(self.pin_path):
            argv = [binary("shunt-load"), "detach", "--all", "--purge", "--pin-path", self.pin_path]
            done = self.ns.run(argv, check=False) if self.ns else subprocess.run(
                argv, capture_output=True, text=True, check=False)
            assert done.returncode == 0, done.stdout + done.stderr
            if os.path.isdir(self.pin_path):
                os.rmdir(self.pin_path)


class Backend:
    """A server process (servers.py). http, tcp, udp: lists of "ADDR:PORT"."""

    def __init__(self, lab, name, ns=None, http=(), tcp=(), udp=()):
        self.name = name
        self.control = lab.path(unique(name) + ".ctl")
        argv = [PYTHON, os.path.join(HERE, "servers.py"), "--name", name,
                "--control", self.control]
        for kind, targets in (("http", http), ("tcp", tcp), ("udp", udp)):
            for target in targets:
                argv += ["--" + kind, target]
        self.proc = lab.popen(argv, ns=ns)
        wait_until(self._listens, 20, what=f"backend {name} to listen")

    def _listens(self):
        assert self.proc.poll() is None, f"backend {self.name} ended: {self.proc.returncode}"
        return os.path.exists(self.control)

    def ask(self, **what):
        """One command of servers.py's control; returns its counts."""
        with socket.socket(socket.AF_UNIX) as sock:
            sock.settimeout(TIMEOUT_S)
            sock.connect(self.control)
            sock.sendall(json.dumps(what).encode() + b"\n")
            with sock.makefile() as f:
                return json.loads(f.readline())

    def stats(self):
        return self.ask(do="stats")

    def set_health(self, status):
        """What /healthz answers from now on; 0: nothing."""
        self.ask(do="health", status=status)

    def release(self):
        """Let /hold go on."""
        self.ask(do="release")

    def kill(self):
        self.proc.kill()
        self.proc.wait()


class Client:
    """A clients.py process."""

    def __init__(self, lab, *args, ns=None):
        argv = [PYTHON, os.path.join(HERE, "clients.py"), *map(str, args)]
        self.proc = lab.popen(argv, ns=ns, text=True, stdin=subprocess.PIPE,
                              stdout=subprocess.PIPE)

    def result(self):
        """The next line that it prints."""
        line = self.proc.stdout.readline()
        assert line, f"client ended: {self.proc.wait()}"
        return json.loads(line)

    def poke(self):
        """Write one line to it and return what it prints then."""
        self.proc.stdin.write("\n")
        self.proc.stdin.flush()
        return self.result()

    def finish(self):
        """End its input and return its last line."""
        self.proc.stdin.close()
        return self.result()
