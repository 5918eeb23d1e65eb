/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * HTTP on the control socket and of the admin server, within the main loop: bytes to requests, replies
 * to bytes, nothing of what they mean. The only file that knows libmicrohttpd. Main thread.
 */
#ifndef CONTROL_SERVER_H
#define CONTROL_SERVER_H

#include <stdbool.h>
#include <stddef.h>
#include <uv.h>

#include "control/socket.h"

#define SERVER_BODY_MAX (8U << 20)

struct server;

enum request_fault {
	REQUEST_OK,
	REQUEST_FORBIDDEN, /* the peer may not use this socket */
	REQUEST_TOO_LARGE, /* body over SERVER_BODY_MAX */
	REQUEST_NO_MEMORY,
};

/* Owner: the server, from the handler's call until it was answered. */
struct request {
	char *method;
	char *path; /* decoded, without the query */
	char *body; /* with a zero behind it; never NULL */
	size_t body_len;
	struct peer peer;
	enum request_fault fault; /* to be answered with an error, nothing else */
	const char *via;	  /* server_rules.name */
	/* Told of the answer just before it goes out; NULL: nobody is. */
	void (*on_reply)(const struct request *rq, unsigned status, void *ctx);
	void *on_reply_ctx;
	struct request_io *io; /* server.c */
};

/* Each request must be answered exactly once by request_reply(): at once or later. */
typedef void (*server_handler)(void *ctx, struct request *rq);

/* What one server takes. */
struct server_rules {
	const char *name; /* for the log; literal */
	bool is_tcp;	  /* peers have no credentials */
	unsigned connections;
	size_t header_bytes; /* memory of a connection, which its header must fit in */
	unsigned
		request_ms; /* for the header, and again for the body; the answer may take longer */
	unsigned reply_ms;  /* for the client to take it */
};

/* Takes the descriptor of socket; rules: borrowed. 0, or -errno. */
int server_start(uv_loop_t *loop, struct control_socket *socket, const struct server_rules *rules,
		 server_handler handler, void *ctx, struct server **ret_server);

/* Stop serving; what waits for an answer is cut off, and its later request_reply() is harmless.
 * done_cb (may be NULL) when the loop holds nothing of it. NULL is fine. */
void server_close(struct server *s, void (*done_cb)(void *ctx), void *ctx);

/* Borrowed. */
int server_listen_fd(const struct server *s);

/* Take no more connections: another process has the socket too. Those that are there go on. */
void server_quiesce(struct server *s);

/* Does nothing wait for its answer, or for being sent it? */
bool server_is_idle(const struct server *s);

/* Value of a query parameter, or of a header field, NULL where it is not there. Borrowed. */
const char *request_query(const struct request *rq, const char *name);
const char *request_header(const struct request *rq, const char *name);

/* Of a request that is not answered yet: will nobody read the answer? Certain on the control socket alone: who
 * ends a TCP connection may still read. */
bool request_is_abandoned(const struct request *rq);

/* Answer. Takes body (malloc'ed; NULL: out of memory, and a 500 is sent that says so). allow: value of
 * an Allow header, or NULL. rq is not to be used afterwards. */
void request_reply(struct request *rq, unsigned status, const char *content_type, const char *allow,
		   char *body, size_t len);

#endif
