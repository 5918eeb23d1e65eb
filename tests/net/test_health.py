# SPDX-License-Identifier: BSD-2-Clause
"""Active checks: who is taken out, who comes back, and what clients notice of it."""
import signal
import time

import pytest

from lab import PATIENCE, wait_until


@pytest.fixture
def host(lab):
    return lab.namespace("host")


HTTP = {"http": {"path": "/healthz"}, "every": "200ms", "timeout": "200ms", "rise": 2, "fall": 2}
TCP = {"tcp": {}, "every": "200ms", "rise": 2, "fall": 2}


def config(health, addresses=("127.0.0.1:9001", "127.0.0.1:9002")):
    return {
        "pools": {"web": {"health": health, "backends": [
            {"name": f"b{i}", "address": a} for i, a in enumerate(addresses, 1)]}},
        "services": {"web": {"listen": ["127.0.0.1:8080/tcp"], "mode": "http", "pool": "web"}},
    }


def health(daemon, name):
    return {b["name"]: b for b in daemon.ctl_json("health")["backends"]}[name]


def wait_for(daemon, **states):
    wait_until(lambda: all(health(daemon, n)["state"] == s for n, s in states.items()), 20,
               what=lambda: f"{states}; now {daemon.ctl('health').stdout}")


def two(backend, host):
    return [backend(f"b{i}", ns=host, http=[f"127.0.0.1:900{i}"]) for i in (1, 2)]


def served_by(client, host):
    result = client("http", "http://127.0.0.1:8080/", "--connections", 2, "--requests", 20,
                    ns=host).result()
    assert result["ok"] == 20, result
    return set(result["by"])


def test_an_unhealthy_backend_is_taken_out_and_comes_back(shuntd, host, backend, client):
    b1, _ = two(backend, host)
    daemon = shuntd(config(HTTP), ns=host)
    wait_for(daemon, b1="up", b2="up")
    assert served_by(client, host) == {"b1", "b2"}
    b1.set_health(503)
    wait_for(daemon, b1="down", b2="up")
    assert health(daemon, "b1")["result"] == "status 503 Status, expected 200 to 299"
    assert served_by(client, host) == {"b2"}
    b1.set_health(200)
    wait_for(daemon, b1="up")
    assert served_by(client, host) == {"b1", "b2"}
    assert daemon.log.count("backend is down pool=web backend=b1") == 1
    assert daemon.log.count("backend is up pool=web backend=b1") == 2


def test_no_answer_in_time_is_a_failure(shuntd, host, backend):
    b1, _ = two(backend, host)
    daemon = shuntd(config(HTTP), ns=host)
    wait_for(daemon, b1="up", b2="up")
    b1.set_health(0)
    wait_for(daemon, b1="down")
    assert health(daemon, "b1")["result"] == "no answer within 200 ms"


def test_a_killed_backend_is_taken_out(shuntd, host, backend, client):
    b1, _ = two(backend, host)
    daemon = shuntd(config(TCP), ns=host)
    wait_for(daemon, b1="up", b2="up")
    b1.kill()
    wait_for(daemon, b1="down", b2="up")
    assert health(daemon, "b1")["result"] == "connect: connection refused"
    assert served_by(client, host) == {"b2"}


def test_fall_results_in_a_row_are_needed(shuntd, host, backend):
    b1, _ = two(backend, host)
    daemon = shuntd(config({**HTTP, "fall": 100}), ns=host)
    wait_for(daemon, b1="up", b2="up")
    b1.set_health(500)
    wait_until(lambda: health(daemon, "b1")["failures"] >= 5, 20)
    assert health(daemon, "b1")["state"] == "up"


def test_ipv6_backends_are_checked(shuntd, host, backend):
    backend("b1", ns=host, http=["[::1]:9001"])
    daemon = shuntd(config(HTTP, ["[::1]:9001", "[::1]:9002"]), ns=host)
    wait_for(daemon, b1="up", b2="down")


def test_all_down_is_503_with_a_reason_and_ends_when_one_is_up(shuntd, host, backend, client):
    daemon = shuntd(config(TCP), ns=host)
    wait_for(daemon, b1="down", b2="down")
    result = client("http", "http://127.0.0.1:8080/", "--connections", 1, "--requests", 3,
                    ns=host).result()
    assert result["status"] == {"503": 3}, result
    backend("b2", ns=host, http=["127.0.0.1:9002"])
    wait_for(daemon, b2="up")
    assert served_by(client, host) == {"b2"}


def test_a_reload_keeps_states_and_counts(shuntd, host, backend):
    two(backend, host)[0].kill()
    daemon = shuntd(config(HTTP), ns=host)
    wait_for(daemon, b1="down", b2="up")
    before = {n: health(daemon, n)["checks"] for n in ("b1", "b2")}
    for _ in range(5):
        daemon.reload(config(HTTP))
        assert (health(daemon, "b1")["state"], health(daemon, "b2")["state"]) == ("down", "up")
    assert all(health(daemon, n)["checks"] >= before[n] for n in before)
    assert daemon.log.count("backend is down pool=web backend=b1") == 1


def test_checks_go_on_while_a_backend_drains_and_stop_while_it_is_disabled(shuntd, host, backend):
    two(backend, host)
    daemon = shuntd(config(HTTP), ns=host)
    wait_for(daemon, b1="up", b2="up")
    daemon.ctl("backend", "drain", "web/b1")
    before = health(daemon, "b1")["checks"]
    wait_until(lambda: health(daemon, "b1")["checks"] > before, 10)
    daemon.ctl("backend", "disable", "web/b1")
    assert health(daemon, "b1")["state"] == "unknown"
    stopped, other = health(daemon, "b1")["checks"], health(daemon, "b2")["checks"]
    wait_until(lambda: health(daemon, "b2")["checks"] >= other + 3, 10)
    assert health(daemon, "b1")["checks"] == stopped


def test_stopping_in_the_midst_of_checks_is_clean(shuntd, host):
    daemon = shuntd(config({**HTTP, "timeout": "200ms"},
                           [f"127.0.0.1:{port}" for port in range(9001, 9201)]), ns=host)
    daemon.signal(signal.SIGTERM)
    assert daemon.wait_exit() == 0


def test_slots_of_an_l4_service_follow_health(topology, shuntd, backend):
    net = topology(backends=2)
    addresses = {name: ns.addr4 for name, ns in net.backends.items()}
    servers = {name: backend(name, ns=ns, tcp=[f"{ns.addr4}:8000"])
               for name, ns in net.backends.items()}
    daemon = shuntd({
        "node": {"interfaces": ["eth0"]},
        "pools": {"dsr": {
            "forward": "ipip",
            "health": {"tcp": {"port": 8000}, "every": "300ms", "rise": 2, "fall": 2},
            "backends": [{"name": n, "address": a} for n, a in addresses.items()]}},
        "services": {"web": {"listen": [f"{net.vip4(10)}:80/tcp"], "mode": "l4", "pool": "dsr",
                             "ring_size": 4099}},
    }, ns=net.balancer)

    def slots():
        return {b["name"]: b["l4"]["slots"]["web"]
                for b in daemon.ctl_json("backend", "list")["backends"]}
    wait_for(daemon, b1="up", b2="up")
    assert all(1800 < n < 2300 for n in slots().values()), slots()
    servers["b1"].kill()
    wait_for(daemon, b1="down")
    wait_until(lambda: slots() == {"b1": 0, "b2": 4099}, 10, what=slots)
    backend("b1", ns=net.backends["b1"], tcp=[f"{addresses['b1']}:8000"])
    wait_for(daemon, b1="up")
    wait_until(lambda: slots()["b1"] > 1800, 10, what=slots)


def test_results_that_change_the_state_are_looked_for_sooner(shuntd, host, backend):
    b1, _ = two(backend, host)
    daemon = shuntd(config({**HTTP, "every": "3s", "every_changing": "100ms", "fall": 4}), ns=host)
    wait_for(daemon, b1="up", b2="up")
    b1.set_health(503)
    wait_until(lambda: health(daemon, "b1")["failures"], 20)
    began = time.monotonic()
    wait_for(daemon, b1="down")
    assert time.monotonic() - began < 2 * PATIENCE  # three checks more


def test_a_backend_that_comes_and_goes_has_to_do_more(shuntd, host, backend):
    b1, _ = two(backend, host)
    daemon = shuntd(config(HTTP), ns=host)
    wait_for(daemon, b1="up", b2="up")
    for rise in (2, 4, 8):
        b1.set_health(503)
        wait_for(daemon, b1="down")
        assert daemon.log.count(f"is down pool=web backend=b1 reason=\"status 503 Status, expected "
                                f"200 to 299\" rise={rise}") == 1
        b1.set_health(200)
        up = []
        wait_until(lambda: up.append(health(daemon, "b1")) or up[-1]["state"] == "up", 30)
        assert up[-1]["results_in_a_row"] >= rise
    undamped = config({**HTTP, "damping": "0s"})
    daemon.reload(undamped)
    b1.set_health(503)
    wait_until(lambda: daemon.log.count("rise=2") == 2, 20)
