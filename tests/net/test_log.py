# SPDX-License-Identifier: BSD-2-Clause
"""The daemon's own log: forms, targets, and its level at run time."""
import json
import os
import re
import socket

import pytest

from lab import TIMEOUT_S, wait_until


def lines(daemon):
    return daemon.log.splitlines()


def test_as_json_each_line_is_an_object_with_the_same_keys(http_proxy):
    proxy = http_proxy(start=False)
    proxy.config["log"] = {"format": "json"}
    proxy.daemon.write_config(proxy.config)
    proxy.daemon.start()
    assert proxy.daemon.ctl("backend", "weight", "web/b1", "5").rc == 0
    said = [json.loads(line) for line in lines(proxy.daemon)]
    for line in said:
        assert re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z", line.pop("time"))
    ready, = [line for line in said if line["message"] == "ready"]
    assert (ready["level"], ready["module"], ready["services"]) == ("info", "main", 1)
    audit, = [line for line in said if line["module"] == "audit"]
    assert audit == {"level": "info", "module": "audit", "message": "command", "method": "PATCH",
                     "path": "/v1/pools/web/backends/b1", "via": "socket", "uid": os.getuid(),
                     "pid": audit["pid"], "status": 200, "generation": 2}


def test_what_a_value_says_makes_no_field(http_proxy):
    """A path in a request that looks like keys, and one with the marks that keys are found by."""
    proxy = http_proxy(start=False)
    proxy.config["log"] = {"format": "json"}
    proxy.daemon.write_config(proxy.config)
    proxy.daemon.start()
    for path in ("/v1/pools/x%20status=200%20uid=7%20a=b/backends",
                 "/v1/pools/x%1fstatus%1e200/backends"):
        with socket.socket(socket.AF_UNIX) as sock:
            sock.connect(proxy.daemon.socket)
            sock.sendall(f"POST {path} HTTP/1.1\r\nHost: a\r\n"
                         "Content-Length: 2\r\n\r\n{}".encode())
            assert b" 4" in sock.recv(100)
    said = [json.loads(line) for line in lines(proxy.daemon) if '"audit"' in line]
    assert len(said) == 2
    assert said[0]["path"] == "/v1/pools/x status=200 uid=7 a=b/backends"
    assert said[0]["status"] != 200 and said[0]["uid"] == os.getuid() and "a" not in said[0]
    assert "status" not in said[1] and "x?status?200" in said[1]["message"]


def test_the_level_is_changed_while_it_runs(http_proxy):
    proxy = http_proxy()
    daemon = proxy.daemon
    assert daemon.ctl("log", "level").stdout == "level info, as text, to stderr\n"
    assert daemon.ctl("log", "level", "debug").stdout.startswith("level debug")
    assert daemon.ctl_json("log", "level")["level"] == "debug"
    assert daemon.ctl("log", "level", "loud").rc == 3
    # A reload that says nothing new of it leaves it; one that does, does not.
    proxy.config["pools"]["web"]["idle_timeout"] = "5s"
    daemon.reload(proxy.config)
    assert daemon.ctl_json("log", "level")["level"] == "debug"
    proxy.config["log"] = {"level": "warning"}
    daemon.reload(proxy.config)
    assert daemon.ctl_json("log", "level")["level"] == "warning"
    before = daemon.log
    assert daemon.ctl("backend", "weight", "web/b1", "5").rc == 0
    assert daemon.log == before
    del proxy.config["log"]
    daemon.reload(proxy.config)
    assert daemon.ctl_json("log", "level")["level"] == "info"


@pytest.mark.parametrize("target", ["journald", "syslog"])
def test_loggers_of_the_system(http_proxy, tmp_path, target):
    """Its own /dev/log and journal, in a mount namespace of its own."""
    where = {"journald": "/run/systemd/journal/socket", "syslog": "/dev/log"}[target]
    inside = tmp_path / "logger"
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as sock:
        sock.bind(str(inside))
        sock.settimeout(TIMEOUT_S)
        # What only this namespace sees; of /dev, some of the rest is needed.
        hide = {
            "journald": f"mount -t tmpfs none /run && mkdir -p {os.path.dirname(where)}",
            "syslog": f"mkdir {tmp_path}/dev && mount --rbind /dev {tmp_path}/dev && "
                      "mount -t tmpfs none /dev && for f in null zero urandom random; do "
                      f"touch /dev/$f && mount --bind {tmp_path}/dev/$f /dev/$f; done",
        }[target]
        wrap = ("unshare", "--mount", "sh", "-c",
                f'{hide} && touch {where} && mount --bind {inside} {where} && exec "$@"', "sh")
        proxy = http_proxy(start=False, daemon={"wrap": wrap})
        proxy.config["log"] = {"target": target}
        proxy.config["services"]["web"]["access_log"] = {"target": target}
        proxy.daemon.write_config(proxy.config)
        proxy.daemon.start()
        proxy.ask("GET /logged HTTP/1.1\r\nHost: a.test\r\n\r\n")
        seen = []

        def all_there():
            sock.settimeout(5)
            seen.append(sock.recv(65536).decode())
            return any("/logged" in s for s in seen) and any("ready" in s for s in seen)
        wait_until(all_there, 20)
        ready, = [s for s in seen if "ready" in s]
        access, = [s for s in seen if "/logged" in s]
        if target == "journald":
            fields = dict(line.split("=", 1) for line in ready.splitlines())
            assert fields["MESSAGE"] == "ready" and fields["PRIORITY"] == "6"
            assert fields["SHUNT_MODULE"] == "main" and fields["SHUNT_SERVICES"] == "1"
            assert fields["SYSLOG_IDENTIFIER"] == "shuntd"
            assert "SYSLOG_IDENTIFIER=shuntd-access\n" in access
        else:
            assert re.match(r"<30>\w{3} [ \d]\d \d\d:\d\d:\d\d shuntd\[\d+\]: main: ready ", ready)
            assert re.match(r"<30>.* shuntd-access\[\d+\]: \{\"time\"", access)
        assert "main: ready" not in proxy.daemon.log
        assert proxy.daemon.terminate() == 0


def test_where_there_is_no_logger_standard_error_has_it(http_proxy):
    if os.path.exists("/run/systemd/journal/socket"):
        pytest.skip("there is a journal on this machine")
    proxy = http_proxy(start=False)
    proxy.config["log"] = {"target": "journald"}
    proxy.daemon.write_config(proxy.config)
    proxy.daemon.start()
    assert '"module":"main","message":"ready"' in proxy.daemon.log
