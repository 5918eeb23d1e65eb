/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * One check of one backend: connect, perhaps ask, one result. probe.c has what all kinds share
 * (socket, deadline, closing), probe_io.c the bytes, in TLS or plain; probe_tcp.c, probe_http.c
 * and probe_grpc.c what they do once connected. Owner: the loop, until on_freed. Main thread.
 */
#ifndef HEALTH_PROBE_H
#define HEALTH_PROBE_H

#include <stdbool.h>
#include <stddef.h>
#include <uv.h>

#include "conf/runtime.h"
#include "conf/snapshot.h"

struct route_room;
struct tls_client;
struct tls_pump;

struct probe_result {
	bool ok;
	bool local; /* this host could not try (no descriptor, no port): says nothing of the backend */
	char text[HEALTH_TEXT_MAX];
};

struct probe_events {
	/* Once, never before probe_start() has returned, not after probe_cancel(). */
	void (*on_result)(void *ctx, const struct probe_result *result);
	/* Once, last: the loop holds nothing of the probe any more. */
	void (*on_freed)(void *ctx);
	void *ctx;
};

struct probe;

struct probe_kind {
	/* Make p->own, and free it; release: also of a half-made one. NULL: there is none. */
	int (*prepare)(struct probe *p, const struct endpoint *target); /* 0, or -ENOMEM */
	void (*release)(struct probe *p);
	void (*on_open)(struct probe *p); /* connected; where TLS is spoken, after its handshake */
	void (*on_data)(struct probe *p, const char *data, size_t len); /* NULL: it hears nothing */
	/* The backend sends no more; NULL: too early. */
	void (*on_end)(struct probe *p);
	bool reset; /* close with RST: nothing was said, and no TIME_WAIT is left here */
};

/* For probe_*.c only. */
struct probe {
	uv_tcp_t tcp;
	uv_timer_t timer;
	uv_connect_t connect;
	const struct probe_kind *kind;
	struct probe_events events;
	unsigned open; /* handles not closed yet */
	bool finished;
	bool is_open;	      /* on_open() was called */
	struct tls_pump *tls; /* NULL: plain */
	enum proxy_out proxy; /* as in struct probe_target */
	int start_status;     /* connect failed at once: told from the loop */
	uint64_t start_ns;
	const struct health_conf *conf; /* of snap */
	struct snapshot *snap;		/* a reference */
	struct route_room *room;
	void *own; /* the kind's */
	char inbuf[2048];
};

/* Whom to check, and how it is spoken to. */
struct probe_target {
	struct endpoint ep;
	/* The header before anything that is said, which says that nobody is spoken for. */
	enum proxy_out proxy;
	struct tls_client *tls;	 /* NULL: plain */
	struct snapshot *snap;	 /* that pool is of: a reference is taken */
	const struct pool *pool; /* whose health says what is good; its kind is not HEALTH_NONE */
	struct route_room *room; /* for its expression; outlives the probe */
};

/* 0, or -ENOMEM. */
int probe_start(uv_loop_t *loop, const struct probe_target *target,
		const struct probe_events *events, struct probe **ret_probe);

/* Give up; only on_freed follows. NULL is fine. */
void probe_cancel(struct probe *p);

/* For the kinds: the result, and with it the end. status: of the step that failed. */
void probe_succeed(struct probe *p, const char *fmt, ...) __attribute__((format(printf, 2, 3)));
void probe_fail(struct probe *p, const char *fmt, ...) __attribute__((format(printf, 2, 3)));
/* The same: say this. A failure is the result. */
void probe_send(struct probe *p, const char *data, size_t len);
double probe_elapsed_ms(const struct probe *p);

/* For probe.c: the connection stands; it is about to be closed. (probe_io.c) */
void probe_io_begin(struct probe *p);
void probe_io_end(struct probe *p);

extern const struct probe_kind probe_kind_tcp;
extern const struct probe_kind probe_kind_http;
extern const struct probe_kind probe_kind_grpc;

#endif
