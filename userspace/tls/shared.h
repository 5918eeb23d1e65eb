/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * What workers share so that a client may come back to any of them with its session: the secret that
 * their ticket keys come from, and, for TLS 1.2 clients without tickets, sessions by their id. Any
 * thread.
 */
#ifndef TLS_SHARED_H
#define TLS_SHARED_H

#include <stdint.h>

#include "tls/tickets.h"

struct tls_shared;

/* rotation_ms: how long each key is given to new tickets. NULL: out of memory, or of random numbers. */
struct tls_shared *tls_shared_new(uint64_t rotation_ms);

/* Every worker has begun: what old tickets could be read with is to be found nowhere. */
void tls_shared_forget_secret(struct tls_shared *s);

/* The keys as they are now, for a process that takes over; and, before any worker begins, those of
 * the process that was there before. False: those are of another rotation_ms, and not taken. */
void tls_shared_keys(struct tls_shared *s, struct tls_ticket_state *ret_state);
bool tls_shared_adopt(struct tls_shared *s, const struct tls_ticket_state *state);

/* No early data for as long as a ticket that another process may have taken some with is good for it:
 * a list of those (tls/replay.h) is of one process. _end: never any more. */
void tls_shared_hold_early_data(struct tls_shared *s);
void tls_shared_end_early_data(struct tls_shared *s);

void tls_shared_free(struct tls_shared *s); /* NULL is fine */

#endif
