/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * One non-blocking socket of a poller: asks for readiness only when told to, reads and writes by a system
 * call of its own or by one for many sockets (l7/batch.h). Nothing else in l7/ knows how readiness is
 * learnt. Owner: whoever embeds it. One thread.
 */
#ifndef L7_SOCK_H
#define L7_SOCK_H

#include <stdbool.h>
#include <sys/types.h>
#include <sys/uio.h>

#include "core/addr.h"
#include "core/list.h"

#define SOCK_READ  1
#define SOCK_WRITE 2

#define SOCK_PIECES 5 /* of one write, at most */

struct poller;
struct sock;
struct sock_call;

/* events: SOCK_READ, SOCK_WRITE; both after an error, which the next read or write returns. */
typedef void (*sock_event_cb)(struct sock *s, int events);
typedef void (*sock_closed_cb)(struct sock *s);

struct sock {
	struct poller *poller;
	union {
		struct list node; /* of those that were closed */
		struct {	  /* calls made with those of others (l7/batch.h); NULL: none */
			struct sock_call *ahead; /* a read that sock_read() has not returned */
			struct sock_call *late;	 /* a write that sock_write() has not returned */
		};
	};
	int fd;		 /* -1: closed */
	uint8_t watched; /* what readiness is asked for */
	uint8_t told;	 /* what the kernel knows of that; too much, until it happens */
	bool is_batched; /* calls may be made with those of others */
	bool is_bulk;	 /* reads are too large for that */
	sock_event_cb on_event;
	sock_closed_cb on_closed;
};

/* Takes fd, and watches nothing yet. is_batched is the caller's to set, for what has bytes. */
void sock_open(struct sock *s, struct poller *poller, int fd, sock_event_cb on_event);

/* A new socket, connecting; SOCK_WRITE is to be watched, then sock_error() asked. ret_fd: for
 * sock_open(). 0, or -errno where it failed at once. */
int sock_connect(const struct endpoint *ep, int *ret_fd);
int sock_error(struct sock *s);

/* Be told when one of events holds. Where that is more than before: a system call. 0, or -errno. */
int sock_watch(struct sock *s, int events);

/* Bytes moved; 0 from a read: the peer closed its side. -EAGAIN, or another -errno. */
ssize_t sock_read(struct sock *s, void *data, size_t len);
/* Where less than all was taken, the next write begins with the same bytes as the rest of this one.
 * is_parting: sock_shutdown() follows at once, and the kernel may send its last bytes and its end in
 * one packet. */
ssize_t sock_write(struct sock *s, const struct iovec *iov, size_t count, bool is_parting);

/* Were bytes read that sock_read() has not returned? Then nothing else may read from it. */
static inline bool sock_has_read(const struct sock *s)
{
	return s->fd >= 0 && s->ahead;
}

/* Looks without reading: false where the peer closed, failed, or sent something. */
bool sock_is_quiet(struct sock *s);

/* Make the write that waits, if there is one that was not made: the next sock_write() returns what became
 * of it. False: there is none. */
bool sock_settle(struct sock *s);

void sock_shutdown(struct sock *s); /* no more writes */

/* Closing it will reset the connection: the kernel forgets what the peer did not take. */
void sock_reset(struct sock *s);

/* Events of it come no more, whoever else has the socket: before sock_close() of one that another process
 * has too, as its events would go on otherwise. */
void sock_forget(struct sock *s);

/* From now on there may be a child process, which has all sockets for as long as it takes it to
 * execute something: each is forgotten before it is closed. Any thread. */
void sock_expect_children(void);

/* cb, once the memory of s is no longer in use. */
void sock_close(struct sock *s, sock_closed_cb cb);

/* For the poller: happened, as epoll says it. */
void sock_dispatch(struct sock *s, uint32_t happened);

/* For the poller: is it one to be read from before it is told of what happened? */
bool sock_may_read_ahead(const struct sock *s, uint32_t happened);

/* For the poller: something became of a call that was made with those of others. */
void sock_dispatch_read(struct sock *s);
void sock_dispatch_write(struct sock *s);

#endif
