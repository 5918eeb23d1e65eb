/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The parts of bench/relay/ways: bodies go from a source to a relay and from there to a sink, over
 * connections of the loopback device. Two threads: the relay's and that of both ends (ends.h). What
 * fails ends the program.
 */
#ifndef BENCH_RELAY_WAYS_H
#define BENCH_RELAY_WAYS_H

#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

#include "tls/record.h"

#define LANES_MAX 16U
/* What shuntd has for a connection that moves bytes, and for one that moves many (core/buf.h). */
#define SMALL 16384U
#define LARGE 65536U

struct relay;
struct lane;

/* A way to relay. */
struct way {
	const char *name;
	bool is_tls; /* the sink gets records */
	/* The relay says when it is ready for the next body of a lane: next_may_come(). As with a proxy,
	 * which passes the next request on only then. */
	bool is_gated;
	/* Why it is not to be had here; NULL: it is. */
	const char *(*lacks)(void);
	/* A descriptor to wait for, by which the kernel says that bodies are over: sockmap_on_ring(); NULL: none. */
	int (*tells)(void);
	/* A lane's sockets are there, or are about to be closed; NULL: nothing is to be done. */
	void (*open)(struct relay *r, struct lane *l);
	void (*close)(struct relay *r, struct lane *l);
	/* NULL: there is no relay, the source is the sink's peer. */
	void (*on_event)(struct relay *r, struct lane *l, uint32_t events);
	/* Of those that pump() bytes. Take in from the relay's first socket: bytes or as recv(), and
	 * whether there may be more at once. Give to the second one: false where it takes no more. */
	ssize_t (*take)(struct relay *r, struct lane *l, bool *ret_more);
	bool (*give)(struct relay *r, struct lane *l);
};

/* Bytes that have left one socket and not yet entered the other. */
struct held {
	char *data; /* LARGE; NULL: nothing is held */
	size_t at, end;
};

/* Of a lane that is_gated: which one of the threads is through with a body, or none. */
enum turn { TURN_NONE, TURN_RELAY, TURN_ENDS };

/* Two connections and what is between them. Owner: the relay's thread; but source and sink, which
 * are the other one's, and are opened and closed where that does not run. */
struct lane {
	unsigned number;
	int source, from, to, sink; /* -1: there is none */
	size_t left;		    /* of the body under way, not taken yet */
	uint32_t events;	    /* waited for at from */
	bool is_blocked;	    /* to takes no more: it is waited for */
	uint8_t bulk;		    /* large reads that are still expected */
	struct held text, records;
	int pipe[2];
	size_t piped;
	struct tls_keys keys;
	_Atomic int turn; /* enum turn; whoever comes second has the next body begin */
};

struct relay {
	const struct way *way;
	size_t body; /* bytes */
	unsigned lane_count;
	struct lane lanes[LANES_MAX];
	int epoll;
	/* Buffers that nobody has, the one left last on top. */
	char *buffers[2 * LANES_MAX];
	unsigned buffer_count;
	int gate; /* an eventfd: lanes' next bodies may come */
	struct tls_ciphers ciphers;
	uint64_t setup_ns; /* of the thread, for what the way needs besides sockets, of all lanes */
};

/* All there are; ends with one that has no name. */
extern const struct way ways[];

/* To be called once for each body, when it is through and the next one may arrive. */
void next_may_come(const struct relay *r, struct lane *l);

/* ---- pump.c ---- */
#define TRAFFIC "a secret of thirty-two bytes, so"

/* The event for one that pumps, and what waits for events of it. */
void pump(struct relay *r, struct lane *l, uint32_t events);
void watch_from(struct relay *r, struct lane *l, uint32_t events);

const char *ktls_lacks(void);
void seal_open(struct relay *r, struct lane *l);
void seal_close(struct relay *r, struct lane *l);
void ktls_open(struct relay *r, struct lane *l);
void pipe_open(struct relay *r, struct lane *l);
void pipe_close(struct relay *r, struct lane *l);
void ktls_pipe_open(struct relay *r, struct lane *l);
ssize_t take_copy(struct relay *r, struct lane *l, bool *ret_more);
ssize_t take_pipe(struct relay *r, struct lane *l, bool *ret_more);
bool give_copy(struct relay *r, struct lane *l);
bool give_pipe(struct relay *r, struct lane *l);
bool give_sealed(struct relay *r, struct lane *l);

/* ---- sockmap.c ---- */
const char *sockmap_lacks(void);
/* Of a connection that is relayed so for as long as it is there. */
void tunnel_open(struct relay *r, struct lane *l);
void tunnel_on_event(struct relay *r, struct lane *l, uint32_t events);
/* Of one whose bodies alone are. */
void body_open(struct relay *r, struct lane *l);
void body_on_event(struct relay *r, struct lane *l, uint32_t events);
void sockmap_close(struct relay *r, struct lane *l);
/* The kernel says that bodies are over; its descriptor, and what is to be done. */
int sockmap_ring(void);
void sockmap_on_ring(struct relay *r);

#endif
