/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * What RFC 9113 asks of who receives frames and nghttp2 does otherwise: which error a breach is, and
 * whose. For h2_session.c alone. One thread.
 */
#ifndef L7_H2_STRICT_H
#define L7_H2_STRICT_H

#include <nghttp2/nghttp2.h>

#include "l7/h2_session.h"

#define H2_STREAMS_ANY INT32_MAX /* as nghttp2 is told */

/* Write our settings, which were submitted and are the first frame of all, into h->out. The peer is told
 * of streams as how many it may have open, which nghttp2 is not: a stream too many would end the
 * connection, where it should only be refused (5.1.2). 0, or -ENOMEM. */
int h2_strict_announce(struct h2_session *h, unsigned streams);

/* Has the peer one stream too many open? */
bool h2_strict_is_over(const struct h2_session *h);

/* We reset the stream: what the peer has sent before it knew is none of its faults. */
void h2_strict_note_reset(struct h2_session *h, int32_t id);

/* Look through what came and was not given to nghttp2 yet, which says nothing of it: the next stream that
 * had ended before and that DATA came for (6.1). 0: none in the rest, which is used up. */
int32_t h2_strict_next_late(struct h2_session *h, struct slice *rest);

/* Do new settings make the window of a stream too large? That is the connection's error (6.9.2). */
bool h2_strict_overflows(const struct h2_session *h, const nghttp2_settings *settings);

#endif
