/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * A connection as both sides of the proxy see it: socket, deadline, the bytes that were read and
 * not yet used, and the few that could not be written yet. Holds buffer memory only while there are
 * bytes in it. Embedded in struct conn and struct upstream_conn. One thread.
 */
#ifndef L7_STREAM_H
#define L7_STREAM_H

#include <errno.h>
#include <stdatomic.h>
#include <stdbool.h>

#include "core/buf.h"
#include "core/slice.h"
#include "l7/deadline.h"
#include "l7/sock.h"

struct stream;
struct tls;
typedef void (*stream_closed_cb)(struct stream *st);

struct stream {
	struct sock sock;
	struct deadline deadline;
	struct buf in;	/* read, not yet used */
	struct buf out; /* to be written before anything else */
	struct buf_pool *pool;
	struct tls *tls; /* between it and the socket (l7/tls.h); NULL: plain */
	_Atomic uint64_t *bytes_in, *bytes_out; /* counters of the owner's row */
	stream_closed_cb on_closed;
	uint8_t open_handles;
	uint8_t bulk;	 /* more than 0: reads have been filling buffers, use large ones */
	bool is_eof;	 /* the peer sends no more */
	bool is_blocked; /* the last write was not taken whole */
};

/* Takes fd, also on error. 0, or -errno; then st must not be closed. */
int stream_open(struct stream *st, uv_loop_t *loop, struct buf_pool *pool, int fd,
		sock_event_cb on_event, deadline_cb on_deadline);

/* One read into st->in. Bytes read; 0: the peer closed its side (is_eof); -EAGAIN; -ENOBUFS: no
 * room until more are used; -ENOMEM; another -errno. *ret_more: there is probably more to read. */
ssize_t stream_read(struct stream *st, bool *ret_more);

/* Of what stream_read() returned: the peer did not end, it broke off, or cannot be read from. */
static inline bool stream_is_error(ssize_t n)
{
	return n < 0 && n != -EAGAIN && n != -ENOBUFS;
}

/* Pieces of one write, in this order; any may be empty. frame: what stands before the body. */
struct pieces {
	struct slice head, frame, body, tail;
};

/*
 * Write what is left in st->out, then the pieces, as far as the kernel takes them. What is not
 * taken of head and frame is kept in st->out; of tail too, once all of body was taken. Returns how
 * many bytes of body were taken (all: tail is done with, too), or -errno. is_blocked tells whether
 * anything is left.
 */
ssize_t stream_write(struct stream *st, const struct pieces *p);

/* Be told of what the peer sends while there is room for it, and of room to write where the last
 * write left something. Cheap where nothing changed. 0, or -errno. */
int stream_watch(struct stream *st);

/* Is there nothing to read, nor an end? Looks without reading; of TLS, reads what is no data. */
bool stream_is_quiet(struct stream *st);

/* What was not written yet never will be: the peer takes no more. */
void stream_forget(struct stream *st);

/* Nothing follows what was written: tells the peer, where the protocol has words for it. Closing
 * without it says that something was cut off. Again: nothing. is_blocked: the words are not written
 * yet, an empty stream_write() goes on. */
void stream_end(struct stream *st);

/* The same, and then the socket is told, too; reading goes on. Only where nothing is left to write.
 * 0, or -EAGAIN: is_blocked, to be called again when it is not any more. */
int stream_shutdown(struct stream *st);

/* Frees the buffers; cb, once the memory of st is no longer in use. Again: nothing. */
void stream_close(struct stream *st, stream_closed_cb cb);

/* Containers of a stream's parts. */
#define stream_of_sock(s)     list_entry(s, struct stream, sock)
#define stream_of_deadline(d) list_entry(d, struct stream, deadline)

#endif
