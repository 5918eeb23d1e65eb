/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * What a server says and hears in records once the handshake is over: content, and the little that is
 * none (alerts, KeyUpdate, and in TLS 1.2 the wish to shake hands again, which is refused). No input or
 * output is made here. One thread.
 */
#ifndef TLS_TRAFFIC_H
#define TLS_TRAFFIC_H

#include "tls/record.h"

/* In a row, without content: then the peer only wants to keep us busy. */
#define TLS_USELESS_MAX 32

struct tls_traffic {
	struct tls_ciphers *ciphers;
	struct tls_keys in, out;
	uint32_t skip;		  /* bytes to come of a message that is refused */
	unsigned char message[5]; /* the begin of one whose rest has not come */
	uint8_t message_len, useless;
	bool owes_update, owes_refusal; /* tls_traffic_answer() */
};

/* What a record said, besides content. */
enum tls_heard {
	TLS_HEARD_NOTHING = -1,
	TLS_HEARD_END = -2,   /* nothing follows */
	TLS_HEARD_ALERT = -3, /* the peer gave up */
	TLS_HEARD_BAD = -4,   /* *ret_alert is what it is to be told */
};

/* Open a record (see tls_open()) and heed it. Bytes of content at out, or enum tls_heard. */
int tls_traffic_take(struct tls_traffic *t, const unsigned char *record, size_t size,
		     unsigned char *out, uint8_t *ret_alert);

#define TLS_ALERT_ROOM (2 + TLS_RECORD_OVERHEAD)

/* Bytes at out; 0: OpenSSL failed. */
size_t tls_traffic_alert(struct tls_traffic *t, uint8_t level, uint8_t alert,
			 unsigned char out[TLS_ALERT_ROOM]);

/* What the peer is to hear before anything else that is sent, so that the caller need not store more
 * than one of it: ask when all that went before is sent. */
static inline bool tls_traffic_owes(const struct tls_traffic *t)
{
	return t->owes_update || t->owes_refusal ||
	       (t->out.sequence >= TLS_RECORDS_PER_KEY && t->out.is_13);
}

#define TLS_ANSWER_ROOM (5 + TLS_RECORD_OVERHEAD)

size_t tls_traffic_answer(struct tls_traffic *t, unsigned char out[TLS_ANSWER_ROOM]);

void tls_traffic_wipe(struct tls_traffic *t);

#endif
