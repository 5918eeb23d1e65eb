# SPDX-License-Identifier: BSD-2-Clause
"""Configurations one after another: generations, going back, watched files, directories,
secrets."""
import concurrent.futures
import os
import time

import pytest
import yaml

from lab import wait_until
from test_control import UnixConnection, ask, proxy


@pytest.fixture
def host(lab):
    return lab.namespace("host")


@pytest.fixture
def keeper(lab, shuntd, host):
    """A daemon that keeps its generations in a directory."""
    def make(config=None, args=(), **kw):
        state = lab.path("state")
        return shuntd(config or proxy(), ns=host, args=["--state", state, *args], **kw), state
    return make


def history(daemon):
    return daemon.ctl_json("config", "history")["generations"]


def in_force(daemon):
    return yaml.safe_load(daemon.ctl("config", "show").stdout)


def weights(daemon):
    return {b["name"]: b.get("weight", 1) for b in in_force(daemon)["pools"]["web"]["backends"]}


def kept(state):
    return sorted(int(name.split(".")[0]) for name in os.listdir(state)
                  if name.endswith(".yaml"))


def test_each_change_is_a_generation_with_its_origin(keeper):
    daemon, state = keeper()
    assert daemon.ctl("backend", "weight", "web", "b1", 7).rc == 0
    daemon.reload(proxy(node={"drain_timeout": "1s"}))
    wait_until(lambda: kept(state) == [1, 2, 3])
    wait_until(lambda: all(g["hash"] for g in history(daemon)))

    newest, edit, first = history(daemon)
    assert [first["origin"], edit["origin"], newest["origin"]] == ["start", "command", "signal"]
    assert first["uid"] is None and edit["uid"] == os.getuid()
    assert edit["changes"] == edit["edits"] == 1 and newest["edits"] == 0
    assert edit["summary"] == "~ backend web/b1 weight"
    assert abs(edit["time_ms"] / 1000 - time.time()) < 600 and edit["duration_us"] > 0
    assert len({g["hash"] for g in (first, edit, newest)}) == 3
    with open(os.path.join(state, "0000000002.yaml"), encoding="utf-8") as f:
        text = f.read()
    assert f"# hash: {edit['hash']}" in text
    assert yaml.safe_load(text)["pools"]["web"]["backends"][0]["weight"] == 7
    table = daemon.ctl("config", "history").stdout
    assert "~ backend web/b1 weight" in table and edit["hash"][:12] in table


def test_generations_are_compared_shown_and_gone_back_to(keeper):
    daemon, _ = keeper()
    daemon.ctl("backend", "weight", "web", "b1", 7)
    daemon.ctl("backend", "drain", "web", "b2")
    done = daemon.ctl("config", "diff", 1, 3)
    assert done.stdout.splitlines() == ["~ backend web/b1 weight: 1 -> 7",
                                        "~ backend web/b2 state: up -> drain"]
    assert daemon.ctl("config", "diff", 2, 2).stdout == "no difference\n"
    assert "weight: 7" in daemon.ctl("config", "show", 2).stdout
    assert "weight: 7" not in daemon.ctl("config", "show", 1).stdout

    done = daemon.ctl("config", "rollback", 1)
    assert "~ backend web/b1 weight: 7 -> 1" in done.stdout and "generation 4" in done.stdout
    assert weights(daemon) == {"b1": 1, "b2": 1}
    assert history(daemon)[0]["origin"] == "rollback"
    for words in (("rollback", 99), ("show", 99), ("diff", 1, 99)):
        done = daemon.ctl("config", *words)
        assert done.rc == 3 and "generation 99 is not kept" in done.stderr, done
    assert daemon.ctl("config", "rollback", "x").rc == 3
    assert daemon.generation() == 4


def test_a_change_meant_for_another_generation_is_refused(keeper):
    daemon, _ = keeper()
    assert daemon.ctl("backend", "weight", "web", "b1", 2, "--if-generation", 1).rc == 0
    done = daemon.ctl("backend", "weight", "web", "b1", 3, "--if-generation", 1)
    assert done.rc == 3 and "generation 1 is not in force any more, but 2" in done.stderr, done
    status, _, body = ask(daemon, "POST", "/v1/config/generations/1/rollback", "")
    assert status == 200 and body["generation"] == 3

    conn = UnixConnection(daemon.socket)
    conn.request("POST", "/v1/config/apply", yaml.safe_dump(proxy()), {"If-Match": '"2"'})
    reply = conn.getresponse()
    assert reply.status == 412 and b'"stale"' in reply.read()
    conn.request("POST", "/v1/config/apply", yaml.safe_dump(proxy()), {"If-Match": "latest"})
    reply = conn.getresponse()
    assert reply.status == 400 and b"If-Match" in reply.read()
    conn.close()
    assert weights(daemon)["b1"] == 1


def test_the_history_is_bounded_and_goes_on_after_a_restart(keeper):
    daemon, state = keeper(proxy(admin={"history": 3}))
    for weight in range(2, 8):
        assert daemon.ctl("backend", "weight", "web", "b1", weight).rc == 0
    wait_until(lambda: kept(state) == [5, 6, 7])
    assert daemon.ctl("config", "show", 4).rc == 3
    daemon.restart()
    assert daemon.generation() == 8
    assert weights(daemon)["b1"] == 1  # it was not saved
    assert daemon.ctl("config", "rollback", 7, "--save").rc == 0
    daemon.restart()
    assert weights(daemon)["b1"] == 7
    wait_until(lambda: kept(state) == [8, 9, 10])


def test_a_bad_file_is_started_from_the_last_good_generation(keeper):
    daemon, state = keeper()
    daemon.ctl("backend", "weight", "web", "b1", 9)
    wait_until(lambda: kept(state) == [1, 2])
    assert daemon.terminate() == 0
    daemon.write_config("pools: [\n")
    daemon.restart()
    assert weights(daemon)["b1"] == 9
    assert daemon.ctl_json("status")["started_from_generation"] == 2
    assert "THE FILE IS BAD" in daemon.ctl("status").stdout
    assert "malformed YAML" in daemon.log and "was NOT taken" in daemon.log
    assert history(daemon)[0]["origin"] == "last-good"

    daemon.reload(proxy())
    assert daemon.ctl_json("status")["started_from_generation"] is None
    assert weights(daemon)["b1"] == 1


def test_a_generation_that_somebody_wrote_in_is_not_started_from(keeper):
    daemon, state = keeper()
    daemon.ctl("backend", "weight", "web", "b1", 9)
    wait_until(lambda: kept(state) == [1, 2])
    assert daemon.terminate() == 0
    path = os.path.join(state, "0000000002.yaml")
    with open(path, encoding="utf-8") as f:
        text = f.read()
    with open(path, "w", encoding="utf-8") as f:
        f.write(text.replace("weight: 9", "weight: 8"))
    daemon.write_config("nonsense: 1\n")
    daemon.restart()
    assert daemon.ctl_json("status")["started_from_generation"] == 1
    done = daemon.ctl("config", "rollback", 2)
    assert done.rc == 1 and "was changed since it was written" in done.stderr, done


def test_without_a_directory_the_history_is_in_memory(shuntd, host):
    daemon = shuntd(proxy(), ns=host)
    daemon.ctl("backend", "weight", "web", "b1", 9)
    assert daemon.ctl("config", "rollback", 1).rc == 0
    assert daemon.ctl("config", "diff", 2, 3).stdout == "~ backend web/b1 weight: 9 -> 1\n"
    assert daemon.terminate() == 0
    daemon.write_config("nonsense: 1\n")
    daemon.spawn()
    assert daemon.wait_exit() == 1


def test_a_watched_file_is_read_again(keeper):
    daemon, _ = keeper(proxy(admin={"watch": "on"}))
    daemon.write_config(proxy(admin={"watch": "on"}, node={"drain_timeout": "2s"}))
    wait_until(lambda: daemon.generation() == 2)
    assert history(daemon)[0]["origin"] == "watch"
    daemon.write_config("nonsense: 1\n")
    wait_until(lambda: "refused, nothing changed generation=2 origin=watch" in daemon.log)
    assert daemon.generation() == 2
    # What was saved is in force already.
    assert daemon.ctl("backend", "weight", "web", "b1", 4, "--save").rc == 0
    daemon.write_config(proxy(admin={"watch": "off"}))
    wait_until(lambda: daemon.generation() == 4)
    daemon.write_config(proxy(node={"drain_timeout": "2s"}))
    assert [g["origin"] for g in history(daemon)] == ["watch", "command", "watch", "start"]


def test_what_comes_after_a_save_is_not_undone_by_it(keeper):
    """The file that was saved is noticed a moment later, and is old by then."""
    daemon, _ = keeper(proxy(admin={"watch": "on"}))
    assert daemon.ctl("backend", "weight", "web", "b1", 4, "--save").rc == 0
    assert daemon.ctl("backend", "weight", "web", "b1", 5).rc == 0
    until = time.monotonic() + 0.5
    while time.monotonic() < until:
        assert weights(daemon)["b1"] == 5 and daemon.generation() == 3
    # Somebody else's change counts as before, also back to what was saved.
    saved = proxy(admin={"watch": "on"})
    saved["pools"]["web"]["backends"][0]["weight"] = 4
    daemon.write_config(saved)
    wait_until(lambda: weights(daemon)["b1"] == 4)
    assert [g["origin"] for g in history(daemon)] == ["watch", "command", "command", "start"]


def test_a_directory_is_one_configuration(lab, keeper):
    daemon, _ = keeper()
    assert daemon.terminate() == 0
    parts = lab.path("conf.d")
    os.mkdir(parts)
    whole = proxy()

    def write(name, content):
        with open(os.path.join(parts, name), "w", encoding="utf-8") as f:
            f.write(content if isinstance(content, str) else yaml.safe_dump(content))

    write("10-node.yaml", "# who we are\nnode: {workers: 1}\n")
    write("20-web.yaml", {key: whole[key] for key in ("pools", "services")})
    write("README", "no configuration")
    daemon.config_path = parts
    daemon.restart()
    assert weights(daemon) == {"b1": 1, "b2": 1}

    # Saving writes the file that it is about, no other.
    assert daemon.ctl("backend", "weight", "web", "b1", 3, "--save").rc == 0
    with open(os.path.join(parts, "10-node.yaml"), encoding="utf-8") as f:
        assert f.read().startswith("# who we are")
    daemon.restart()
    assert weights(daemon) == {"b1": 3, "b2": 1}
    assert daemon.ctl_json("status")["unsaved_changes"] is False

    write("30-more.yaml", "pools:\n  web: {health: none}\nnode:\n  wrkers: 2\n")
    done = daemon.ctl("config", "check")
    assert done.rc == 3
    assert f'{parts}/30-more.yaml:2:3: error: key "web" is here twice, first at {parts}/' \
        in done.stderr, done
    write("30-more.yaml", "node:\n  drain_timout: 2s\n")
    write("40-more.yaml", "guard:\n  block: [300.0.0.1]\n")
    done = daemon.ctl("config", "check")
    lines = done.stderr.splitlines()
    assert lines[0].startswith(f"{parts}/30-more.yaml:2:3: error: node: unknown key") and \
        "did you mean \"drain_timeout\"?" in lines[0], done
    assert lines[1].startswith(f"{parts}/40-more.yaml:2:11: error: "), done

    # What came by a command as a whole has no file that it could be saved to.
    os.remove(os.path.join(parts, "40-more.yaml"))
    os.remove(os.path.join(parts, "30-more.yaml"))
    applied = lab.path("applied.yaml")
    with open(applied, "w", encoding="utf-8") as f:
        yaml.safe_dump(whole, f)
    assert daemon.ctl("config", "apply", applied).rc == 0
    done = daemon.ctl("config", "save")
    assert done.rc == 3 and "is a directory" in done.stderr, done


def test_secrets_come_from_the_environment_and_are_not_shown(shuntd, host, free_port, backend,
                                                             client):
    del client
    port = free_port()
    backend("b1", ns=host, http=["127.0.0.1:9001"])
    config = proxy(port=port)
    config["services"]["web"]["routes"] = [{
        "match": {"path": {"prefix": "/"}},
        "redirect": {"to": "/${WORD}/${path}", "status": 302}}]
    daemon = shuntd(config, ns=host, env={"WORD": "hidden-word"})
    head = host.run(["curl", "-si", f"http://127.0.0.1:{port}/x"]).stdout
    assert "ocation: /hidden-word/" in head, head
    for words in (("config", "show"), ("-o", "json", "config", "show")):
        shown = daemon.ctl(*words).stdout
        assert "${WORD}" in shown and "hidden-word" not in shown
    assert daemon.ctl("config", "save").rc == 0
    with open(daemon.config_path, encoding="utf-8") as f:
        assert "hidden-word" not in f.read()
    config["pools"]["web"]["backends"][0]["name"] = "${NOT_THERE}"
    daemon.write_config(config)
    done = daemon.ctl("config", "check")
    assert done.rc == 3
    assert "error: ${NOT_THERE}: there is no such variable in the environment" in done.stderr


def test_strict_takes_warnings_for_errors(lab, shuntd, host):
    config = proxy()
    config["pools"]["web"]["backends"] = [
        {"name": "b1", "address": "127.0.0.1:9001", "state": "disabled"}]
    loose = shuntd(config, ns=host)
    assert loose.ctl("config", "check", loose.config_path).rc == 0
    done = loose.ctl("config", "check", loose.config_path, "--strict")
    assert done.rc == 3 and "warnings are errors" in done.stderr, done
    assert "no backend is up" in done.stderr
    assert loose.ctl("config", "apply", loose.config_path, "--strict").rc == 3
    assert loose.ctl("config", "apply", loose.config_path).rc == 0

    strict = shuntd(config, ns=host, args=["--strict"], start=False)
    strict.spawn()
    assert strict.wait_exit() == 1
    assert "warnings are errors" in strict.log
    del lab


def test_edits_that_wait_together_are_one_generation(keeper):
    daemon, _ = keeper()
    before = daemon.generation()
    names = [f"n{i}" for i in range(150)]

    def add(name):
        return ask(daemon, "POST", "/v1/pools/web/backends",
                   f'{{"name": "{name}", "address": "127.0.0.1:9{names.index(name) + 100:03}"}}')

    with concurrent.futures.ThreadPoolExecutor(50) as pool:
        wrong = pool.submit(add, "n0 n1")
        done = list(pool.map(add, names))
    assert wrong.exception() is not None or wrong.result()[0] == 422
    assert {status for status, _, _ in done} == {200}
    assert set(weights(daemon)) == {"b1", "b2", *names}
    generations = {body["generation"] for _, _, body in done}
    assert max(generations) == daemon.generation()
    assert len(generations) <= daemon.generation() - before
    shared = [body for _, _, body in done if body["edits"] > 1]
    for body in shared:
        assert body["change_count"] == body["edits"]
        assert len(body["changes"]) == min(body["edits"], 16)
