/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Reads and writes of many sockets in one system call, where the kernel has io_uring. What sockets of a
 * turn have to read is read before their events are told; what they write while events are told is
 * written when all of them were. For sock.c and poller.c alone: their users see a read that finds
 * bytes, and a write that is not taken yet. Every call is non-blocking and done when it comes back. One
 * thread.
 */
#ifndef L7_BATCH_H
#define L7_BATCH_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/uio.h>

#include "core/list.h"

#define BATCH_CALLS 32U	  /* in one system call */
#define BATCH_BYTES 4096U /* of one call; they are copied, larger ones are made directly */

struct io_uring;
struct sock;

/* One read or write of a socket. The socket's, from when it is made until its result is taken. */
struct sock_call {
	struct list node; /* of a list of struct batch; or none */
	struct sock *sock;
	bool is_done, is_left;
	int result; /* bytes, or -errno; once it is done */
	uint32_t len, taken;
	char data[BATCH_BYTES];
};

struct batch {
	struct io_uring *ring; /* NULL: each call is made by itself */
	int problem;	       /* -errno, why there is none; 0: there is, or none is wanted */
	bool is_collecting;    /* writes may wait: batch_write() comes */
	struct list late;      /* writes to be made */
	struct list done;      /* writes whose sockets are to be told */
	struct list ahead;     /* reads whose sockets are to be told */
	struct list left;      /* reads of which something was left when they were told */
	struct list ready;     /* those of left that are to be told again */
	struct list spare;
	unsigned spare_count;
	uint64_t calls; /* made by io_uring */
};

/* Off, where io_uring is not wanted or cannot be had, it can be used all the same. */
void batch_init(struct batch *b, bool is_wanted);
void batch_deinit(struct batch *b);

/* Reads for count sockets, which have none yet: s->ahead, for those that were read from. */
void batch_read(struct batch *b, struct sock *const *socks, unsigned count);

/* A write of len bytes from iov for s, later: s->late. False: there is no room for it. */
bool batch_put_write(struct batch *b, struct sock *s, const struct iovec *iov, size_t count,
		     size_t len);

/* Make the writes that wait; all are in done afterwards. */
void batch_write(struct batch *b);

/* The socket of a call that was told and left something waits for it now. */
void batch_wake(struct batch *b, struct sock_call *call);

/* The first call of a list, which it is taken out of; NULL: there is none. */
struct sock_call *batch_pop(struct list *calls);

/* Its result was taken, or nobody will. */
void batch_free_call(struct batch *b, struct sock_call *call);

#endif
