/* SPDX-License-Identifier: BSD-2-Clause */
/* What request.c and response.c share of a request under way: see request.h. One thread. */
#ifndef L7_REQUEST_INT_H
#define L7_REQUEST_INT_H

#include "l7/access_log.h"
#include "l7/breaker.h"
#include "l7/conn.h"
#include "l7/duplex.h"
#include "l7/failure.h"
#include "l7/http1_parse.h"
#include "l7/pace.h"
#include "l7/relay.h"
#include "l7/routing.h"
#include "l7/request.h"
#include "l7/sticky.h"
#include "l7/upstream_conn.h"

struct hedge;
struct mirror;

enum request_state {
	REQUEST_CONNECT, /* no connection to a backend yet */
	REQUEST_AWAIT,	 /* the request is being sent, or was; no response header yet */
	REQUEST_RESPOND, /* the response header went to the client, the body follows */
	REQUEST_TUNNEL,	 /* client and backend talk to each other: tunnel.c */
	REQUEST_OVER,
};

/* Owner: client.owner. */
struct request {
	struct client client;
	struct upstream_conn *up; /* being connected, or ours */
	const struct backend *backend;
	enum request_state state;
	uint32_t size;		/* of its memory */
	uint8_t priority;	/* enum request_priority */
	struct list queue_node; /* is_queued */
	uint64_t queued_ns;	/* the same: since when */
	uint8_t minor;		/* of the client's HTTP/1.x */
	uint8_t framing;	/* enum body_kind: of the request, to an HTTP/1 backend */
	uint8_t tried_count, interim_count;
	bool is_head, is_idempotent, is_persistent, is_connect;
	bool is_waiting;	  /* REQUEST_CONNECT: for its turn, by a rate limit */
	bool is_queued;		  /* REQUEST_CONNECT: the same, in l7.queue */
	bool has_slot;		  /* counts there as one under way */
	bool awaits_continue;	  /* the client sends no body before a 100 (Continue) */
	bool was_reused;	  /* up had served a request before */
	bool was_repeated;	  /* sent again after a kept connection had died */
	bool body_done;		  /* all of the request was written */
	bool body_refused;	  /* the backend takes no more of it */
	bool close_client;	  /* said so in the response */
	bool close_backend;	  /* up cannot be used again */
	bool is_waiting_to_retry; /* REQUEST_CONNECT, with up NULL */
	bool is_counted;	  /* among the pool's requests */
	bool has_retry;		  /* among those under way again */
	uint8_t hedge_count;	  /* begun */
	struct claims claims;	  /* of the try with backend */
	struct failure
		failure;   /* of the last try that failed; what failure_of() fills is not in it */
	struct flow body;  /* client to backend */
	struct flow reply; /* backend to client */
	struct duplex duplex; /* REQUEST_TUNNEL */
	enum flow_status body_status, reply_status;
	uint64_t body_mark, reply_mark; /* flow_progress() when the deadlines were set */
	uint64_t body_at, reply_at;	/* deadlines */
	uint64_t hedge_at, give_up_at;	/* the same: of the second try, and of them all */
	uint64_t tried_ms;		/* when the try began */
	struct hedge *hedge;		/* NULL: there is no second try under way */
	struct mirror *mirror;		/* NULL: no copy of its body is taken */
	const struct retry_conf *retry;
	const struct hedge_conf *hedging;
	const char *route;	  /* its name; NULL: it has none */
	uint64_t begun_ms;	  /* in the loop's time */
	struct access_entry *log; /* NULL: it is not logged */
	const struct route_action *action;
	struct route_label *label; /* that the route counts it by; NULL: none */
	const char *end_reason;	   /* for the log: why there is no whole response; NULL: there is */
	struct slice name;	  /* the same: that it is answered with; empty: what it came with */
	uint16_t status;	  /* of the response; 0: there is none yet */
	uint16_t fault;		  /* status that it is answered with on purpose; 0: none */
	struct pace sends, takes; /* the client: of body, of the response */
	struct http1_scan scan;	  /* of the response header */
	const struct backend *tried[RETRY_ATTEMPTS_MAX];
	const struct pool *pool; /* that serves it */
	struct sticky sticky;	 /* where the pool has cookies */
	uint64_t hash;		 /* that it is balanced by, for maglev */
	uint64_t sent_ns;	 /* clock_now_ns(), where its pool_times() */
	unsigned response_ms;	 /* wait for the header of the response */
	unsigned edit_count;
	struct rendered_edit *edits; /* of the response's header, in head's memory */
	struct slice upgrade;	     /* protocol that it asks for; empty: none */
	size_t head_len;
	char head[]; /* as sent to the backend, then upgrade */
};

static inline struct service_counters *request_counters(const struct request *r)
{
	return &r->client.service->rt->counters[r->client.conn->l7->env.worker];
}

static inline uint64_t request_age_ms(const struct request *r)
{
	return uv_now(r->client.conn->l7->env.loop) - r->begun_ms;
}

static inline const struct http_timeouts *request_timeouts(const struct request *r)
{
	return r->action && r->action->timeouts ? r->action->timeouts
						: &r->client.service->timeouts;
}

/* It is its turn: to a backend. */
void request_go_on(struct request *r);

void request_set_state(struct request *r, enum request_state state);

/* The deadline of the response, after its pump said status. */
void request_time_reply(struct request *r, enum flow_status status);

/* The ways to end; r is gone afterwards, so each is the last thing that a caller does with it.
 * complete: the response is written. fail: an answer of our own, if it is not too late for that.
 * truncate: the backend did not finish its response, and only closing can say so to the client.
 * give_up: the client went away, or takes no more. */
void request_complete(struct request *r);
void request_fail(struct request *r, enum reason reason);
void request_truncate(struct request *r);
void request_give_up(struct request *r);

/* After anything happened: move what can be moved, wait for what cannot. head: of the request, if it
 * was not sent yet. False: the request is over, a tunnel, or was begun anew. */
bool request_advance(struct request *r, struct slice head);
void request_on_backend_event(void *r, int events);

/* From what body_at, reply_at and hedge_at say. */
void request_set_deadline(struct request *r);

/* What h was read from is done with. (response.c) */
void response_consume_head(struct request *r, size_t block_len);

/* Pass on what came from the backend. False: the request is over, a tunnel, or was begun anew.
 * (response.c) */
bool request_take_response(struct request *r);

#endif
