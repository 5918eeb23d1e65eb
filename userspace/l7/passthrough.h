/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The beginning of a connection of a tls service: reads the ClientHello, which stays in the buffer,
 * and chooses the pool; or refuses with an alert. Owner: struct conn, in CONN_HELLO. One thread.
 */
#ifndef L7_PASSTHROUGH_H
#define L7_PASSTHROUGH_H

struct conn;

void passthrough_begin(struct conn *c);
void passthrough_on_event(struct conn *c);
void passthrough_on_deadline(struct conn *c);

#endif
