/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * What stands before the bytes of a client's connection where the service takes PROXY headers:
 * whose connection is it really? Owner: struct conn, in CONN_PREFACE. One thread.
 */
#ifndef L7_PREFACE_H
#define L7_PREFACE_H

#include <stdbool.h>
#include <stdint.h>

#include "core/addr.h"
#include "core/slice.h"

struct conn;

/* What a header said. */
struct proxied {
	struct endpoint peer, local;
	bool has_endpoints;
	uint8_t alpn_len, authority_len, unique_id_len;
	char text[]; /* the three, in this order */
};

/* A connection of a service that takes headers was accepted. */
void preface_begin(struct conn *c);
void preface_on_event(struct conn *c);
void preface_on_deadline(struct conn *c);

struct slice proxied_alpn(const struct proxied *p);
struct slice proxied_authority(const struct proxied *p);
struct slice proxied_unique_id(const struct proxied *p);

#endif
