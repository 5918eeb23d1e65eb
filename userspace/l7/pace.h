/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * How long a peer may still keep us waiting: it has a stock of time that runs while it is waited
 * for, and that grows with each byte that it moves. So no pause is longer than the stock, and who
 * trickles runs out of it. Pure.
 */
#ifndef L7_PACE_H
#define L7_PACE_H

#include <stdint.h>

struct pace {
	uint64_t left;	/* milliseconds, as of since */
	uint64_t since; /* when it began to be waited for; 0: it is not */
	uint64_t bytes; /* that have been paid for */
};

static inline void pace_init(struct pace *p, unsigned stock_ms)
{
	*p = (struct pace){.left = stock_ms};
}

static inline void pace_run(struct pace *p, uint64_t now)
{
	uint64_t ran = p->since ? now - p->since : 0;

	p->left = ran < p->left ? p->left - ran : 0;
}

/* The peer is waited for at now, and has moved bytes in all. stock_ms: the most it can have; rate:
 * bytes a second that keep the stock as it is, 0: any byte fills it. Returns until when. */
static inline uint64_t pace_wait(struct pace *p, uint64_t now, uint64_t bytes, unsigned stock_ms,
				 uint64_t rate)
{
	uint64_t moved = bytes - p->bytes, gain;

	pace_run(p, now);
	p->since = now;
	/* Far from a division for all that flows well. */
	if (!rate ? moved != 0 : moved >= rate * stock_ms / 1000 && moved) {
		p->left = stock_ms;
		p->bytes = bytes;
	} else if (moved) {
		gain = moved * 1000 / rate;
		p->bytes += gain * rate / 1000; /* the rest of a millisecond counts later */
		p->left = p->left + gain < stock_ms ? p->left + gain : stock_ms;
	}
	return now + p->left;
}

/* Someone else is waited for. */
static inline void pace_pause(struct pace *p, uint64_t now)
{
	pace_run(p, now);
	p->since = 0;
}

#endif
