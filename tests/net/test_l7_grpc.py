# SPDX-License-Identifier: BSD-2-Clause
"""gRPC through the proxy: its own library on both sides."""
import threading
from concurrent import futures

import grpc
import pytest

from http1 import OK, TIMEOUT_S

POOL = {"protocol": "http2"}


class Handler(grpc.GenericRpcHandler):
    """Every kind of call; messages are bytes."""

    def __init__(self):
        self.cancelled = threading.Event()
        self.deadline = None

    def service(self, handler_call_details):
        return {
            "/test/Echo": grpc.unary_unary_rpc_method_handler(self.echo),
            "/test/Fail": grpc.unary_unary_rpc_method_handler(self.fail),
            "/test/Count": grpc.unary_stream_rpc_method_handler(self.count),
            "/test/Sum": grpc.stream_unary_rpc_method_handler(self.sum),
            "/test/Chat": grpc.stream_stream_rpc_method_handler(self.chat),
            "/test/Wait": grpc.unary_unary_rpc_method_handler(self.wait),
        }.get(handler_call_details.method)

    def echo(self, request, context):
        context.set_trailing_metadata((("x-sum", str(len(request))),))
        return request

    def fail(self, request, context):
        context.abort(grpc.StatusCode.NOT_FOUND, "no such thing: é")

    def count(self, request, _context):
        for i in range(int(request)):
            yield b"%d" % i

    def sum(self, requests, _context):
        return b"%d" % sum(int(r) for r in requests)

    def chat(self, requests, _context):
        for request in requests:
            yield request.upper()

    def wait(self, _request, context):
        self.deadline = context.time_remaining()
        context.add_callback(self.cancelled.set)
        self.cancelled.wait(TIMEOUT_S)
        return b""


@pytest.fixture
def grpc_backend():
    handler = Handler()
    server = grpc.server(futures.ThreadPoolExecutor(8), handlers=[handler],
                         options=[("grpc.so_reuseport", 0)])
    handler.port = server.add_insecure_port("127.0.0.1:0")
    server.start()
    yield handler
    server.stop(None)


@pytest.fixture
def channel(grpc_backend, http_proxy):
    proxy = http_proxy(backends=[f"127.0.0.1:{grpc_backend.port}"], pool=POOL)
    with grpc.insecure_channel(f"127.0.0.1:{proxy.port}",
                               options=[("grpc.enable_http_proxy", 0)]) as made:
        made.proxy = proxy
        yield made


def test_unary(channel):
    echo = channel.unary_unary("/test/Echo")
    for size in (0, 1, 1000, 100000, 3000000):
        reply, call = echo.with_call(b"x" * size, timeout=TIMEOUT_S)
        assert len(reply) == size
        assert dict(call.trailing_metadata())["x-sum"] == str(size)


def test_many_at_once(channel):
    echo = channel.unary_unary("/test/Echo")
    calls = [echo.future(b"%d" % i, timeout=TIMEOUT_S) for i in range(300)]
    assert [call.result() for call in calls] == [b"%d" % i for i in range(300)]


@pytest.mark.parametrize("method, code, text", [
    ("/test/Fail", grpc.StatusCode.NOT_FOUND, "no such thing: é"),
    ("/test/None", grpc.StatusCode.UNIMPLEMENTED, "Method not found!")])
def test_errors_come_as_trailers_alone(channel, method, code, text):
    with pytest.raises(grpc.RpcError) as caught:
        channel.unary_unary(method)(b"", timeout=TIMEOUT_S)
    assert (caught.value.code(), caught.value.details()) == (code, text)


def test_streams_of_the_server(channel):
    replies = channel.unary_stream("/test/Count")(b"500", timeout=TIMEOUT_S)
    assert list(replies) == [b"%d" % i for i in range(500)]


def test_streams_of_the_client(channel):
    numbers = (b"%d" % i for i in range(500))
    assert channel.stream_unary("/test/Sum")(numbers, timeout=TIMEOUT_S) == b"%d" % sum(range(500))


def test_both_streams_in_step(channel):
    """Each message is answered before the next one is sent: nothing waits for more to come."""
    turn, said = threading.Semaphore(1), []

    def requests():
        for word in (b"one", b"two", b"three"):
            assert turn.acquire(timeout=TIMEOUT_S)
            yield word
    for reply in channel.stream_stream("/test/Chat")(requests(), timeout=TIMEOUT_S):
        said.append(reply)
        turn.release()
    assert said == [b"ONE", b"TWO", b"THREE"]


def test_a_deadline(channel, grpc_backend):
    with pytest.raises(grpc.RpcError) as caught:
        channel.unary_unary("/test/Wait")(b"", timeout=1)
    assert caught.value.code() == grpc.StatusCode.DEADLINE_EXCEEDED
    assert 0 < grpc_backend.deadline < 1.1  # gRPC rounds it
    assert grpc_backend.cancelled.wait(TIMEOUT_S)


def test_a_cancelled_call(channel, grpc_backend):
    call = channel.unary_unary("/test/Wait").future(b"", timeout=TIMEOUT_S)
    channel.proxy.wait(lambda: grpc_backend.deadline is not None)
    call.cancel()
    assert grpc_backend.cancelled.wait(TIMEOUT_S)


def test_no_backend(http_proxy, free_port):
    """What the proxy says itself is a status that gRPC knows."""
    proxy = http_proxy(backends=[f"127.0.0.1:{free_port()}"], pool=POOL)
    with grpc.insecure_channel(f"127.0.0.1:{proxy.port}",
                               options=[("grpc.enable_http_proxy", 0)]) as channel:
        with pytest.raises(grpc.RpcError) as caught:
            channel.unary_unary("/test/Echo")(b"", timeout=TIMEOUT_S)
    assert (caught.value.code(), caught.value.details()) == \
        (grpc.StatusCode.UNAVAILABLE, "no backend could be connected to")


def test_a_backend_that_speaks_http1(http_proxy):
    def serve(peer):
        peer.message()
        peer.send(OK)
    proxy = http_proxy(serve)
    with grpc.insecure_channel(f"127.0.0.1:{proxy.port}",
                               options=[("grpc.enable_http_proxy", 0)]) as channel:
        with pytest.raises(grpc.RpcError) as caught:
            channel.unary_unary("/test/Echo")(b"", timeout=TIMEOUT_S)
    assert caught.value.code() in (grpc.StatusCode.UNKNOWN, grpc.StatusCode.INTERNAL)
