# SPDX-License-Identifier: BSD-2-Clause
"""HTTP/2 from outside: python's h2 as a client, and frames by hand where h2 would not send them."""
import struct

import h2.config
import h2.connection
import h2.events
import h2.settings
import hpack

from http1 import TIMEOUT_S, connect

PREFACE = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"
DATA, HEADERS, PRIORITY, RST_STREAM, SETTINGS, PUSH_PROMISE, PING, GOAWAY, WINDOW_UPDATE, \
    CONTINUATION = range(10)
END_STREAM, END_HEADERS, ACK = 1, 4, 1
FRAME_MAX = 16384
ERRORS = ["NO_ERROR", "PROTOCOL_ERROR", "INTERNAL_ERROR", "FLOW_CONTROL_ERROR",
          "SETTINGS_TIMEOUT", "STREAM_CLOSED", "FRAME_SIZE_ERROR", "REFUSED_STREAM", "CANCEL",
          "COMPRESSION_ERROR", "CONNECT_ERROR", "ENHANCE_YOUR_CALM", "INADEQUATE_SECURITY",
          "HTTP_1_1_REQUIRED"]


def get(path="/", authority="a", method="GET", scheme="http", **fields):
    return [(":method", method), (":scheme", scheme), (":authority", authority), (":path", path),
            *((name.replace("_", "-"), value) for name, value in fields.items())]


class Reply:
    """What came on one stream."""

    def __init__(self):
        self.interim, self.fields, self.trailers, self.body = [], None, None, bytearray()
        self.ended, self.error = False, None

    @property
    def status(self):
        return int(dict(self.fields)[":status"]) if self.fields else None

    def get(self, name, default=None):
        return dict(self.fields).get(name.lower(), default)

    def __repr__(self):
        return f"{self.fields} {bytes(self.body[:200])} {self.trailers} {self.error}"


class H2Client:
    """One connection. Windows are given back as bytes are read, unless hold is set."""

    def __init__(self, peer, hold=False, **settings):
        self.peer, self.hold = peer, hold
        self.replies, self.goaway = {}, None
        self.conn = h2.connection.H2Connection(h2.config.H2Configuration(
            client_side=True, header_encoding="utf-8", validate_outbound_headers=False,
            normalize_outbound_headers=False))
        self.conn.local_settings = h2.settings.Settings(
            client=True, initial_values={h2.settings.SettingCodes[k]: v
                                         for k, v in settings.items()} or None)
        self.conn.initiate_connection()
        self.flush()

    def __enter__(self):
        return self

    def __exit__(self, *exc):
        self.peer.close()

    def flush(self):
        data = self.conn.data_to_send()
        if data:
            self.peer.send(data)

    def start(self, fields, end=True):
        """A request begins; its stream."""
        stream = self.conn.get_next_available_stream_id()
        self.replies[stream] = Reply()
        self.conn.send_headers(stream, fields, end_stream=end)
        self.flush()
        return stream

    def _take(self, event):
        reply = self.replies.get(getattr(event, "stream_id", None))
        if isinstance(event, h2.events.InformationalResponseReceived):
            reply.interim.append(event.headers)
        elif isinstance(event, h2.events.ResponseReceived):
            reply.fields = event.headers
        elif isinstance(event, h2.events.TrailersReceived):
            reply.trailers = event.headers
        elif isinstance(event, h2.events.DataReceived):
            reply.body += event.data
            if not self.hold and event.flow_controlled_length:
                self.conn.acknowledge_received_data(event.flow_controlled_length,
                                                    event.stream_id)
        elif isinstance(event, h2.events.StreamEnded):
            reply.ended = True
        elif isinstance(event, h2.events.StreamReset):
            reply.error = ERRORS[event.error_code]
        elif isinstance(event, h2.events.ConnectionTerminated):
            self.goaway = (ERRORS[event.error_code], event.last_stream_id)

    def step(self):
        """Read once. False: the connection has ended."""
        data = self.peer.sock.recv(65536)
        if not data:
            return False
        for event in self.conn.receive_data(data):
            self._take(event)
        self.flush()
        return True

    def until(self, condition):
        while not condition():
            if not self.step():
                raise EOFError(self.replies)

    def reply(self, stream):
        reply = self.replies[stream]
        self.until(lambda: reply.ended or reply.error)
        return reply

    def send_body(self, stream, body, end=True):
        """As far as the windows go, then as they open."""
        at = 0
        while at < len(body):
            room = min(self.conn.local_flow_control_window(stream), len(body) - at,
                       self.conn.max_outbound_frame_size)
            if room <= 0:
                if self.replies[stream].ended or self.replies[stream].error:
                    return
                self.until(lambda: self.conn.local_flow_control_window(stream) > 0 or
                           self.replies[stream].ended or self.replies[stream].error)
                continue
            self.conn.send_data(stream, body[at:at + room],
                                end_stream=end and at + room == len(body))
            at += room
            self.flush()
        if end and not body:
            self.conn.end_stream(stream)
            self.flush()

    def ask(self, fields, body=None):
        stream = self.start(fields, end=body is None)
        if body is not None:
            self.send_body(stream, body)
        return self.reply(stream)


class Frame:
    def __init__(self, kind, flags, stream, payload):
        self.kind, self.flags, self.stream, self.payload = kind, flags, stream, payload

    @property
    def error(self):
        """Of RST_STREAM and GOAWAY."""
        at = 0 if self.kind == RST_STREAM else 4
        return ERRORS[struct.unpack_from(">I", self.payload, at)[0]]

    def __repr__(self):
        return f"frame {self.kind} flags {self.flags:#x} stream {self.stream} {self.payload[:64]}"


def frame(kind, flags=0, stream=0, payload=b""):
    return struct.pack(">I", len(payload))[1:] + bytes((kind, flags)) + \
        struct.pack(">I", stream) + payload


class RawH2:
    """Frames by hand."""

    def __init__(self, peer, settings=b""):
        self.peer, self.encoder, self.decoder = peer, hpack.Encoder(), hpack.Decoder()
        self.send(PREFACE + frame(SETTINGS, 0, 0, settings))

    def __enter__(self):
        return self

    def __exit__(self, *exc):
        self.peer.close()

    def send(self, data):
        self.peer.send(data)

    def headers(self, stream, fields, flags=END_HEADERS | END_STREAM):
        block = self.encoder.encode(fields)
        parts = [block[i:i + FRAME_MAX] for i in range(0, len(block), FRAME_MAX)] or [b""]
        last = flags & END_HEADERS
        for i, part in enumerate(parts):
            ends = last if i == len(parts) - 1 else 0
            self.send(frame(CONTINUATION if i else HEADERS,
                            ends | (0 if i else flags & ~END_HEADERS), stream, part))

    def next(self):
        """The next frame; None: the connection has ended."""
        try:
            head = self.peer.exactly(9)
            size = int.from_bytes(head[:3], "big")
            return Frame(head[3], head[4], int.from_bytes(head[5:9], "big") & 0x7fffffff,
                         self.peer.exactly(size))
        except (EOFError, ConnectionResetError):
            return None

    def until(self, *kinds):
        """The next frame of these kinds; None: the connection ended before."""
        while (got := self.next()) and got.kind not in kinds:
            pass
        return got

    def fields(self, got):
        return self.decoder.decode(got.payload)


def open_h2(proxy, **kw):
    peer = connect(proxy.port, proxy.addr)
    peer.sock.settimeout(TIMEOUT_S)
    return H2Client(peer, **kw)


def open_raw(proxy, **kw):
    return RawH2(connect(proxy.port, proxy.addr), **kw)


class Request:
    """What came on one stream of a backend."""

    def __init__(self, stream, fields):
        self.stream, self.fields, self.body, self.trailers = stream, fields, bytearray(), None
        self.ended = False

    def get(self, name, default=None):
        values = [value for key, value in self.fields if key == name.lower()]
        assert len(values) <= 1, (name, values)
        return values[0] if values else default


class H2Server:
    """A backend's side of one connection. respond(server, request) is called when a request is
    whole; begin(server, request), if given, with its header."""

    def __init__(self, peer, respond, begin=None, **settings):
        self.peer, self.respond, self.begin = peer, respond, begin
        self.requests, self.resets = {}, []
        self.conn = h2.connection.H2Connection(h2.config.H2Configuration(
            client_side=False, header_encoding="utf-8", validate_outbound_headers=False))
        self.conn.local_settings = h2.settings.Settings(
            client=False, initial_values={h2.settings.SettingCodes[k]: v
                                          for k, v in settings.items()} or None)
        self.conn.initiate_connection()
        self.flush()

    def flush(self):
        data = self.conn.data_to_send()
        if data:
            self.peer.send(data)

    def run(self):
        while data := self.peer.sock.recv(65536):
            for event in self.conn.receive_data(data):
                self._take(event)
            self.flush()

    def _take(self, event):
        request = self.requests.get(getattr(event, "stream_id", None))
        if isinstance(event, h2.events.RequestReceived):
            request = self.requests[event.stream_id] = Request(event.stream_id, event.headers)
            if self.begin:
                self.begin(self, request)
        elif isinstance(event, h2.events.DataReceived):
            request.body += event.data
            if event.flow_controlled_length:
                self.conn.acknowledge_received_data(event.flow_controlled_length,
                                                    event.stream_id)
        elif isinstance(event, h2.events.TrailersReceived):
            request.trailers = event.headers
        elif isinstance(event, h2.events.StreamEnded):
            request.ended = True
            self.respond(self, request)
        elif isinstance(event, h2.events.StreamReset):
            self.resets.append((event.stream_id, ERRORS[event.error_code]))

    def reply(self, request, status=200, body=b"", trailers=None, flush=True, **fields):
        """Whole, as far as it fits the windows at once."""
        self.conn.send_headers(request.stream, [
            (":status", str(status)), *((k.replace("_", "-"), v) for k, v in fields.items())],
            end_stream=not body and not trailers)
        while body:
            part, body = body[:16384], body[16384:]
            self.conn.send_data(request.stream, part, end_stream=not body and not trailers)
        if trailers:
            self.conn.send_headers(request.stream, trailers, end_stream=True)
        if flush:
            self.flush()


def h2_serve(respond=None, made=None, **kw):
    """For http1.Script: a backend that speaks HTTP/2. made: a list for the H2Servers."""
    def say_hi(server, request):
        server.reply(request, body=b"hi", content_length="2")

    def serve(peer):
        server = H2Server(peer, respond or say_hi, **kw)
        if made is not None:
            made.append(server)
        server.run()
    return serve
