/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * A connection as both sides of the proxy see it: socket, deadline, the bytes that were read and
 * not yet used, and the few that could not be written yet. Holds buffer memory only while there are
 * bytes in it. Embedded in struct conn and struct upstream_conn. Or one stream of an HTTP/2
 * connection, which has no socket: a carrier moves its bytes. One thread.
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
#include "l7/splice.h"

/* Pieces of one write, in this order; any may be empty. frame: what stands before the body. */
struct pieces {
	struct slice head, frame, body, tail;
	/* For a carrier, which frames by itself, head too: */
	struct slice trailers; /* as an HTTP/1 trailer section; empty: none */
	bool is_last;	       /* the message ends here */
	bool is_parting;       /* nothing but stream_end() and the socket's end follows, at once */
};

struct l7;
struct stream;
struct tls;

struct carrier;

struct stream {
	const struct carrier *carrier; /* NULL: sock */
	union {
		struct sock sock;
		void *carried; /* the carrier's */
	};
	struct deadline deadline;
	struct buf in;	   /* read, not yet used */
	struct buf out;	   /* to be written before anything else */
	struct pipe *pipe; /* bytes on their way behind those in in (l7/splice.h); NULL: none */
	struct buf_pool *pool;
	struct pipes *pipes;
	struct tls *tls; /* between it and the socket (l7/tls.h); NULL: plain */
	_Atomic uint64_t *bytes_in, *bytes_out; /* counters of the owner's row */
	bool is_closing;

	uint8_t bulk;	 /* more than 0: reads have been filling buffers, use large ones */
	bool is_eof;	 /* the peer sends no more */
	bool is_blocked; /* the last write was not taken whole */
	bool is_parting; /* the last write was the last one of all */
};

/* Takes fd, also on error. 0, or -ENOMEM; then st must not be closed. */
int stream_open(struct stream *st, struct l7 *l7, int fd, sock_event_cb on_event,
		deadline_cb on_deadline);

/* Who moves the bytes of a stream without a socket; each does what the function below of its name
 * does. read: counts what the carrier has put into st->in since the last call; an end shows in is_eof
 * alone, it never returns 0. */
struct carrier {
	ssize_t (*read)(struct stream *st, bool *ret_more);
	ssize_t (*write)(struct stream *st, const struct pieces *p);
	int (*watch)(struct stream *st);
	void (*end)(struct stream *st);
	struct slice (*trailers)(struct stream *st); /* once is_eof: an HTTP/1 section, or empty */
};

/* A stream that by moves the bytes of. Not to be closed: its buffers and
 * its deadline, which it has only with deadlines, are the owner's. 0, or -ENOMEM. */
int stream_open_carried(struct stream *st, struct deadlines *deadlines, struct buf_pool *pool,
			const struct carrier *by, void *carried, deadline_cb on_deadline);

/* One read into st->in. Bytes read; 0: the peer closed its side (is_eof); -EAGAIN; -ENOBUFS: no
 * room until more are used; -ENOMEM; another -errno. *ret_more: there is probably more to read. */
ssize_t stream_read(struct stream *st, bool *ret_more);

/* A read of n bytes: are reads large now? */
void stream_note_bulk(struct stream *st, size_t n);

/* Of what stream_read() returned: the peer did not end, it broke off, or cannot be read from. */
static inline bool stream_is_error(ssize_t n)
{
	return n < 0 && n != -EAGAIN && n != -ENOBUFS;
}

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

/* Nothing follows what was written, and the socket's end is to follow at once: tells the peer, where
 * the protocol has words for it. Closing without it says that something was cut off. Again: nothing.
 * is_blocked: the words are not written yet, an empty stream_write() goes on. */
void stream_end(struct stream *st);

/* The same, and then the socket is told, too; reading goes on. Only where nothing is left to write.
 * 0, or -EAGAIN: is_blocked, to be called again when it is not any more. */
int stream_shutdown(struct stream *st);

/* Frees the buffers; cb, once the memory of st is no longer in use. Again: nothing. */
void stream_close(struct stream *st, sock_closed_cb cb);

/* Can more be put into st->in without growing it? */
bool stream_has_room(const struct stream *st);

/* Containers of a stream's parts. */
#define stream_of_sock(s)     list_entry(s, struct stream, sock)
#define stream_of_deadline(d) list_entry(d, struct stream, deadline)

#endif
