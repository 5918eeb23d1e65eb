/* SPDX-License-Identifier: BSD-2-Clause */
/* Bytes both ways: see duplex.h. */
#include "l7/duplex.h"

#include <errno.h>

#include "l7/stream.h"

#define READS_PER_TURN 4 /* of one side */

static void finish(struct duplex *d, int way)
{
	d->is_done[way] = d->has_moved = true;
}

/* Nothing can be said to the other side of ends[way] any more. What that has said before is still to
 * be heard. */
static void stop(struct duplex *d, int way)
{
	stream_forget(d->ends[!way]);
	d->is_broken = true;
	if (!d->is_done[way])
		finish(d, way);
}

/* Move what can be moved of what ends[way] said, behind head. */
static void push(struct duplex *d, int way, struct slice head)
{
	struct stream *from = d->ends[way], *to = d->ends[!way];
	struct pieces p = {.head = head, .body = {buf_head(&from->in), buf_len(&from->in)}};
	bool is_piped = from->pipe != NULL;
	int err = 0;

	if (d->is_done[way])
		return;
	if (p.head.len || p.body.len || is_piped || to->is_blocked) {
		ssize_t n = is_piped ? splice_out(from, to) : stream_write(to, &p);

		if (n < 0) {
			to->is_eof |= n == -ENOMEM; /* it goes on, but lacks bytes from here */
			stop(d, way);
			return;
		}
		if (n > 0 && !is_piped)
			buf_consume(from->pool, &from->in, (size_t)n);
		d->has_moved |= n > 0;
	}
	if (!from->is_eof || to->is_blocked)
		return;
	if (!d->is_broken) /* what broke off did not end */
		err = stream_shutdown(to);
	if (err == 0)
		finish(d, way);
}

static void push_both(struct duplex *d, struct slice head)
{
	push(d, 0, head);
	push(d, 1, (struct slice){0});
}

static enum duplex_status status(const struct duplex *d)
{
	if (d->is_done[0] && d->is_done[1])
		return d->is_broken ? DUPLEX_BROKEN : DUPLEX_DONE;
	if (stream_watch(d->ends[0]) < 0 || stream_watch(d->ends[1]) < 0)
		return DUPLEX_BROKEN;
	return DUPLEX_OPEN;
}

enum duplex_status duplex_start(struct duplex *d, struct stream *a, struct stream *b,
				struct slice head)
{
	*d = (struct duplex){.ends = {a, b}, .has_moved = true};
	push_both(d, head);
	return status(d);
}

static ssize_t receive(struct stream *from, struct stream *to, bool *ret_more)
{
	ssize_t n = -ENFILE;

	if (splice_can(from, to)) {
		*ret_more = false;
		n = splice_in(from, SIZE_MAX);
	}
	return n == -ENFILE ? stream_read(from, ret_more) : n;
}

enum duplex_status duplex_on_event(struct duplex *d, struct stream *from, int events)
{
	int way = from == d->ends[1];
	bool more = (events & SOCK_READ) != 0;

	if (events & SOCK_WRITE)
		push_both(d, (struct slice){0});
	for (int i = 0; i < READS_PER_TURN && more; i++) {
		ssize_t n = receive(from, d->ends[!way], &more);

		if (n > 0)
			d->has_moved = true;
		if (stream_is_error(n)) {
			from->is_eof = true;
			stop(d, !way);
		}
		push_both(d, (struct slice){0});
	}
	return status(d);
}
