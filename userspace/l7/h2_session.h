/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * One HTTP/2 connection (RFC 9113), as server or as client: nghttp2 between the bytes of a stream of
 * ours that has a socket and the streams that it carries. Each of those is a struct stream too, with
 * the session as its carrier, so that what relays bodies need not know.
 *
 * Callbacks of nghttp2 only note what came; streams hear of it when nghttp2 is done, in
 * h2_session_receive(), and may do anything then, end the session included. What is written is
 * gathered and leaves once a turn of the loop, or when there is enough of it. One thread.
 */
#ifndef L7_H2_SESSION_H
#define L7_H2_SESSION_H

#include <nghttp2/nghttp2.h>

#include "core/list.h"
#include "l7/h2_head.h"
#include "l7/stream.h"

struct h2_session;
struct h2_stream;
struct l7;

#define H2_OUT_MAX BUF_LARGE /* bytes that are gathered before they are written */

/* How much may be on its way to us: of one stream, of a connection. */
#define H2_STREAM_WINDOW (256U << 10)
#define H2_WINDOW	 (1U << 20)

/* What a stream hears of, together or one by one. */
#define H2_READ	 1 /* bytes came, or the end; or the stream is gone */
#define H2_WRITE 2 /* there may be room to write again */
#define H2_HEAD	 4 /* a header is whole: in head */

struct h2_stream {
	struct stream *io;	    /* the owner's, carried */
	struct h2_session *session; /* NULL: it is detached */
	struct list node;	    /* session.streams */
	struct list ready;	    /* session.ready */
	int32_t id;
	uint32_t error;	     /* once is_closed: enum nghttp2_error_code */
	uint32_t arrived;    /* bytes that went to io->in since the last read */
	uint32_t unconsumed; /* bytes that the peer's window was not given back for yet */
	uint8_t events;	     /* to be told */
	bool is_closed;	     /* nothing goes either way any more */
	bool has_headers;    /* the final one came: what follows are trailers */
	bool is_final;	     /* the one that comes is not interim */
	unsigned heads;	     /* whole ones in head */
	uint64_t sent;	     /* bytes of DATA */
	uint64_t granted;    /* by the peer, for more than the first window */
	bool is_ended;	     /* we said that nothing follows */
	bool is_extended;    /* a client's: it asks for another protocol, by extended CONNECT */
	struct h2_head head; /* that came, and were not taken yet */
	struct h2_head tail; /* trailers, as far as they came */
	struct buf section;  /* all of them, as HTTP/1 has them */
	/* Within one write: what nghttp2 may take. */
	struct slice offer, offer_trailers;
	bool offer_is_last;
	void (*on_events)(struct h2_stream *s, unsigned events);
};

struct h2_session_ops {
	/* Server: a request begins. NULL: it is refused, to be tried elsewhere. */
	struct h2_stream *(*open)(
		struct h2_session *h,
		int32_t id); /* The peer's settings came, or others; NULL is fine. */
	void (*settings)(struct h2_session *h);
	/* It was flushed, once a turn; err: or that failed. */
	void (*flushed)(struct h2_session *h, int err);
};

/* Frames that a peer may send so many of a second, and ten seconds' worth at once. */
struct h2_bucket {
	unsigned rate;	/* 0: any */
	uint64_t level; /* thousandths */
	uint64_t at;	/* in the loop's milliseconds */
};

#define H2_RESETS_NOTED 16 /* streams that were reset last */

enum { H2_FLOOD_RESETS = 1, H2_FLOOD_CONTROLS };

struct h2_session {
	nghttp2_session *ng;
	struct l7 *l7;
	struct stream *io; /* the connection */
	const struct h2_session_ops *ops;
	struct http1_limits limits; /* of headers that come */
	struct list streams;
	struct list ready;
	struct list flush; /* l7.h2_flush */
	struct buf out;
	unsigned stream_count;
	unsigned open_count, streams_max; /* server: streams of the client's, as nghttp2 has them */
	int32_t reset_ids[H2_RESETS_NOTED]; /* by us */
	unsigned reset_next;
	unsigned late_left; /* streams that are taken while it drains */
	uint64_t written;   /* bytes, to io */
	struct h2_bucket resets, controls;
	uint32_t frame_left; /* of the frame that comes, as h2_strict.c sees it */
	uint8_t frame_header[9], frame_have;
	unsigned continuations, continuations_max; /* of the header that comes */
	uint8_t flood;				   /* which bucket ran over; 0: none */
	bool is_server;
	bool is_busy;	       /* nghttp2 is at work further up the stack: it is not to be called */
	bool is_broken;	       /* nghttp2 must not be called again, but to end it */
	bool is_draining;      /* we said that no new streams will be taken soon */
	bool is_shut;	       /* and which one was the last */
	int32_t awaits_header; /* the stream that one has begun of, and is not whole; 0: none */
};

struct h2_limits {
	struct http1_limits header; /* of each that comes */
	unsigned streams;	    /* that the peer may have open */
	unsigned resets, controls;  /* that it may send a second, in the long run; 0: any */
	unsigned continuations;	    /* frames of one header that it may send behind the first */
	bool takes_connect;	    /* extended CONNECT, RFC 8441 */
};

/* 0, or -ENOMEM; h2_session_deinit() is due either way. */
int h2_session_init(struct h2_session *h, struct l7 *l7, struct stream *io, bool is_server,
		    const struct h2_session_ops *ops, const struct h2_limits *limits);
/* All streams must have been detached. */
void h2_session_deinit(struct h2_session *h);

/* Take what is in io->in, then tell the streams. 0, or -EPROTO: nothing more is to be read, what is * left to be said is in out; -ESHUTDOWN: a stream ended the session; or -ENOMEM. */
int h2_session_receive(struct h2_session *h);

/* Write what there is, and tell streams that waited for that. 0: as far as the socket takes it; or -errno;
 * -ESHUTDOWN: one of them ended the session. */
int h2_session_flush(struct h2_session *h);

/* The same, later in this turn of the loop. */
void h2_session_schedule(struct h2_session *h);

/* Before the wait. What is scheduled meanwhile is left in l7->h2_flush, for the next turn. */
void h2_flush_all(struct l7 *l7);

/* So much waits to be written that nothing more should be taken. */
bool h2_session_is_full(const struct h2_session *h);

/* Nothing is under way, and nothing more can be. */
bool h2_session_is_over(const struct h2_session *h);

/* A server stops to take requests, without losing one that is on its way to it (6.8). */
void h2_session_drain(struct h2_session *h);

/* Say goodbye; code: enum nghttp2_error_code. */
void h2_session_end(struct h2_session *h, uint32_t code);

/* io: carried by h2_carrier, for s. Of a server in open(); of a client id is 0, and comes with the
 * first write. */
void h2_stream_init(struct h2_stream *s, struct h2_session *h, struct stream *io, int32_t id,
		    void (*on_events)(struct h2_stream *s, unsigned events));

/* The owner has no more interest: what is under way is broken off with this code. */
void h2_stream_detach(struct h2_stream *s, uint32_t code);

/* The next header that came, as events told; and done with. */
void h2_stream_take_head(struct h2_stream *s);

extern const struct carrier h2_carrier;

#endif
