#!/usr/bin/python3
# SPDX-License-Identifier: BSD-2-Clause
"""How long until shuntd serves, and how much memory it then has, beside nginx and HAProxy.

Each is started again and again with one listener that answers by itself, in a namespace of its own,
until a client has its first answer. Shunt is started as a proxy alone; steering as well, with
nothing in the kernel, so that its program is verified and its tables are made, small ones and those
of the default sizes; and again, taking over what is there. The time that passes is shown, and the
processor's time for it, in the process and in the kernel on its behalf, which does not depend on
what else runs. Memory is that of all processes of each when nothing happens: what is resident, and
the share of it that is theirs (PSS). The kernel's tables are not in it, also where they are mapped;
what they take stands beside it."""
import argparse
import glob
import json
import os
import platform
import signal
import socket
import statistics
import subprocess
import sys
import time

HERE = os.path.dirname(os.path.abspath(__file__))
ROOT = os.path.dirname(os.path.dirname(HERE))
sys.path[:0] = [os.path.join(ROOT, "bench"), os.path.join(ROOT, "tests", "net")]

# pylint: disable=wrong-import-position
from common import cpu_model, need, shunt_version, write_json
from daemon import SMALL_LIMITS
from lab import BPFFS, PYTHON, Lab, binary, mount_bpffs, sweep_dead_runs, unique

GOAL_MS, GOAL_MIB = 200.0, 15.0
MIB = 1 << 20
COLUMNS = {"ms": "ms", "least": "ms_min", "most": "ms_max", "cpu ms": "cpu_ms",
           "in kernel": "kernel_ms", "RSS MiB": "rss", "PSS MiB": "pss", "tables MiB": "tables"}
PATIENCE_S = 30
PORT = 8080
STARTS, QUICK_STARTS = 10, 2

NGINX = """
daemon off; worker_processes 1; pid {dir}/nginx.pid; error_log {dir}/nginx.log;
events {{ }}
http {{ access_log off; client_body_temp_path {dir}/a; proxy_temp_path {dir}/b;
    fastcgi_temp_path {dir}/c; uwsgi_temp_path {dir}/d; scgi_temp_path {dir}/e;
    server {{ listen 127.0.0.1:{port}; location / {{ return 200 ok; }} }} }}
"""
HAPROXY = """
global
    nbthread 1
defaults
    mode http
    timeout connect 3s
    timeout client 60s
    timeout server 60s
frontend clients
    bind 127.0.0.1:{port}
    http-request return status 200 content-type text/plain string ok
"""


def shunt_config(pins, limits=None):
    """pins: where to, of one that steers."""
    node = {"workers": 1}
    if limits:
        node["limits"] = limits
    services = {"web": {"listen": f"127.0.0.1:{PORT}/tcp", "mode": "http", "pool": "near",
                        "routes": [{"match": {"path": {"prefix": "/"}},
                                    "respond": {"status": 200, "body": "ok"}}]}}
    pools = {"near": {"health": "none", "backends": [{"name": "b1", "address": "127.0.0.1:9"}]}}
    if pins:
        node.update(interfaces=["eth0"], pin_path=pins)
        pools["far"] = {"health": "none", "forward": "ipip", "backends": [
            {"name": f"f{i}", "address": f"10.255.1.{i}"} for i in range(1, 11)]}
        services["dsr"] = {"listen": "203.0.113.1:80/tcp", "mode": "l4", "pool": "far"}
    return {"node": node, "pools": pools, "services": services}


def first_answer(deadline):
    """Until the one that is being started has answered."""
    while True:
        assert time.monotonic() < deadline, "nobody answers"
        try:
            with socket.create_connection(("127.0.0.1", PORT), timeout=PATIENCE_S) as sock:
                sock.sendall(b"GET / HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n")
                if sock.recv(4096).startswith(b"HTTP/1.1 200"):
                    return
        except OSError:
            pass


def processes(pid):
    """It and its children."""
    yield pid
    for path in glob.glob(f"/proc/{pid}/task/*/children"):
        with open(path, encoding="ascii") as f:
            for child in f.read().split():
                yield from processes(int(child))


def memory(pid):
    """(resident, proportional) bytes, without tables of the kernel's that are mapped"""
    sums, skip = {"Rss": 0, "Pss": 0}, False
    for one in processes(pid):
        with open(f"/proc/{one}/smaps", encoding="utf-8") as f:
            for line in f:
                key, _, value = line.partition(":")
                if "-" in line.split(" ", 1)[0]:
                    skip = "anon_inode:bpf-map" in line
                elif key in sums and not skip:
                    sums[key] += 1024 * int(value.split()[0])
    return sums["Rss"], sums["Pss"]


def processor_ms(pid):
    """(all, in the kernel) of its threads and children"""
    ticks = [0, 0]
    for one in processes(pid):
        with open(f"/proc/{one}/stat", encoding="ascii") as f:
            user, kernel = map(int, f.read().rpartition(")")[2].split()[11:13])
        ticks = [ticks[0] + user + kernel, ticks[1] + kernel]
    return [1e3 * n / os.sysconf("SC_CLK_TCK") for n in ticks]


def tables(pid):
    """Bytes of the kernel's tables that it has open."""
    total = {}
    for path in glob.glob(f"/proc/{pid}/fdinfo/*"):
        try:
            with open(path, encoding="ascii") as f:
                info = dict(line.split(":", 1) for line in f if ":" in line)
        except FileNotFoundError:
            continue  # closed since it was listed
        if "map_id" in info:
            total[info["map_id"].strip()] = int(info["memlock"])
    return sum(total.values())


def start_once(argv):
    """What it took, and then takes; it is ended again."""
    begin = time.monotonic()
    with subprocess.Popen(argv, stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL,
                          stderr=subprocess.DEVNULL) as proc:
        try:
            first_answer(begin + PATIENCE_S)
            took = 1e3 * (time.monotonic() - begin)
            rss, pss = memory(proc.pid)
            cpu, kernel = processor_ms(proc.pid)
            return {"ms": took, "cpu_ms": cpu, "kernel_ms": kernel, "rss": rss, "pss": pss,
                    "tables": tables(proc.pid)}
        finally:
            proc.send_signal(signal.SIGTERM)
            proc.wait(PATIENCE_S)


def purge(pins):
    subprocess.run([binary("shunt-load"), "detach", "--all", "--purge", "--pin-path", pins],
                   check=False, capture_output=True)


def measure_inside(directory, starts, pins):
    """In the namespace: by turns, so that what disturbs one disturbs all."""
    def shunt(name):
        return [binary("shuntd"), "-c", f"{directory}/{name}.yaml", "-s", f"{directory}/sock",
                "-l", "error"]
    commands = {"proxy": shunt("proxy"), "small": shunt("small"), "cold": shunt("steer"),
                "warm": shunt("steer"),
                "nginx": ["nginx", "-c", f"{directory}/nginx.conf", "-e", f"{directory}/nginx.log"],
                "haproxy": ["haproxy", "-q", "-db", "-f", f"{directory}/haproxy.cfg"]}
    rows = {name: [] for name in commands}
    try:
        for _ in range(starts):
            for name, argv in commands.items():
                if name in ("small", "cold"):
                    purge(pins)
                rows[name].append(start_once(argv))
    finally:
        purge(pins)
    print(json.dumps(rows))


def measure(starts):
    with Lab() as lab:
        box, other = lab.namespace("balancer"), lab.namespace("router")
        lab.link(box, "eth0", other, "lb")
        box.ip("addr add 10.255.0.1/24 dev eth0")
        pins = f"{BPFFS}/{unique('start')}"
        for name, content in (("proxy.yaml", json.dumps(shunt_config(None))),
                              ("small.yaml", json.dumps(shunt_config(pins, SMALL_LIMITS))),
                              ("steer.yaml", json.dumps(shunt_config(pins))),
                              ("nginx.conf", NGINX.format(dir=lab.dir, port=PORT)),
                              ("haproxy.cfg", HAPROXY.format(port=PORT))):
            with open(lab.path(name), "w", encoding="ascii") as f:
                f.write(content)
        out = box.run([PYTHON, __file__, "--inside", lab.dir, "--pins", pins, "--starts",
                       str(starts)], timeout=60 + 10 * PATIENCE_S).stdout
    results = []
    for name, starts_of in json.loads(out).items():
        row = {key: statistics.median(start[key] for start in starts_of) for key in starts_of[0]}
        results.append({"case": name, **row, "ms_min": min(start["ms"] for start in starts_of),
                        "ms_max": max(start["ms"] for start in starts_of)})
    return results


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--quick", action="store_true", help="does it run?")
    parser.add_argument("--json", metavar="FILE", help="write the result there")
    parser.add_argument("--starts", type=int, default=0, help=argparse.SUPPRESS)
    parser.add_argument("--inside", metavar="DIR", help=argparse.SUPPRESS)
    parser.add_argument("--pins", metavar="DIR", help=argparse.SUPPRESS)
    args = parser.parse_args()
    if args.inside:
        measure_inside(args.inside, args.starts, args.pins)
        return 0
    need({"nginx": "nginx-light", "haproxy": "haproxy"})
    mount_bpffs()
    sweep_dead_runs()
    starts = args.starts or (QUICK_STARTS if args.quick else STARTS)
    results = measure(starts)
    print(f"{'':8}" + "".join(f"{title:>11}" for title in COLUMNS))
    for row in results:
        cells = [row[key] / (MIB if key in ("rss", "pss", "tables") else 1)
                 for key in COLUMNS.values()]
        print(f"{row['case']:8}" + "".join(f"{cell:11.1f}" for cell in cells))
    write_json(args.json, {"cpu": cpu_model(), "kernel": platform.release(),
                           "version": shunt_version(), "starts": starts, "goal_ms": GOAL_MS,
                           "goal_mib": GOAL_MIB, "results": results})
    return 0


if __name__ == "__main__":
    sys.exit(main())
