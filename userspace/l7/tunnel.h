/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * A request whose two sides talk to each other: after it switched to another protocol, or CONNECT.
 * Bytes go both ways as they come; who does not take them stops the other, each side may end its
 * direction first, and a silent tunnel ends. One thread.
 */
#ifndef L7_TUNNEL_H
#define L7_TUNNEL_H

#include <stdbool.h>

#include "core/slice.h"

struct head;
struct request;
struct service;
struct stream;

/* The first protocol that the request h asks for and the service allows; empty: none. */
struct slice tunnel_protocol(const struct service *s, const struct head *h);

/* Does the backend's response h make a tunnel of r, where anything but that is an error of it? And
 * does it, where it need not? */
bool tunnel_is_switched(const struct request *r, const struct head *h);
/* By HTTP/2: then h becomes what HTTP/1 says of that (RFC 8441, 5), with one field more. */
#define TUNNEL_ACCEPT_MAX 28U
bool tunnel_is_opened(const struct request *r, struct head *h, char accept[TUNNEL_ACCEPT_MAX]);
bool tunnel_is_connected(const struct request *r, const struct head *h);

/* From now on; head: the response, written first. The request may be over already. */
void tunnel_start(struct request *r, struct slice head);

/* What happens while it lasts, each may end it. from: of the two streams. */
void tunnel_on_event(struct request *r, struct stream *from, int events);
void tunnel_on_deadline(struct request *r);

/* It is about to be cut off, or is over. */
void tunnel_cancel(struct request *r);

/* It has node.drain_timeout left, from the first call on. */
void tunnel_drain(struct request *r);

#endif
