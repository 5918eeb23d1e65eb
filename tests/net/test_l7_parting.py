# SPDX-License-Identifier: BSD-2-Clause
"""The last packet of a connection: the end comes with the last bytes, not behind them."""
import ctypes
import select
import signal
import socket
import struct
import threading

import pytest

from lab import TIMEOUT_S

ETH_P_IP = 0x0800
SO_ATTACH_FILTER = 26  # a name that Python's socket does not have
FIN = 0x01
KEEP = "GET / HTTP/1.1\r\nHost: example.org\r\n\r\n"
CLOSE = "GET / HTTP/1.1\r\nHost: example.org\r\nConnection: close\r\n\r\n"


def accept_only(sock, port):
    """Of what a packet socket sees, IPv4 and TCP from port: all of loopback is too much for it."""
    program = [(0x30, 0, 0, 23), (0x15, 0, 4, socket.IPPROTO_TCP),  # the protocol
               (0xb1, 0, 0, 14), (0x48, 0, 0, 14), (0x15, 0, 1, port),  # behind the IP header
               (0x06, 0, 0, 65535), (0x06, 0, 0, 0)]
    filters = ctypes.create_string_buffer(b"".join(struct.pack("HBBI", *i) for i in program))
    sock.setsockopt(socket.SOL_SOCKET, SO_ATTACH_FILTER,
                    struct.pack("HP", len(program), ctypes.addressof(filters)))


class Sniffer:
    """TCP segments that come from a port of loopback."""

    def __init__(self, port):
        self.sock = socket.socket(socket.AF_PACKET, socket.SOCK_RAW)
        accept_only(self.sock, port)
        self.sock.bind(("lo", ETH_P_IP))

    def __enter__(self):
        return self

    def __exit__(self, *exc):
        self.sock.close()

    def until_end(self):
        """[(flags, payload)] of those that carry anything; the last one has FIN."""
        segments, seen = [], set()
        while not segments or not segments[-1][0] & FIN:
            assert select.select([self.sock], [], [], TIMEOUT_S)[0], segments
            frame, addr = self.sock.recvfrom(65536)
            ip = frame[14:]
            tcp = ip[(ip[0] & 15) * 4:struct.unpack_from("!H", ip, 2)[0]]
            payload, sequence = tcp[(tcp[12] >> 4) * 4:], tcp[4:8]
            if (addr[2] != socket.PACKET_OUTGOING and (payload or tcp[13] & FIN)
                    and sequence not in seen):
                seen.add(sequence)  # a slow machine has some sent again
                segments.append((tcp[13], payload))
        return segments


FRAMINGS = {"length": b"Content-Length: 2\r\n\r\nok",
            "chunked": b"Transfer-Encoding: chunked\r\n\r\n2\r\nok\r\n0\r\n\r\n"}


def answer_with(body):
    def serve(peer):
        while True:
            peer.message()
            peer.send(b"HTTP/1.1 200 OK\r\n" + body)
    return serve


def ask_all(proxy, client, requests):
    """The payloads of the packets that answer them, to the one that ends the connection."""
    with Sniffer(proxy.port) as sniffer:
        for request in requests:
            client.ask(request)
        assert client.is_closed()
        return [payload for _, payload in sniffer.until_end()]


@pytest.mark.parametrize("framing", FRAMINGS)
def test_a_response_and_the_end_are_one_packet(http_proxy, framing):
    proxy = http_proxy(answer_with(FRAMINGS[framing]))
    with proxy.connect() as client:
        kept, last = ask_all(proxy, client, [KEEP, CLOSE])
    assert kept.startswith(b"HTTP/1.1 200") and last.startswith(b"HTTP/1.1 200")


def test_an_answer_of_its_own_and_the_end_are_one_packet(http_proxy):
    proxy = http_proxy(routes=[{"respond": {"status": 403}}])
    for request in (CLOSE, "GET / HTTP/9.9\r\n\r\n"):  # closed at once; only said to be
        with proxy.connect() as client:
            answers = ask_all(proxy, client, [request])
            assert len(answers) == 1, (request, answers)
        assert answers[0].startswith(b"HTTP/1.1 ")


def test_over_tls_too(tls_proxy):
    """The close_notify between them, as well."""
    proxy = tls_proxy()
    with proxy.open() as client:
        client.ask(KEEP)  # tickets are sent before
        records, = ask_all(proxy, client, [CLOSE])
    length, = struct.unpack_from("!H", records, 3)
    assert len(records) > 5 + length


def test_a_close_notify_is_answered_with_the_end(tls_proxy):
    proxy = tls_proxy()
    with proxy.open() as client:
        client.ask(KEEP)
        with Sniffer(proxy.port) as sniffer:
            client.sock.unwrap()
            segments = sniffer.until_end()
    assert len(segments) == 1 and segments[0][1], segments


def test_a_backend_that_is_not_done_is_not_waited_with(http_proxy):
    """What came of a response is sent when it comes, the last bytes with the end."""
    def in_pieces(peer):
        peer.message()
        peer.send(b"HTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\nab")
        told.wait(TIMEOUT_S)
        peer.send(b"cd")
        peer.is_closed()

    told = threading.Event()
    proxy = http_proxy(in_pieces)
    with proxy.connect() as client, Sniffer(proxy.port) as sniffer:
        client.send(CLOSE)
        assert client.head().status == 200 and client.exactly(2) == b"ab"
        told.set()
        assert client.exactly(2) == b"cd" and client.is_closed()
        assert sniffer.until_end()[-1][1] == b"cd"


def test_a_response_comes_before_the_reset(http_proxy):
    """The proxy ends the connection, and something came that it has not read: in one turn it learns
    of the response, and then of that."""
    def late(peer):
        peer.message()
        asked.set()
        told.wait(TIMEOUT_S)
        peer.send(b"HTTP/1.1 200 OK\r\n" + FRAMINGS["length"])
        answered.set()

    asked, told, answered = threading.Event(), threading.Event(), threading.Event()
    proxy = http_proxy(late, limits={"requests": 1})
    with proxy.connect() as client:
        client.send(KEEP)
        assert asked.wait(TIMEOUT_S)
        proxy.daemon.signal(signal.SIGSTOP)
        told.set()
        assert answered.wait(TIMEOUT_S)
        client.send(KEEP)
        proxy.daemon.signal(signal.SIGCONT)
        assert client.message().body == b"ok"
