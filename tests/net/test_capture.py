# SPDX-License-Identifier: BSD-2-Clause
"""shuntctl capture: packets before and after the steering program, which is not changed by it."""
import array
import fcntl
import json
import os
import signal
import subprocess
import termios

import pytest
from scapy.all import (IP, Dot1Q, Ether, ICMP, IPv6, TCP, UDP, Raw,  # pylint: disable=E0611
                       PcapNgReader, rdpcap)

from captures import (INBOUND, OUTBOUND, XDP_DROP, XDP_PASS, XDP_TX, Capturing, pairs, read,
                      statistics, tracing_programs)
from l4 import ECHO_PORT, HTTP_PORT
from lab import HERE, PYTHON, TIMEOUT_S, binary, kernel_has_tracing, wait_until
from nat import BEHIND

traces = [pytest.mark.skipif(not kernel_has_tracing(),
                             reason="this kernel loads no tracing programs (run by make test-vm)")]
vm = [*traces, pytest.mark.vm]
vm_every = [*vm, pytest.mark.vm_every]


def marked(marks):
    def mark(function):
        for one in marks:
            function = one(function)
        return function
    return mark


def frames(it, packets):
    """As lines, from the router, which is where packets come to the balancer from."""
    router = it.net.router
    macs = {name: json.loads(ns.run(["ip", "-j", "link", "show", "dev", dev]).stdout)[0]["address"]
            for name, ns, dev in (("src", router, "lb"), ("dst", it.net.balancer, "eth0"))}
    return "".join(bytes(Ether(**macs) / p).hex() + "\n" for p in packets)


def send(it, *packets):
    it.net.router.run([PYTHON, f"{HERE}/frames.py", "send", "lb"], input=frames(it, packets))


def from_client(it, proto=TCP, family=4, **fields):
    ip = IP if family == 4 else IPv6
    source = it.net.client.addr4 if family == 4 else it.net.client.addr6
    return ip(src=source, dst=it.vip(family)) / proto(**fields)


def programs(it):
    """The steering programs that run, with the digest of their instructions."""
    ids = [i["program_id"] for i in it.daemon.ctl_json("status")["l4"]["interfaces"]]
    return [(number, json.loads(it.net.balancer.run(
        ["bpftool", "-j", "prog", "show", "id", str(number)]).stdout)["tag"]) for number in ids]


@marked(vm_every)
@pytest.mark.parametrize("family", [4, 6])
def test_each_packet_is_there_before_and_after(l4, client, family):
    it = l4(backends=2)
    before = programs(it)
    capture = Capturing(it.daemon)
    it.expect_served(client, family=family, count=10)
    assert programs(it) == before and len(before) == 1
    found = pairs(capture.stop().packets())
    assert len(found) >= 40 and statistics(capture.path) == (len(found), 0)
    inner = IP if family == 4 else IPv6
    backends = {it.backend_address(name): name for name in ("b1", "b2")}
    for one, other in found.values():
        came, left = Ether(one.data), Ether(other.data)
        assert came[inner].dst == it.vip(family) and came[TCP].dport == ECHO_PORT
        assert left[IP].dst in backends and left[IP].payload.dst == it.vip(family)
        assert bytes(left[IP].payload) == bytes(came[inner])
        assert one.length == len(one.data) and other.length == one.length + 20
        assert one.interface == other.interface == "eth0" and one.time <= other.time
        assert one.flags == INBOUND and one.verdict == other.verdict == XDP_TX
        name = backends[left[IP].dst]
        assert one.comment == f"before: tx, service echo, backend echo/{name}"
        assert other.comment == f"after: tx, service echo, backend echo/{name}"
    # What others read it with: all of it, and no more.
    assert len(rdpcap(capture.path)) == 2 * len(found)
    with PcapNgReader(capture.path) as reader:
        assert sum(1 for _ in reader) == 2 * len(found)
    shown = it.net.client.run(["tcpdump", "-nn", "-r", capture.path]).stdout.splitlines()
    assert len(shown) == 2 * len(found)


@marked(vm_every)
def test_a_drop_says_why(l4, client):
    it = l4(backends=1)
    it.daemon.ctl("guard", "add", "192.0.2.0/24", "--for", "1h")
    capture = Capturing(it.daemon, "--drops")
    it.expect_served(client, count=5)
    blocked = IP(src="192.0.2.7", dst=it.vip(4)) / TCP(sport=4321, dport=ECHO_PORT, flags="S")
    short = from_client(it, UDP, sport=4321, dport=ECHO_PORT, len=4) / Raw(b"x" * 20)
    send(it, blocked, short)
    wait_until(lambda: it.drops()["blocked"] and any(it.drops("echo-udp").values()))
    found = pairs(capture.stop().packets())
    assert [(p.comment, q) for p, q in found.values()] == [
        ("before: drop blocked, service echo", None),
        ("before: drop bad-header, service echo-udp", None)]
    assert {p.verdict for p, _ in found.values()} == {XDP_DROP}
    assert Ether(found[0][0].data)[IP].src == "192.0.2.7"


@marked(vm)
def test_what_is_asked_for(l4):
    it = l4(backends=1)
    packets = [
        from_client(it, sport=1001, dport=ECHO_PORT, flags="S"),
        from_client(it, sport=1002, dport=HTTP_PORT, flags="S"),
        from_client(it, UDP, sport=1003, dport=ECHO_PORT),
        from_client(it, UDP, family=6, sport=1004, dport=ECHO_PORT),
        IP(src="192.0.2.7", dst=it.vip(4)) / TCP(sport=1005, dport=ECHO_PORT, flags="S"),
        Dot1Q(vlan=5) / from_client(it, sport=1006, dport=ECHO_PORT, flags="S"),
        IP(src="192.0.2.7", dst="192.0.2.9") / UDP(sport=1007, dport=9),
    ]

    def ports(*args):
        """The source ports of those that were captured."""
        capture = Capturing(it.daemon, "--before", *args)
        sent = sum(it.verdicts().values())
        send(it, *packets)
        wait_until(lambda: sum(it.verdicts().values()) >= sent + len(packets))
        found = [Ether(p.data) for p in capture.stop().packets()]
        # The client's host answers what it knows nothing of.
        return [p.sport for p in found if UDP in p or (TCP in p and p[TCP].flags == "S")]

    assert ports() == [1001, 1002, 1003, 1004, 1005, 1006]
    assert ports("--all", "--protocol", "udp") == [1003, 1004, 1007]
    assert ports("--service", "echo-udp") == [1003, 1004]
    assert ports("--source", "192.0.2.0/24") == [1005]
    assert ports("--all", "--source", "192.0.2.7") == [1005, 1007]
    assert ports("--destination", f"{it.vip(6)}/128") == [1004]
    assert ports("--port", HTTP_PORT) == [1002]
    assert ports("--port", 1006, "--service", "echo", "--iface", "eth0") == [1006]
    assert not ports("--iface", "lo")
    assert not ports("--protocol", "icmp")


@marked(traces)
@pytest.mark.vm
def test_packets_without_ports_are_of_a_service(l4):
    """An error about a connection, an echo request, and a fragment that has none."""
    it = l4(backends=1)
    quoted = IP(src=it.vip(4), dst=it.net.client.addr4) / TCP(sport=ECHO_PORT, dport=4000)
    packets = [
        IP(src="192.0.2.1", dst=it.vip(4)) /
        ICMP(type=3, code=1) / quoted,
        from_client(it, ICMP, type=8),
        IP(src=it.net.client.addr4, dst=it.vip(4), frag=5, proto=17) / Raw(b"x" * 64),
    ]
    capture = Capturing(it.daemon, "--all", "--destination", it.vip(4))
    send(it, *packets)
    wait_until(lambda: sum(it.verdicts().values()) >= 3)
    found = pairs(capture.stop().packets())
    said = [before.comment for before, _ in found.values()]
    assert said[0] == "before: tx, service echo, backend echo/b1", said
    assert said[1].startswith("before: ") and ", service echo" in said[1], said
    assert said[2].startswith("before: drop fragment, service echo"), said


@marked(vm_every)
def test_replies_of_nat(nat, client):
    it = nat(backends=1)
    capture = Capturing(it.daemon, "--service", "echo4")
    result = client("connect", it.target(4), "--count", 3, ns=it.net.client).result()
    assert result["errors"] == {}
    found = pairs(capture.stop().packets())
    ways = {"there": 0, "back": 0}
    address = it.net.backends["b1"].addr4
    for before, after in found.values():
        came, left = Ether(before.data)[IP], Ether(after.data)[IP]
        assert after.comment == "after: tx, service echo4, backend echo4/b1", after.comment
        if came.dst == it.vip(4):
            ways["there"] += 1
            assert left.dst == address and left[TCP].dport == ECHO_PORT + BEHIND
        else:
            ways["back"] += 1
            assert came.src == address and left.src == it.vip(4)
    assert min(ways.values()) >= 6, ways


@marked(traces)
@pytest.mark.vm
def test_backends_at_one_address_are_told_apart(nat):
    it = nat(backends=1)
    config = it.config()
    (backend,) = config["pools"]["echo4"]["backends"]
    other = {"name": "other", "address": backend["address"].replace(str(ECHO_PORT + BEHIND), "9")}
    config["pools"]["echo4"]["backends"] = [other, backend]
    it.daemon.reload(config)
    capture = Capturing(it.daemon, "--after", "--destination", it.vip(4))
    send(it, *[from_client(it, sport=port, dport=ECHO_PORT, flags="S")
               for port in range(2000, 2040)])
    names = {9: "echo4/other", ECHO_PORT + BEHIND: "echo4/b1"}
    wait_until(lambda: os.path.getsize(capture.path) > 40 * 100)
    left = capture.stop().packets()
    assert {Ether(p.data)[TCP].dport for p in left} == set(names)
    for p in left:
        assert p.comment.endswith("backend " + names[Ether(p.data)[TCP].dport]), p.comment


@marked(traces)
@pytest.mark.vm
def test_a_tunnel_in_udp(l4, client):
    it = l4(backends=1, pool={"forward": "gue"})
    capture = Capturing(it.daemon, "--after", "--count", 4)
    it.expect_served(client, count=5)
    for p in capture.result().packets():
        assert p.flags == OUTBOUND and Ether(p.data)[UDP].dport == 6080
    assert statistics(capture.path) == (4, 0)
    shown = Capturing(it.daemon, "--after", "--count", 1, into=None)
    it.expect_served(client, count=2)
    assert "(GUE); IPv4" in shown.result().output


@marked(traces)
@pytest.mark.vm
def test_passed_packets_only_when_asked_for(shuntd, topology, client, backend):
    net = topology(backends=1)
    address = net.balancer.addr4
    backend("w1", ns=net.balancer, tcp=["127.0.0.1:9001"])
    daemon = shuntd({
        "node": {"interfaces": ["eth0"]},
        "pools": {"web": {"health": "none",
                          "backends": [{"name": "w1", "address": "127.0.0.1:9001"}]}},
        "services": {"web": {"listen": f"{address}:80/tcp", "mode": "tcp", "pool": "web"}},
    }, ns=net.balancer)
    for args, few in ((["--all", "--service", "web"], False), ([], True)):
        capture = Capturing(daemon, *args)
        done = client("connect", f"{address}:80", "--count", 3, ns=net.client).result()
        assert not done["errors"], done
        found = pairs(capture.stop().packets())
        assert few == (not found)
        for before, after in found.values():
            assert before.data == after.data and before.verdict == XDP_PASS
            assert after.comment == "after: pass-local, service web"


@marked(vm)
def test_it_ends_at_its_limits(l4, client):
    it = l4(backends=1)
    capture = Capturing(it.daemon, "--count", 7, "--snaplen", 64)
    it.expect_served(client, count=20)
    packets = capture.result().packets()
    assert len(packets) == 14 and sorted(pairs(packets)) == list(range(7))
    assert all(len(p.data) == 64 < p.length for p in packets)
    assert "7 packets, 0 lost: it has as much as was asked for" in capture.errors
    capture = Capturing(it.daemon, "--bytes", "1KiB")
    it.expect_served(client, count=20)
    found = pairs(capture.result().packets())
    assert 2 < len(found) < 10 and statistics(capture.path) == (len(found), 0)
    capture = Capturing(it.daemon, "--for", "1s")
    assert not capture.result().packets()
    assert "its time is over" in capture.errors
    assert not tracing_programs(it.daemon)


@marked(traces)
@pytest.mark.vm
def test_it_ends_with_its_service(l4):
    it = l4(backends=1)
    capture = Capturing(it.daemon, "--service", "echo-udp")
    config = it.config()
    del config["services"]["echo-udp"]
    it.daemon.reload(config)
    assert "its service was removed" in capture.result().errors


def flood(it, count):
    """A function that sends so many datagrams of 1.4 kB, all at once."""
    sender = it.net.router.popen([PYTHON, f"{HERE}/frames.py", "send", "lb"],
                                 stdin=subprocess.PIPE, text=True)
    lines = frames(it, [from_client(it, UDP, sport=port, dport=ECHO_PORT) / Raw(b"x" * 1400)
                        for port in range(1000, 1000 + count)])

    def go():
        sender.communicate(lines, timeout=TIMEOUT_S)
    return go


@marked(traces)
@pytest.mark.vm
def test_what_is_lost_is_told_and_packets_go_on(l4, client):
    """The reader sleeps. There is room for 4 MiB, 2.9 kB each: for some fourteen hundred."""
    it = l4(backends=1)
    for _ in range(5):  # who sleeps longer than the daemon waits finds its capture gone
        capture = Capturing(it.daemon, "--count", 1000000, "--bytes", "4GiB")
        go = flood(it, 2000)
        capture.proc.send_signal(signal.SIGSTOP)
        go()
        capture.proc.send_signal(signal.SIGINT)
        capture.proc.send_signal(signal.SIGCONT)
        if capture.wait() == 0:
            break
        assert "given the capture up" in capture.errors, capture.errors
    captured, lost = statistics(capture.path)
    assert captured >= 1800 and lost >= 300 and len(pairs(capture.packets())) == captured - lost
    assert f", {lost} lost: it was ended" in capture.errors
    it.expect_served(client, count=20)


@marked(traces)
@pytest.mark.vm
def test_a_reader_that_sleeps_is_given_up(l4):
    it = l4(backends=1)
    capture = Capturing(it.daemon)
    capture.proc.send_signal(signal.SIGSTOP)
    wait_until(lambda: not tracing_programs(it.daemon))
    assert "nobody reads it any more" in it.daemon.log
    capture.proc.send_signal(signal.SIGCONT)
    assert capture.wait() == 3 and "given the capture up" in capture.errors, capture.errors


@marked(vm)
def test_a_reader_that_dies_leaves_nothing_behind(l4, client):
    it = l4(backends=1)
    capture = Capturing(it.daemon)
    assert len(tracing_programs(it.daemon)) >= 4  # two programs and two links
    it.expect_served(client, count=5)
    capture.proc.kill()
    wait_until(lambda: not tracing_programs(it.daemon))
    assert "nobody reads it any more" in it.daemon.log
    it.expect_served(client, count=5)
    again = Capturing(it.daemon, "--count", 1)  # nobody has to be waited for
    it.expect_served(client, count=5)
    again.result()


@marked(vm)
def test_a_daemon_that_dies_leaves_nothing_behind(l4, client):
    it = l4(backends=1)
    capture = Capturing(it.daemon)
    it.expect_served(client, count=5)
    wait_until(lambda: os.path.getsize(capture.path) > 1000)
    ids = set(tracing_programs(it.daemon))
    there = {p["id"] for p in json.loads(it.net.balancer.run(
        ["bpftool", "-j", "prog", "show"]).stdout)}
    assert len(ids) >= 2 and ids <= there
    it.daemon.sigkill()
    assert capture.wait() == 4 and "shuntd has ended" in capture.errors, capture.errors
    assert pairs(capture.packets())

    def gone():
        return not ids & {p["id"] for p in json.loads(it.net.balancer.run(
            ["bpftool", "-j", "prog", "show"]).stdout)}

    wait_until(gone)
    it.expect_served(client, count=5)


@pytest.fixture
def stuck(l4):
    """stuck() -> a capture into a pipe that is full, and it has more to write."""
    it = l4(backends=1)

    def begin():
        capture = it.daemon.lab.popen(
            [binary("shuntctl"), "--socket", it.daemon.socket, "capture", "-w", "-", "--for", "1h"],
            stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.PIPE)
        assert b"capturing up to" in capture.stderr.readline()
        flood(it, 200)()
        room = array.array("i", [0])

        def is_full():
            fcntl.ioctl(capture.stdout, termios.FIONREAD, room)
            return room[0] >= 15 * 4096
        wait_until(is_full)
        return it, capture
    return begin


@marked(traces)
@pytest.mark.vm
def test_an_interrupt_breaks_no_packet(stuck):
    it, capture = stuck()
    capture.send_signal(signal.SIGINT)
    out, errors = capture.communicate(timeout=TIMEOUT_S)
    assert capture.returncode == 0, errors
    path = it.daemon.lab.path("whole.pcapng")
    with open(path, "wb") as f:
        f.write(out)
    found = pairs(read(path))
    assert len(found) >= 200 and statistics(path) == (len(found), 0)


@marked(traces)
def test_who_cannot_wait_interrupts_twice(stuck):
    it, capture = stuck()
    capture.send_signal(signal.SIGINT)
    capture.send_signal(signal.SIGTERM)
    assert capture.wait(timeout=TIMEOUT_S) == 1
    wait_until(lambda: not tracing_programs(it.daemon))


@marked(traces)
def test_what_cannot_be_written_ends_it(l4, client):
    it = l4(backends=1)
    capture = Capturing(it.daemon, "-w", "/dev/full", into=None)
    assert capture.wait() == 1 and "No space left" in capture.errors, capture.errors
    for more in ([], ["-w", "-"]):
        capture = it.daemon.lab.popen(
            [binary("shuntctl"), "--socket", it.daemon.socket, "capture", "--for", "1h", *more],
            stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.PIPE)
        capture.stdout.close()
        assert b"capturing up to" in capture.stderr.readline()
        it.expect_served(client, count=1)
        assert capture.wait(timeout=TIMEOUT_S) == 1
        wait_until(lambda: "why=\"it was ended\"" in it.daemon.log)
    assert it.daemon.ctl("capture", "--for", "1s").rc == 0


@marked(vm)
def test_one_at_a_time(l4):
    it = l4(backends=1)
    capture = Capturing(it.daemon)
    second = it.daemon.ctl("capture")
    assert second.rc == 3 and "another capture is under way" in second.stderr, second
    assert str(capture.proc.pid) in second.stderr
    capture.stop()
    assert it.daemon.ctl("capture", "--for", "1s").rc == 0


@marked(vm)
def test_explaining_is_not_captured(l4):
    it = l4(backends=1)
    capture = Capturing(it.daemon, "--all", "--service", "echo")
    said = it.daemon.ctl_json("explain", "tcp", f"{it.net.client.addr4}:4000", it.target(4))
    assert said["packets"][0]["verdict"] == "tx"
    assert not capture.stop().packets()


@marked(traces)
@pytest.mark.vm
def test_the_daemon_may_end_and_be_replaced(l4, client):
    it = l4(backends=1)
    capture = Capturing(it.daemon)
    it.expect_served(client, count=5)
    former = it.daemon.upgrade()
    if capture.wait() == 0:  # it saw the end of it before the other one was there to be asked
        assert "another process takes over" in capture.errors, capture.errors
    else:
        assert "another shuntd" in capture.errors or "so ends the" in capture.errors, capture.errors
    assert pairs(capture.packets())
    wait_until(lambda: former.poll() is not None)
    again = Capturing(it.daemon, into="again.pcapng")
    it.expect_served(client, count=5)
    wait_until(lambda: os.path.getsize(again.path) > 1000)
    assert it.daemon.terminate() == 0
    assert again.wait() in (0, 4), again.errors
    assert pairs(again.packets())


@marked(traces)
@pytest.mark.vm
def test_it_takes_no_more_power_than_the_unit_has(l4, client):
    """In particular not CAP_SYS_ADMIN; the program is alone on its interface then."""
    caps = "+bpf,+perfmon,+net_admin,+net_raw,+net_bind_service,+dac_override"
    it = l4(backends=1, daemon={"wrap": ["setpriv", f"--bounding-set=-all,{caps}",
                                         "--inh-caps=-all"]})
    capture = Capturing(it.daemon, "--count", 3)
    it.expect_served(client, count=5)
    assert len(capture.result().packets()) == 6


@marked(traces)
@pytest.mark.vm
def test_other_forms_of_output(l4, client):
    it = l4(backends=1)
    capture = Capturing(it.daemon, "--count", 4, "--format", "pcap")
    it.expect_served(client, count=5)
    assert len(rdpcap(capture.result().path)) == 8
    capture = Capturing(it.daemon, "--count", 4, "-w", "-", into=None)
    it.expect_served(client, count=5)
    with open(capture.result().out_path, "rb") as f:
        assert f.read(4) == b"\x0a\x0d\x0d\x0a"
    capture = Capturing(it.daemon, "--count", 4, "-o", "json", into=None)
    it.expect_served(client, count=5)
    lines = [json.loads(line) for line in capture.result().output.splitlines()]
    assert [p["id"] for p in lines] == [0, 1, 2, 3]
    assert all(p["verdict"] == p["action"] == "tx" and p["service"] == "echo" and
               p["backend"] == {"pool": "echo", "name": "b1"} and not p["reply"] and
               p["after"]["bytes"] == p["before"]["bytes"] + 20 for p in lines)
    assert not any("headers" in p["before"] for p in lines)
    came = Ether(bytes.fromhex(lines[0]["before"]["frame"]))
    assert came[TCP].flags == "S"
    capture = Capturing(it.daemon, "--count", 1, "--after", "-o", "json", into=None)
    it.expect_served(client, count=5)
    only = json.loads(capture.result().output)
    assert "before" not in only and only["after"]["bytes"]
    capture = Capturing(it.daemon, "--count", 2, into=None)
    it.expect_served(client, count=5)
    shown = capture.result().output.splitlines()
    assert len(shown) == 4 and " eth0 #0 came: IPv4 " in shown[0] and "SYN" in shown[0]
    assert " eth0 #0 tx: IPv4 " in shown[1] and "; IPv4 " in shown[1]
    assert shown[1].endswith("[service echo, backend echo/b1]")


@pytest.mark.parametrize("args, rc, text", [
    (["--drops", "--all"], 2, "one of them"),
    (["--format", "pcap"], 2, "-w"),
    (["--format", "text", "-w", "x"], 2, "pcapng or pcap"),
    (["-o", "json", "-w", "x"], 2, "-o json"),
    (["--count", "0"], 2, "--count"),
    (["--bytes", "much"], 2, "--bytes"),
    (["--for", "ever"], 2, "--for"),
    (["--for", "48h"], 3, "1 to 86400"),
    (["--protocol", "sctp"], 3, "tcp, udp or icmp"),
    (["--source", "192.0.2.1/24"], 3, "host bits"),
    (["--destination", "here"], 3, "destination: expected"),
    (["--service", "nothere"], 3, "no such service"),
    (["--iface", "nothere"], 3, "no such interface"),
])
def test_what_cannot_be_is_refused(l4, args, rc, text):
    it = l4(backends=1)
    done = it.daemon.ctl("capture", *args)
    assert done.rc == rc and text in done.stderr, done


def test_nothing_to_capture(http_proxy):
    done = http_proxy(workers=1).daemon.ctl("capture")
    assert done.rc == 3 and "node.interfaces is empty" in done.stderr, done


@pytest.mark.skipif(kernel_has_tracing(), reason="this kernel can")
def test_a_kernel_that_cannot(l4, client):
    it = l4(backends=1)
    done = it.daemon.ctl("capture")
    assert done.rc == 1, done
    # A lock-down is said in one line; of anything else libbpf has more to say.
    assert "cannot be looked at" in done.stderr or \
        "let this" in done.stderr and done.stderr.count("\n") == 1, done
    it.expect_served(client, count=5)
    assert not tracing_programs(it.daemon)
