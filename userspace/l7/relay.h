/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * One direction of a message body: from what one connection received, through the decoder, framed
 * anew, to the other connection. Bytes go from the receiver's buffer to the kernel without being
 * copied, or do not leave it at all, where they are many and sent as they come (splice.h); what the
 * kernel does not take stays where it is, so a slow reader stops a fast sender. One thread.
 */
#ifndef L7_RELAY_H
#define L7_RELAY_H

#include "l7/http1_body.h"
#include "l7/stream.h"

/* Gets a copy of a body, as it is written. */
struct flow_tap {
	struct buf copy;
	uint32_t max;
	bool is_over; /* it was larger than max, or there was no memory: the copy is gone */
};

struct flow {
	struct stream *from, *to;
	struct body body;     /* how it comes */
	struct buf trailers;  /* what came of its trailers; once it ended, as they are sent */
	uint8_t framing;      /* enum body_kind: how it goes; BODY_EOF: the caller closes */
	bool last_written;    /* the last chunk */
	bool is_parting;      /* to is shut down once all is written */
	uint32_t ready;	      /* body bytes at the front of from->in */
	uint32_t held;	      /* of them, written already and kept: see flow_hold() */
	uint32_t held_max;    /* 0: none are kept */
	uint32_t gap;	      /* framing behind them, done with */
	uint32_t chunk_left;  /* of the chunk announced last, still to be written */
	struct flow_tap *tap; /* NULL: none */
	uint64_t limit;	      /* bytes of body; 0: none */
	enum reason reason;   /* of FLOW_BAD */
};

enum flow_status {
	FLOW_MORE,    /* all that came was written: waits for from */
	FLOW_BLOCKED, /* waits for to */
	FLOW_DONE,    /* the message is whole, and written */
	FLOW_BAD,     /* from broke the rules, see reason */
	FLOW_CUT,     /* from ended too early */
	FLOW_BROKEN,  /* to cannot be written to */
};

/* Owns memory once it pumped something: flow_deinit(). */
void flow_init(struct flow *f, struct stream *from, enum body_kind kind, uint64_t length);
void flow_deinit(struct flow *f); /* all zero is fine */
void flow_send_to(struct flow *f, struct stream *to, enum body_kind framing);

/* As it was before the first byte. */
void flow_tap_reset(struct flow_tap *tap, struct buf_pool *pool);

/* Receive more for it, by stream_read() of from; or by a pipe, which flow_pump() empties. */
ssize_t flow_read(struct flow *f, bool *ret_more);

/* Move what can be moved. head: written first, may be empty; never needed again afterwards. */
enum flow_status flow_pump(struct flow *f, struct slice head);

/* Forget what from received of this message, unsent. FLOW_DONE: the next message begins there. */
enum flow_status flow_discard(struct flow *f);

/* Has anything of the body left from->in? If not, it can be sent again to another connection. */
bool flow_has_begun(const struct flow *f);
void flow_restart(struct flow *f);

/* Keep what is written in from->in, too, as long as it is no more than max bytes, so that it can be
 * sent again. Until flow_let_go(): from is not read much further than that. */
void flow_hold(struct flow *f, uint32_t max);
void flow_let_go(struct flow *f);

/* Bytes of body that went. */
static inline uint64_t flow_sent(const struct flow *f)
{
	return f->body.total - (f->ready - f->held) - (f->from->pipe ? f->from->pipe->len : 0);
}

/* Grows with each byte of body that came or went. */
static inline uint64_t flow_progress(const struct flow *f)
{
	return f->body.total + flow_sent(f);
}

#endif
