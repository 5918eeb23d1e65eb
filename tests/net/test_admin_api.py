# SPDX-License-Identifier: BSD-2-Clause
"""docs/openapi.json, held against the table of commands and what the daemon really answers."""
import json
import os
import re

import jsonschema
import pytest

from admin_http import TOKEN, request

ROOT = os.path.join(os.path.dirname(__file__), "..", "..")


@pytest.fixture(scope="module")
def document():
    with open(os.path.join(ROOT, "docs", "openapi.json"), encoding="utf-8") as f:
        return json.load(f)


def held_against(document, schema, value):
    jsonschema.Draft202012Validator({**schema, "components": document["components"]}).validate(
        value)


def response(document, path, method, status):
    found = document["paths"][path][method]["responses"]
    found = found.get(str(status), found["default"])
    if "$ref" in found:
        found = document["components"]["responses"][found["$ref"].rpartition("/")[2]]
    return found["content"]


def test_schemas_are_schemas(document):
    for schema in document["components"]["schemas"].values():
        jsonschema.Draft202012Validator.check_schema(schema)
    refs = set(re.findall(r'"#/components/schemas/(\w+)"', json.dumps(document)))
    assert refs == set(document["components"]["schemas"]), "used and defined"
    ids = [op["operationId"] for path in document["paths"].values() for op in path.values()]
    assert len(ids) == len(set(ids))


def test_every_command_is_described_and_no_other(document):
    with open(os.path.join(ROOT, "userspace", "control", "commands.c"), encoding="utf-8") as f:
        table = set(re.findall(r'\{"([A-Z]+)", "([^"]+)", (true|false), ', f.read()))
    assert len(table) > 20
    described = {(method.upper(), re.sub(r"\{\w+\}", "{}", path))
                 for path, ops in document["paths"].items() for method in ops}
    assert described == {(method, path) for method, path, _ in table}
    for path, ops in document["paths"].items():
        for method, op in ops.items():
            assert ("security" in op) == (method != "get"), (method, path)
            named = {p["name"] for p in op.get("parameters", []) if p["in"] == "path"}
            assert named == set(re.findall(r"\{(\w+)\}", path))


def test_what_is_served_is_the_file(admin, document):
    assert admin().ask("/openapi.json") == (200, document)


def test_replies_to_questions_are_as_described(admin, document):
    a = admin()
    for path, ops in document["paths"].items():
        if "get" not in ops:
            continue
        asked = path.format(service="web", pool="web", generation=1, other=1)
        status, headers, text = request(a.port, "GET", asked)
        content = response(document, path, "get", status)
        kind = headers["Content-Type"].partition(";")[0]
        # Without interfaces there are no lists, which is an answer, too.
        assert status == (409 if path == "/v1/guard" else 200) and kind in content, path
        if kind == "application/json":
            held_against(document, content[kind]["schema"], json.loads(text))


@pytest.mark.parametrize("path, method, body, status", [
    ("/v1/pools/{pool}/backends/{backend}", "patch", '{"weight": 3}', 200),
    ("/v1/pools/{pool}/backends/{backend}", "patch", '{"weight": 3000}', 400),
    ("/v1/pools/{pool}/backends", "post", '{"name": "b9", "address": "127.0.0.9:1"}', 200),
    ("/v1/services/{service}/route", "post", '{"method": "GET", "url": "http://a.test/"}', 200),
    ("/v1/flows/forget", "post", '{"all": true}', 200),
    ("/v1/flows/forget", "post", '{"source": "10.0.0.1/8"}', 400),
    ("/v1/flows/forget", "post", '{"all": true, "datapath": "steered"}', 400),
    ("/v1/flows/kill", "post", '{"all": true, "datapath": "proxied"}', 200),
    ("/v1/flows/kill", "post", '{"datapath": "proxied"}', 400),
    ("/v1/explain", "post", '{"protocol": "udp"}', 409),
    ("/v1/captures", "post", '{"protocol": "udp"}', 409),
    ("/v1/captures/{capture}/read", "post", "", 404),
    ("/v1/captures/{capture}", "delete", "", 404),
    ("/v1/config/generations/{generation}/rollback", "post", "", 200),
    ("/v1/config/check", "post", "services: {web: {listen: 1}}", 422),
    ("/v1/config/apply", "post", "nothing: good", 422),
    ("/v1/pools/{pool}/backends/{backend}", "delete", "", 200),
])
def test_replies_to_orders_are_as_described(admin, token_file, document, path, method, body,
                                            status):
    a = admin(admin={"token_file": token_file}, backends=[
        {"address": "127.0.0.1:9"}, {"address": "127.0.0.2:9"}])
    asked = path.format(service="web", pool="web", backend="b1", generation=1,
                        capture="0123456789abcdef")
    got, reply = a.ask(asked, method.upper(), body, token=TOKEN)
    assert got == status, reply
    held_against(document, response(document, path, method, got)["application/json"]["schema"],
                 reply)
