/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Why a message was refused or a request failed: status of the answer and the words in its body.
 * One list, so that a sentence that a client was shown is found here with one search. Pure.
 */
#ifndef L7_REASON_H
#define L7_REASON_H

/* X(NAME, status, "sentence") */
#define REASONS(X)                                                                                 \
	X(NONE, 0, "")                                                                             \
	/* what a client sent */                                                                   \
	X(BARE_LF, 400, "line feed without carriage return in the header")                         \
	X(BARE_CR, 400, "carriage return without line feed in the header")                         \
	X(CONTROL_BYTE, 400, "control byte in the header")                                         \
	X(OBS_FOLD, 400, "header line begins with white space")                                    \
	X(NO_COLON, 400, "header line without a colon")                                            \
	X(FIELD_NAME, 400, "header field name is empty or has a forbidden byte")                   \
	X(START_LINE, 400, "malformed request line")                                               \
	X(TARGET, 400, "malformed request target")                                                 \
	X(FRAGMENT, 400, "fragment in the request target")                                         \
	X(PATH_ESCAPE, 400, "malformed escape in the path")                                        \
	X(PATH_ZERO, 400, "zero byte in the path")                                                 \
	X(PATH_SLASH, 400, "escaped slash or backslash in the path")                               \
	X(PATH_DOUBLE, 400, "empty segment in the path")                                           \
	X(PATH_DOTS, 400, "dot segment in the path that is not allowed there")                     \
	X(HEADER_SYNTAX, 400, "malformed header")                                                  \
	X(HOST_MISSING, 400, "no Host header field")                                               \
	X(HOST_TWICE, 400, "more than one Host header field")                                      \
	X(HOST_BAD, 400, "malformed Host header field or authority")                               \
	X(HOST_DIFFERS, 400, "Host header field differs from the request target")                  \
	X(LENGTH_BAD, 400, "malformed Content-Length")                                             \
	X(LENGTH_TWICE, 400, "more than one Content-Length")                                       \
	X(LENGTH_AND_CODING, 400, "both Content-Length and Transfer-Encoding")                     \
	X(CODING_BAD, 400, "malformed Transfer-Encoding")                                          \
	X(CODING_OLD, 400, "Transfer-Encoding in an HTTP/1.0 message")                             \
	X(BODY_OLD, 400, "body in an HTTP/1.0 request of a method without one")                    \
	X(UPGRADE_BODY, 400, "body in a request that asks for another protocol")                   \
	X(CONNECTION_BAD, 400, "malformed Connection header field")                                \
	X(CHUNK_BAD, 400, "malformed chunked body")                                                \
	X(CHUNK_EXTENSION, 400, "too many bytes of chunk extensions")                              \
	X(TRAILER_LARGE, 431, "trailer section too large")                                         \
	X(NO_ROUTE, 404, "no route is for this request")                                           \
	X(METHOD_CONNECT, 405, "method CONNECT is not allowed")                                    \
	X(HEADER_TIMEOUT, 408, "request header did not come in time")                              \
	X(BODY_TIMEOUT, 408, "request body did not come in time")                                  \
	X(BODY_LARGE, 413, "request body too large")                                               \
	X(LINE_LONG, 414, "request line too long")                                                 \
	X(MISDIRECTED, 421, "this connection is not for that host")                                \
	X(TOO_EARLY, 425, "request came before the end of the TLS handshake")                      \
	X(EXPECTATION, 417, "expectation is not implemented")                                      \
	X(RATE_LIMITED, 429, "too many requests")                                                  \
	X(HEADER_LARGE, 431, "header too large")                                                   \
	X(HEADER_COUNT, 431, "too many header fields")                                             \
	X(METHOD_UNKNOWN, 501, "method is not implemented")                                        \
	X(PROTOCOL_UNKNOWN, 501, "protocol to switch to is not implemented")                       \
	X(CODING_UNKNOWN, 501, "transfer coding is not implemented")                               \
	X(VERSION, 505, "protocol version is not supported")                                       \
	/* what became of it */                                                                    \
	X(ROUTE_LARGE, 500, "a template of the route gave too long a text")                        \
	X(FAULT, 503, "a fault that the route makes on purpose")                                   \
	X(ROUTE_TEXT, 500, "a template of the route gave a text that has no place there")          \
	X(BAD_RESPONSE, 502, "backend sent a malformed response")                                  \
	X(LARGE_RESPONSE, 502, "backend sent too large a response header")                         \
	X(BACKEND_CLOSED, 502, "backend closed the connection before a response")                  \
	X(CONNECT_FAILED, 502, "no backend could be connected to")                                 \
	X(NO_BACKEND, 503, "no backend is available")                                              \
	X(POOL_CONNECTIONS, 503, "pool has as many connections as it may have")                    \
	X(POOL_PENDING, 503, "as many requests wait for a connection as may wait")                 \
	X(POOL_REQUESTS, 503, "pool has as many requests as it may have")                          \
	X(BACKENDS_FULL, 503, "all backends have as many requests as they may")                    \
	X(NO_RESOURCES, 503, "out of memory or file descriptors")                                  \
	X(OVERLOADED, 503, "too much to do")                                                       \
	X(CONNECT_TIMEOUT, 504, "connecting to a backend timed out")                               \
	X(SEND_TIMEOUT, 504, "backend did not take the request in time")                           \
	X(RESPONSE_TIMEOUT, 504, "response header did not come in time")

enum reason {
#define X(name, status, text) REASON_##name,
	REASONS(X)
#undef X
		REASON_COUNT
};

unsigned reason_status(enum reason r);
const char *reason_text(enum reason r);
const char *reason_name(enum reason r); /* "BARE_LF": for programs */

/* "Bad Request"; "" for one that is not common. */
const char *status_phrase(unsigned status);

#endif
