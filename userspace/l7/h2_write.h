/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * What goes out on an HTTP/2 connection: headers and bodies of its streams become frames, which are
 * gathered in session.out and written together. For h2_session.c. One thread.
 */
#ifndef L7_H2_WRITE_H
#define L7_H2_WRITE_H

#include "l7/h2_session.h"

/* Serialise what nghttp2 has. True: all of it; false: there is enough to be written already, or it failed. */
bool h2_gather(struct h2_session *h);

/* The same, and write it. 0: all of it, or as much as the socket takes; or -errno. */
int h2_write_out(struct h2_session *h);

/* For nghttp2: one DATA frame, from what a stream offers. */
int h2_write_data(nghttp2_session *ng, nghttp2_frame *frame, const uint8_t *header, size_t len,
		  nghttp2_data_source *source, void *ctx);

#endif
