/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * What workers share so that a client may come back to any of them with its session: the secret that
 * their ticket keys come from, and, for TLS 1.2 clients without tickets, sessions by their id. Any
 * thread.
 */
#ifndef TLS_SHARED_H
#define TLS_SHARED_H

#include <stdint.h>

struct tls_shared;

/* rotation_ms: how long each key is given to new tickets. NULL: out of memory, or of random numbers. */
struct tls_shared *tls_shared_new(uint64_t rotation_ms);

/* Every worker has begun: what old tickets could be read with is to be found nowhere. */
void tls_shared_forget_secret(struct tls_shared *s);

void tls_shared_free(struct tls_shared *s); /* NULL is fine */

#endif
