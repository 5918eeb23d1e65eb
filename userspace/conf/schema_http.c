/* SPDX-License-Identifier: BSD-2-Clause */
/* The keys of http services: a part of the table in schema.h. */
#include "conf/fields.h"
#include "conf/schema.h"
#include "conf/snapshot.h"

#define FIELD(type, member) .offset = offsetof(type, member), .width = sizeof(((type *)0)->member)
#define KEYS(list)	    .keys = (list), .count = sizeof(list) / sizeof((list)[0])

#define SECOND 1000ULL
#define DAY    (24 * 3600 * SECOND)
#define KIB    1024ULL
#define MIB    (1024 * KIB)
#define TIB    (1024 * 1024 * MIB)

#define WAIT(member) .type = KEY_DURATION, FIELD(struct http_timeouts, member), .min = 1, .max = DAY

static const struct keyword timeouts_keys[] = {
	{.name = "request_header",
	 .text = "from the first byte of a request to the end of its header",
	 WAIT(request_header),
	 .fallback = "10s"},
	{.name = "request_body",
	 .text = "without a byte of a body from the client",
	 WAIT(request_body),
	 .fallback = "30s"},
	{.name = "idle",
	 .text = "a client's connection without a request",
	 WAIT(idle),
	 .fallback = "60s"},
	{.name = "response_header",
	 .text = "from the end of the request to the end of the response's header",
	 WAIT(response_header),
	 .fallback = "30s"},
	{.name = "response_body",
	 .text = "between two pieces of a body from the backend",
	 WAIT(response_body),
	 .fallback = "30s"},
	{.name = "tunnel",
	 .text = "a tunnel, after an upgrade or CONNECT, without a byte either way",
	 WAIT(tunnel),
	 .fallback = "10m"},
	{.name = "write",
	 .text = "without client or backend taking a byte",
	 WAIT(write),
	 .fallback = "30s"},
	{.name = "tls_handshake",
	 .text = "from a client's connection to the end of its TLS handshake",
	 WAIT(tls_handshake),
	 .fallback = "10s"},
};
const struct section schema_http_timeouts = {
	.name = "timeouts of a service", .text = "Waits of an http service", KEYS(timeouts_keys)};

static const struct keyword limits_keys[] = {
	{.name = "request_line",
	 .text = "longest request line; over it 414 is answered",
	 .type = KEY_SIZE,
	 FIELD(struct http_limits, request_line),
	 .min = 256,
	 .max = MIB,
	 .fallback = "8KiB"},
	{.name = "header_bytes",
	 .text = "largest header, request line included; over it 431 is answered",
	 .type = KEY_SIZE,
	 FIELD(struct http_limits, header_bytes),
	 .min = 1024,
	 .max = MIB,
	 .fallback = "32KiB"},
	{.name = "header_count",
	 .text = "most fields of a header; over it 431 is answered",
	 .type = KEY_NUMBER,
	 FIELD(struct http_limits, header_count),
	 .min = 1,
	 .max = 10000,
	 .fallback = "100"},
	{.name = "body",
	 .text = "largest body of a request, 0: any; over it 413 is answered",
	 .type = KEY_SIZE,
	 FIELD(struct http_limits, body),
	 .max = TIB,
	 .fallback = "0"},
	{.name = "chunk_extensions",
	 .text = "most bytes of chunk extensions in one request; over it 400 is answered",
	 .type = KEY_SIZE,
	 FIELD(struct http_limits, chunk_extensions),
	 .max = MIB,
	 .fallback = "4KiB"},
	{.name = "trailer_bytes",
	 .text = "largest trailer section of a request; over it 431 is answered",
	 .type = KEY_SIZE,
	 FIELD(struct http_limits, trailer_bytes),
	 .min = 2,
	 .max = MIB,
	 .fallback = "8KiB"},
	{.name = "trailer_count",
	 .text = "most fields of trailers of a request; over it 431 is answered",
	 .type = KEY_NUMBER,
	 FIELD(struct http_limits, trailer_count),
	 .max = 10000,
	 .fallback = "100"},
	{.name = "client_rate",
	 .text = "bytes a second that a client must send of a body, and take of a response, in the "
		 "long run, 0: any. It may fall behind by timeouts.request_body and .write",
	 .type = KEY_SIZE,
	 FIELD(struct http_limits, client_rate),
	 .max = MIB,
	 .fallback = "200"},
	{.name = "requests",
	 .text = "most requests of one client connection, 0: any; it is closed after the last one",
	 .type = KEY_NUMBER,
	 FIELD(struct http_limits, requests),
	 .max = 1000000000,
	 .fallback = "0"},
	{.name = "pipelined",
	 .text = "most requests that come at once, not waiting for the responses, 0: any; after so "
		 "many the connection is closed, and the client sends the others again",
	 .type = KEY_NUMBER,
	 FIELD(struct http_limits, pipelined),
	 .max = 1000000,
	 .fallback = "1000"},
	{.name = "streams",
	 .text = "most requests of one HTTP/2 connection at a time; more are refused, to be sent "
		 "again",
	 .type = KEY_NUMBER,
	 FIELD(struct http_limits, streams),
	 .min = 1,
	 .max = 10000,
	 .fallback = "100"},
	{.name = "resets",
	 .text = "streams that a client may reset a second in the long run, and ten seconds' worth "
		 "at "
		 "once, 0: any; a connection with more is ended with ENHANCE_YOUR_CALM",
	 .type = KEY_NUMBER,
	 FIELD(struct http_limits, resets),
	 .max = 1000000,
	 .fallback = "100"},
	{.name = "control_frames",
	 .text = "the same of PING, SETTINGS, PRIORITY, empty and malformed frames",
	 .type = KEY_NUMBER,
	 FIELD(struct http_limits, control_frames),
	 .max = 1000000,
	 .fallback = "100"},
	{.name = "continuations",
	 .text = "most CONTINUATION frames of one HTTP/2 header; a connection with more is ended "
		 "in "
		 "the same way",
	 .type = KEY_NUMBER,
	 FIELD(struct http_limits, continuations),
	 .max = 1000,
	 .fallback = "8"},
	{.name = "connections",
	 .text = "most client connections of one worker, 0: any",
	 .type = KEY_NUMBER,
	 FIELD(struct http_limits, connections),
	 .max = 10000000,
	 .fallback = "0"},
	{.name = "tls_handshakes",
	 .text = "most TLS handshakes under way in one worker, 0: any; who comes while there are "
		 "so "
		 "many is turned away",
	 .type = KEY_NUMBER,
	 FIELD(struct http_limits, tls_handshakes),
	 .max = 10000000,
	 .fallback = "2000"},
};
const struct section schema_http_limits = {.name = "limits of a service",
					   .text = "What an http service accepts from a client",
					   KEYS(limits_keys)};

const char *const http2_words[] = {"on", "off", NULL};
const char *const connect_rule_words[] = {"refuse", "tunnel", NULL};
const char *const request_id_words[] = {"off", "on", NULL};
static const char *const dot_segments_words[] = {"resolve", "refuse", "keep", NULL};
static const char *const double_slashes_words[] = {"merge", "refuse", "keep", NULL};
static const char *const escaped_slashes_words[] = {"refuse", "keep", "decode", NULL};
static const char *const bad_escapes_words[] = {"refuse", "escape", NULL};

static const struct keyword paths_keys[] = {
	{.name = "dot_segments",
	 .text = "the segments . and .. are resolved, refused with 400, or kept; those that lead "
		 "above the root, or hide behind a parameter (..;a), are refused unless kept",
	 .type = KEY_CHOICE,
	 FIELD(struct http_paths, dot_segments),
	 .words = dot_segments_words,
	 .fallback = "resolve"},
	{.name = "double_slashes",
	 .text = "slashes in a row are made one, refused with 400, or kept",
	 .type = KEY_CHOICE,
	 FIELD(struct http_paths, double_slashes),
	 .words = double_slashes_words,
	 .fallback = "merge"},
	{.name = "escaped_slashes",
	 .text = "%2F, %5C and backslashes are refused with 400, kept, or taken for slashes",
	 .type = KEY_CHOICE,
	 FIELD(struct http_paths, escaped_slashes),
	 .words = escaped_slashes_words,
	 .fallback = "refuse"},
	{.name = "bad_escapes",
	 .text = "a % without two hexadecimal digits is refused with 400, or becomes %25",
	 .type = KEY_CHOICE,
	 FIELD(struct http_paths, bad_escapes),
	 .words = bad_escapes_words,
	 .fallback = "refuse"},
};
const struct section schema_http_paths = {
	.name = "paths of a service",
	.text = "The one form in which paths are routed and forwarded. %00 is always refused, and "
		"escapes of letters, digits and -._~ are always taken for these",
	KEYS(paths_keys)};

/* ---- error_pages ---- */

static const struct keyword error_page_keys[] = {
	{.name = "status",
	 .text = "of the answers that have it",
	 .type = KEY_SPECIAL,
	 .read = field_read_page_statuses,
	 .format = field_format_page_statuses,
	 .form = "numbers from 400 to 599",
	 .required = true},
	{.name = "file",
	 .text = "at most 64 KiB; read at the start and with each change of the configuration",
	 .type = KEY_TEXT,
	 FIELD(struct error_page, file),
	 .form = "the absolute path of a file",
	 .refuse_text = field_refuse_path,
	 .required = true},
	{.name = "type",
	 .text = "type of its content",
	 .type = KEY_TEXT,
	 FIELD(struct error_page, type),
	 .form = "a media type, such as text/html",
	 .refuse_text = field_refuse_content_type,
	 .fallback = "text/html"},
};
const struct section schema_error_page = {.name = "page of a service",
					  .text = "What errors are answered with",
					  KEYS(error_page_keys)};
