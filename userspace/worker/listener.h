/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * One listening socket of one worker. Made on the main thread (listener_new), then handed to its
 * worker, which alone touches it from then on. A socket is bound to the address and port that it
 * serves; or it is *detached*, bound where nobody comes by, and gets what a program gives to it.
 */
#ifndef WORKER_LISTENER_H
#define WORKER_LISTENER_H

#include <stdbool.h>
#include <uv.h>

#include "conf/listen.h"
#include "core/addr.h"
#include "core/list.h"
#include "core/log.h"
#include "l7/sock.h"

struct listener;
struct poller;

/* Takes fd. local: the end that the client sees. */
typedef void (*listener_cb)(struct listener *l, int fd, const struct endpoint *peer,
			    const struct endpoint *local);

/* Connections wait that cannot be accepted now; tried again soon. */
typedef void (*listener_fail_cb)(struct listener *l);

/* Asked before each one: false: all stay in the queue for now. */
typedef bool (*listener_gate)(const struct listener *l);

struct listener_events {
	listener_cb on_accept;
	listener_fail_cb on_fail;
	listener_gate may_accept;
	void *ctx;
};

/* Which listening sockets, one for each worker. */
struct listener_group {
	char name[LISTEN_GROUP_STRLEN]; /* listen_group(): what it is found by */
	struct endpoint ep;		/* detached: of its family alone */
	bool is_detached;
};

/* That of a proxied service's listen. */
struct listener_group listener_group_of(const struct service *s, const struct listen *l);

struct listener {
	struct sock sock;
	uv_timer_t pause; /* after accept4() failed for want of something */
	struct list node; /* free for the owner's use */
	struct listener_group group;
	uint64_t until_ms;   /* the owner's: when one that is on its way out is closed */
	const char *service; /* the owner's: for its callbacks */
	struct listener_events events;
	struct log_limit limit;
	uint64_t turn;	      /* of the poller, when there was one last */
	int fd;		      /* until it is started */
	uint8_t open_handles; /* sock and pause */
	uint8_t batch;	      /* connections taken at once, at least one: see on_readable() */
	bool asks_local;      /* the local end differs by connection */
};

/* May this daemon listen at ep? SO_REUSEPORT would let another process of the same user share it in
 * silence, so this asks without. For what no listener of this daemon overlaps. 0, or -errno;
 * -EADDRINUSE: somebody listens there. */
int listener_probe(const struct endpoint *ep);

/* Could one connection come to both? */
bool listener_overlaps(const struct endpoint *a, const struct endpoint *b);

/* Bind and listen (SO_REUSEPORT and free bind, where it is not detached). 0, or -errno. */
int listener_new(const struct listener_group *group, struct listener **ret_listener);

/* The same of a socket that another process has made, which is taken, also on error. */
int listener_adopt(const struct listener_group *group, int fd, struct listener **ret_listener);

/* Begin to accept, on this poller's thread. 0, or -errno; then listener_close(), too. */
int listener_start(struct listener *l, struct poller *poller, const struct listener_events *events);

/* Take what waits in the queue, then end; frees l when nothing refers to it any more. */
void listener_close(struct listener *l);

/* The same, but who waits in the queue stays there: another process has the socket too. */
void listener_leave(struct listener *l);

/* One that was not started. NULL is fine. */
void listener_free(struct listener *l);

#endif
