/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Bytes from one socket to another that are not looked at, and not copied: through a pipe, in which
 * the kernel hands pages on. For what is large, between two streams that are sockets without TLS.
 * What the receiver does not take stays in the sender's pipe, and until that is empty nothing more
 * is read. One thread.
 */
#ifndef L7_SPLICE_H
#define L7_SPLICE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

#define SPLICE_MIN 65536U /* bytes to come from which on it is worth it */

struct stream;

struct pipe {
	struct pipe *next; /* of the free ones */
	int fds[2];
	uint32_t len; /* bytes in it */
};

/* Those of a worker. All zero: there are none yet. */
struct pipes {
	struct pipe *free;
	unsigned count, free_count;
};

void pipes_deinit(struct pipes *p); /* all are free */

/* Can what from will send go to to this way, now? */
bool splice_can(const struct stream *from, const struct stream *to);

/* As stream_read(), into from->pipe, at most max bytes. -ENFILE: there is no pipe to be had. */
ssize_t splice_in(struct stream *from, size_t max);

/* Write what is in from->pipe. Bytes, or -errno; to->is_blocked: some are left. */
ssize_t splice_out(struct stream *from, struct stream *to);

/* What is in its pipe goes nowhere. */
void splice_drop(struct stream *from);

#endif
