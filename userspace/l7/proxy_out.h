/* SPDX-License-Identifier: BSD-2-Clause */
/* The PROXY header in front of a connection to a backend: whose it is. One thread. */
#ifndef L7_PROXY_OUT_H
#define L7_PROXY_OUT_H

#include "conf/snapshot.h"
#include "l7/proxy_header.h"

struct client_hello;
struct conn;
struct stream;

/* Write it; hello: what the client said in TLS, or NULL. Returns the bytes written; 0: none. */
size_t proxy_out_write(char out[PROXY_WRITE_MAX], const struct conn *c, enum proxy_out version,
		       const struct client_hello *hello);

/* The same, as the first bytes of a connection on which nothing was written yet: they go ahead of what
 * is, also of TLS (see upstream_conn.h). 0, or -ENOMEM. */
int proxy_out_queue(struct stream *to, const struct conn *c, enum proxy_out version);

#endif
