/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * One request and its response: from a header that was parsed to a response that was written. Finds
 * a backend, tries another where that is safe, pumps both bodies, keeps the time. One thread.
 */
#ifndef L7_REQUEST_H
#define L7_REQUEST_H

#include "l7/http1_parse.h"

struct answer;
struct backend;
struct client_ops;
struct conn;
struct pool;
struct request;
struct service;
struct stream;
struct view;

/* What follows a response. */
enum conn_after {
	CONN_GO_ON,
	CONN_THEN_CLOSE,
	CONN_THEN_LINGER, /* close, but the client may still be sending */
};

/* Whom a request came from: an HTTP/1 connection, or a stream of an HTTP/2 one. All that it points
 * to is the owner's, and outlives the request. */
struct client {
	const struct client_ops *ops;
	void *owner;
	struct conn *conn; /* that it came on */
	struct stream *io; /* its alone while the request is under way */
	struct view *view;
	const struct service *service; /* of view */
	struct request **request;      /* where the owner keeps it; who ends it sets it to NULL */
};

/* How a request ends. respond: it never was one, and this is all that is said; status: the same. It
 * is gone already: answer with words of our own; the response is written. It
 * is to be cancelled: the client is cut off; the same, as it does not take what was written. */
struct client_ops {
	void (*respond)(void *owner, struct slice head, struct slice body, unsigned status,
			enum conn_after after);
	void (*answer)(void *owner, struct answer *a, enum conn_after after);
	void (*done)(void *owner, enum conn_after after);
	void (*close)(void *owner);
	void (*expire)(void *owner);
};

/*
 * h: its path is brought into the one form; block_len: bytes of who->io->in that it was parsed from,
 * which are taken. REASON_NONE: under way, or over already: *who->request tells. Another reason:
 * nothing was done, the caller answers.
 */
enum reason request_start(const struct client *who, struct head *h, size_t block_len);

/* Does its route take it although it came in TLS early data? h: as for request_start(), not changed. */
bool request_may_be_early(const struct client *who, const struct head *h);

/* What happens on the client's side. Each may end the request. */
void request_on_client_event(struct request *r, int events);
void request_on_deadline(struct request *r);

/* Do the client and the backend talk to each other by now, without HTTP? */
bool request_is_tunnel(const struct request *r);

/* Of a tunnel: is it of that protocol? */
bool request_is_websocket(const struct request *r);

/* Who serves it; the backend of the last try; NULL: none yet. */
const struct pool *request_pool(const struct request *r);
const struct backend *request_backend(const struct request *r);

/* In front of request_cancel(): the connection is closed by a command. Counts it, and the log will say so. */
void request_note_killed(struct request *r);

/* The client's connection shall end, now that nothing new comes on it. */
void request_drain(struct request *r);

/* The client's connection is closing: forget it all. NULL is fine. */
void request_cancel(struct request *r);

/* In front of that, where it was the client that closed one with other requests on it, too. */
void request_count_left(const struct request *r);

#endif
