#!/usr/bin/python3
# SPDX-License-Identifier: BSD-2-Clause
"""`make demo`: Shunt on a small network of namespaces, with real traffic, step by step.

    client --- router --- balancer (shuntd)
                 |
                 +--- web-1, web-2, web-3     steered to in the kernel, answer the client directly
                 +--- api-1, api-2            proxied to

The network and the programs on it are those of tests/net; the configuration is demo.yaml beside
this file. Every step checks what it claims and ends the demo with an error if it is not so.
KEEP=1 in the environment leaves all standing until Ctrl-C.
"""
import collections
import os
import shlex
import signal
import subprocess
import sys
import time

HERE = os.path.dirname(os.path.abspath(__file__))
sys.path.insert(0, os.path.join(HERE, "..", "tests", "net"))

# pylint: disable=wrong-import-position
from daemon import Backend, Client, Daemon
from lab import Lab, Topology, binary, mount_bpffs, wait_until

PIN_PATH = "/sys/fs/bpf/shunt-demo"  # in demo.yaml; each run has one of its own instead of it
WEB = ["web-1", "web-2", "web-3"]
API = ["api-1", "api-2"]
VIP4, VIP6 = "203.0.113.10", "2001:db8:113::10"
API4, API6 = "203.0.113.20", "2001:db8:113::20"


class DemoError(Exception):
    """A step did not show what it promised."""


def expect(condition, what):
    if not condition:
        raise DemoError(what)
    print(f"   ok: {what}", flush=True)


class Demo:
    def __init__(self, lab):
        self.lab = lab
        self.started = time.monotonic()
        self.step_number = 0
        self.servers = {}
        self.net = None
        self.shuntd = None

    # ---- saying and doing
    def step(self, text):
        self.step_number += 1
        print(f"\n== {self.step_number}. {text}  [{time.monotonic() - self.started:.1f} s]",
              flush=True)

    def ctl(self, *args):
        """Run shuntctl and show it as a user would see it."""
        print("   $ shuntctl " + shlex.join(args))
        done = self.shuntd.ctl(*args)
        print("".join(f"     {line}\n" for line in (done.stdout + done.stderr).splitlines()),
              end="", flush=True)
        if done.rc:
            raise DemoError(f"shuntctl exits with 0, not {done.rc}")

    def by_backend(self, target, count):
        """Who answered `count` new TCP connections."""
        result = Client(self.lab, "connect", target, "--count", count, ns=self.net.client).result()
        shares = ", ".join(f"{k} {v}" for k, v in sorted(result["by"].items()))
        print(f"   {count} new connections to {target}: {shares}")
        expect(not result["errors"], f"none of them failed {result['errors'] or ''}".rstrip())
        return result["by"]

    def get(self, url, count=1):
        """curl from the client, one connection for all requests; who answered how many."""
        command = ["curl", "-sS", "--noproxy", "*", "--max-time", "20",
                   "-w", "%header{x-backend} %{http_code}\n"]
        for _ in range(count):
            command += ["-o", "/dev/null", url]
        done = self.net.client.run(command, check=False)
        by = collections.Counter(done.stdout.split("\n")[:-1])
        print(f"   {count} requests to {url}: " + ", ".join(f"{k} ({v}x)" for k, v in by.items()))
        expect(done.returncode == 0 and all(k.endswith(" 200") for k in by),
               f"every answer is 200 {done.stderr}".rstrip())
        return {k.split(" ")[0]: v for k, v in by.items()}

    # ---- the stage
    def build(self):
        self.step("A client, a router, a balancer and five backends")
        self.net = Topology(self.lab, backends=5)
        boxes = dict(zip(WEB + API, self.net.backends.values()))
        self.net.serve_vips(VIP4, VIP6, backends=["b1", "b2", "b3"])
        for name in WEB:
            ns = boxes[name]
            self.servers[name] = Backend(
                self.lab, name, ns=ns,
                http=[f"{VIP4}:80", f"[{VIP6}]:80", f"{ns.addr4}:8080", f"[{ns.addr6}]:8080"],
                tcp=[f"{VIP4}:7", f"[{VIP6}]:7"], udp=[f"{VIP4}:7", f"[{VIP6}]:7"])
        for name in API:
            ns = boxes[name]
            self.servers[name] = Backend(self.lab, name, ns=ns,
                                         http=[f"{ns.addr4}:8080", f"[{ns.addr6}]:8080"])
        # The addresses of proxied services are the balancer's own.
        self.net.balancer.ip(f"addr add {API4}/32 dev lo", f"addr add {API6}/128 dev lo")
        print("   web-1 to web-3 carry the service addresses on lo; `shunt-decap` takes the tunnel "
              "header off")

    def start(self):
        self.step("shuntd with examples/demo.yaml")
        with open(os.path.join(HERE, "demo.yaml"), encoding="utf-8") as f:
            text = f.read()
        self.shuntd = Daemon(self.lab, text.replace(PIN_PATH, "@PIN@"), ns=self.net.balancer)
        self.shuntd.start()
        wait_until(self.all_healthy, 3, what="all backends to be up")
        self.ctl("status")
        self.ctl("backend", "list")

    def backends(self):
        return self.shuntd.ctl_json("backend", "list")["backends"]

    def all_healthy(self):
        return all(b["health"]["state"] == "up" for b in self.backends())

    # ---- the steps
    def steer(self):
        self.step("L4: new connections over three backends, answered directly")
        for vip in (VIP4, f"[{VIP6}]"):
            expect(sorted(self.by_backend(f"{vip}:7", 300)) == WEB, "all three backends answer")
        udp = Client(self.lab, "udp", f"{VIP4}:7", "--flows", 60, ns=self.net.client).result()
        expect(udp["lost"] == 0 and sorted(udp["by"]) == WEB, f"UDP as well: {udp['by']}")
        self.get(f"http://[{VIP6}]/bytes/1000000", 3)
        self.ctl("service", "show", "web")

    def proxy(self):
        self.step("L7: requests of one connection over two backends")
        for vip in (API4, f"[{API6}]"):
            expect(sorted(self.get(f"http://{vip}/", 10)) == API, "both backends answer")
        self.ctl("service", "show", "api")

    def download(self, url):
        """A curl that waits for the last byte of a long answer: process, file, who sends it."""
        out, head = self.lab.path("download"), self.lab.path("head")
        for path in (out, head):
            if os.path.exists(path):
                os.unlink(path)
        proc = self.net.client.popen(["curl", "-sS", "--noproxy", "*", "-N", "-o", out, "-D", head,
                                      "--max-time", "60", url])

        def sender():
            if not os.path.exists(out) or os.path.getsize(out) < 1000000:
                return None
            with open(head, encoding="latin-1") as f:
                fields = [line.partition(": ") for line in f]
            return next(v.strip() for k, _, v in fields if k.lower() == "x-backend")
        return proc, out, wait_until(sender, 30, what="the download to run")

    def drain(self, pool, url, new_target):
        """new_target: who answers new connections (web) or requests (api) is asked there."""
        self.step(f"A backend of pool {pool} is drained while a long download runs through it")
        size = 5000000
        proc, out, name = self.download(f"{url}/hold/{size}")
        print(f"   {name} sends {size} bytes, {os.path.getsize(out)} of them have come")
        self.ctl("backend", "drain", pool, name)
        by = self.by_backend(new_target, 100) if pool == "web" else self.get(new_target, 20)
        expect(name not in by, f"nothing new goes to {name}")
        self.servers[name].release()
        expect(proc.wait(timeout=30) == 0 and os.path.getsize(out) == size,
               f"the download is whole: {os.path.getsize(out)} bytes")
        self.ctl("backend", "undrain", pool, name)

    def kill_backend(self):
        self.step("A backend dies; the health check takes it out")
        start = time.monotonic()
        self.servers["web-2"].kill()
        wait_until(lambda: any(b["name"] == "web-2" and b["health"]["state"] == "down"
                               for b in self.backends()), 20, what="web-2 to be down")
        print(f"   found down after {time.monotonic() - start:.1f} s")
        by = self.by_backend(f"{VIP4}:7", 300)
        expect(sorted(by) == ["web-1", "web-3"], "new connections go to the other two")
        self.ctl("health")

    def kill_shuntd(self):
        self.step("shuntd is killed (SIGKILL) under steady L4 traffic, and started again")
        steady = Client(self.lab, "steady", f"{VIP4}:7", "--flows", 16, "--rate", 1000,
                        ns=self.net.client)
        print(f"   {steady.result()['ready']} TCP and UDP flows, 1000 messages a second")
        before = self.tx_packets()
        self.shuntd.sigkill()
        print("   killed; user space is gone, the program stays:")
        done = self.net.balancer.run([binary("shunt-load"), "status", "--pin-path",
                                     self.shuntd.pin_path])
        print("".join(f"     {line}\n" for line in done.stdout.splitlines()), end="", flush=True)
        time.sleep(3)  # a few thousand messages through the kernel alone
        self.shuntd.start()
        print("   started again")
        after = self.tx_packets()
        result = steady.finish()
        sent = result["tcp_sent"] + result["udp_sent"]
        back = result["tcp_back"] + result["udp_back"]
        print(f"   {sent} messages sent, {back} answered; packets steered: {before} before, "
              f"{after} after")
        expect(sent == back and not result["errors"] and not result["moved"] and after > before,
               "no message was lost and no flow changed its backend")

    def tx_packets(self):
        return self.shuntd.ctl_json("status")["l4"]["verdicts"]["tx"]

    def look_around(self):
        nsenter = f"nsenter --net={self.net.client.path}"
        print(f"""
Everything is left standing until Ctrl-C. In another terminal:

  {binary('shuntctl')} --socket {self.shuntd.socket} status
  {binary('shuntctl')} --socket {self.shuntd.socket} backend list
  {binary('shunt-load')} status --pin-path {self.shuntd.pin_path}
  {nsenter} curl http://{VIP4}/headers         # steered
  {nsenter} curl http://{API4}/headers         # proxied
  nsenter --net={self.net.router.path} tcpdump -ni lb      # packets to and from the balancer
  tail -f {self.shuntd.log_path}

The configuration is {self.shuntd.config_path}
After a change: kill -HUP {self.shuntd.proc.pid}
""", flush=True)
        signal.pause()

    def run(self):
        self.build()
        self.start()
        self.steer()
        self.proxy()
        self.drain("web", f"http://{VIP4}", f"{VIP4}:7")
        self.drain("api", f"http://{API4}", f"http://{API4}/")
        self.kill_backend()
        self.kill_shuntd()
        print(f"\nAll of it worked, in {time.monotonic() - self.started:.0f} s.", flush=True)
        if os.environ.get("KEEP", "0") not in ("", "0"):
            self.look_around()


def stop(*_):
    raise KeyboardInterrupt


def main():
    if os.geteuid() != 0:
        sys.exit("demo: it makes network namespaces and loads programs: run it as root")
    signal.signal(signal.SIGTERM, stop)
    mount_bpffs()
    with Lab() as lab:
        demo = Demo(lab)
        try:
            demo.run()
        except (DemoError, AssertionError, OSError, subprocess.SubprocessError) as exc:
            print(f"\ndemo: this should have been so, but is not: {exc}", file=sys.stderr)
            if demo.shuntd:
                print("the log of shuntd:\n" + demo.shuntd.log, file=sys.stderr)
            return 1
        except KeyboardInterrupt:
            pass
        finally:
            print("\ntaking it down", flush=True)
    return 0


if __name__ == "__main__":
    sys.exit(main())
