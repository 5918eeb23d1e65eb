/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * A client's connection: waits for requests, hands each to a struct request, goes on or closes
 * after its response. Owned by struct l7; freed in one place, when the loop has let go of it. One
 * thread.
 */
#ifndef L7_CONN_H
#define L7_CONN_H

#include "conf/runtime.h"
#include "core/list.h"
#include "l7/answer.h"
#include "l7/client_hello.h"
#include "l7/http1_scan.h"
#include "l7/l7_int.h"
#include "l7/preface.h"
#include "l7/stream.h"
#include "l7/view.h"

struct client;
struct h2_server;
struct head;
struct request;
struct passage;

enum conn_state {
	CONN_HANDSHAKE, /* of TLS */
	CONN_FRESH,	/* accepted, nothing received yet */
	CONN_IDLE,	/* between two requests */
	CONN_HEADER,	/* a part of a request's header is here */
	CONN_BUSY,	/* a request is under way: see request */
	CONN_FLUSH,	/* the rest of an answer of our own is being written */
	CONN_LINGER,	/* all is said; reads on, so that the client gets to see it */
	CONN_PREFACE,	/* a PROXY header is due: see preface.h */
	CONN_HELLO,	/* a ClientHello is due: see passthrough.h */
	CONN_PASSAGE,	/* bytes are passed on: see passage */
	CONN_HTTP2,	/* requests come as streams: see http2 */
	CONN_CLOSED,
	CONN_STATE_COUNT,
};

struct conn {
	struct stream io;
	struct list node; /* l7.conns */
	struct l7 *l7;
	struct view *view;	       /* the one it works with now; a reference */
	const struct service *service; /* of view */
	union {
		struct request *request;    /* CONN_BUSY */
		struct passage *passage;    /* CONN_PASSAGE */
		struct h2_server *http2;    /* is_http2, from CONN_HTTP2 to the end */
		struct conn *next_deferred; /* is_deferred: l7.deferred */
	};
	struct proxied *proxied; /* what a PROXY header said; NULL: nothing */
	union {
		struct http1_scan scan;
		struct client_hello_scan hello; /* CONN_HELLO */
	};
	struct endpoint peer, local; /* of its socket: see conn_peer(), conn_local() */
	uint32_t forgotten;	     /* CONN_LINGER: bytes read and dropped */
	uint32_t requests;	     /* begun so far */
	uint32_t pipelined;	     /* of them, since anything was read */
	uint8_t state;		     /* enum conn_state */
	uint8_t after;		     /* enum conn_after: the response under way */
	bool is_running;	     /* conn_resume() is at work further up the stack */
	bool is_http2, is_deferred;
	bool is_held;	     /* the request in the buffer waits for the end of the TLS handshake */
	bool is_last_said;   /* by the client, in clear: no byte follows its last request */
	uint8_t blank_lines; /* skipped before a request line */
	uint32_t opened;     /* conn_clock() */
};

/* What an idle connection costs is a number that people plan with; malloc() rounds this up to 352. */
_Static_assert(sizeof(struct conn) <= 344, "a connection grows by 16 bytes");

/* Takes fd, also on error. 0, or -errno. */
int conn_open(struct l7 *l7, int fd, const struct service *service, const struct endpoint *peer,
	      const struct endpoint *local);

/* Begin with the requests that are in the buffer. */
void conn_resume(struct conn *c);

/* Will the connection be closed after the response under way, because of a drain or because the
 * newest snapshot has no such service at this address? */
bool conn_is_ending(const struct conn *c);

/* The same, or because it was the last one that the service allows? */
bool conn_is_last_request(const struct conn *c);

/* A new snapshot or a drain: closes where that is due now, else when it is idle again. */
void conn_review(struct conn *c);

void conn_close(struct conn *c);
void conn_abort(struct conn *c); /* the same, and the client sees that it was broken off */

/* For the stages before and beside requests: another state, in which at most ms may pass; with
 * events from the client. */
void conn_await(struct conn *c, enum conn_state state, unsigned ms);

/* What stands before the service's own protocol has been read: begin with that. */
void conn_serve(struct conn *c);

/* Pass bytes on to and from a backend of the pool. hello: what the client said so far, or NULL. */
void conn_pass(struct conn *c, const struct pool *pool, const struct client_hello *hello);

/* Say this, then close. */
void conn_refuse(struct conn *c, struct slice last_words);

/* The loop's time in units of 64 ms, which 32 bits hold eight years of. */
#define CONN_CLOCK_SHIFT 6

static inline uint32_t conn_clock(const struct l7 *l7)
{
	return (uint32_t)(uv_now(l7->env.loop) >> CONN_CLOCK_SHIFT);
}

static inline uint64_t conn_age_ms(const struct conn *c)
{
	return (uint64_t)(conn_clock(c->l7) - c->opened) << CONN_CLOCK_SHIFT;
}

/* The two ends of the connection that the client has, through whatever proxies stand before us. */
static inline const struct endpoint *conn_peer(const struct conn *c)
{
	return c->proxied && c->proxied->has_endpoints ? &c->proxied->peer : &c->peer;
}

static inline const struct endpoint *conn_local(const struct conn *c)
{
	return c->proxied && c->proxied->has_endpoints ? &c->proxied->local : &c->local;
}

/* For h2_server.c. Work with the newest snapshot from now on: false if it has no such service. The
 * last word is said, or about to be written. An answer of our own. */
bool conn_rebind(struct conn *c);
void conn_end_http2(struct conn *c);
void conn_count_answer(struct conn *c, const struct answer *a);

/* What is said of a request that is refused with its header h, which may be a part of one. */
struct answer conn_answer(const struct conn *c, enum reason reason, const struct head *h);

/* Over TLS: may the request h come on this connection, and already? */
enum reason conn_check_tls(const struct client *who, struct head *h);

/* Its time is over: the same, but a client that does not take what was written shall not hold it in
 * the kernel's memory either. */
void conn_expire(struct conn *c);

/* A response of this status, by class. */
static inline void count_response(struct service_counters *n, unsigned status)
{
	_Atomic uint64_t *of[] = {&n->responses_1xx, &n->responses_2xx, &n->responses_3xx,
				  &n->responses_4xx, &n->responses_5xx};

	counter_add(of[status < 200 ? 0 : status < 500 ? status / 100 - 1 : 4], 1);
}

/* Does its client speak for others, by what the service says? */
static inline bool conn_is_trusted(const struct conn *c, const struct service *s)
{
	return source_is_among(&conn_peer(c)->addr, s->trusted_proxies, s->trusted_proxy_count);
}

static inline struct service_counters *conn_counters(const struct conn *c)
{
	return &c->service->rt->counters[c->l7->env.worker];
}

#endif
