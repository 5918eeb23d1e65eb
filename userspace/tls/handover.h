/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * From OpenSSL, which shakes hands, to tls/traffic.h, which needs a small part of its memory. What
 * OpenSSL does not tell later is noted while the handshake goes on. One thread.
 */
#ifndef TLS_HANDOVER_H
#define TLS_HANDOVER_H

#include <openssl/ssl.h>

#include "tls/traffic.h"

#define TLS_FINISHED_12 (TLS_RECORD_HEADER + TLS_RECORD_EXPLICIT + 16 + TLS_RECORD_TAG)

struct tls_handover {
	struct tls_traffic traffic; /* good once tls_handover_take() is done */
	/* Records since the traffic keys were in use. */
	uint32_t records_in, records_out;
	struct tls_secrets secrets; /* of TLS 1.3 */
	uint8_t tail_len;
	unsigned char tail[TLS_FINISHED_12]; /* the last bytes that were written */
};

/* For a server's connection that has not begun; h lives until tls_handover_cancel() or
 * _take(). Zeroed by the caller. */
void tls_handover_begin(struct tls_handover *h, SSL *ssl, struct tls_ciphers *ciphers);

/* Around what may go on with the handshake: h, then NULL. */
static inline void tls_handover_watch(struct tls_handover *h)
{
	tls_schedule_watch(h ? &h->secrets : NULL);
}

/* OpenSSL has written this. */
void tls_handover_note(struct tls_handover *h, const void *data, size_t len);

/* The handshake is over. True: h->traffic goes on, and ssl is not to be called for more than what it
 * knows; false: it is something that only OpenSSL can do, h is as after tls_handover_cancel(). */
bool tls_handover_take(struct tls_handover *h, SSL *ssl);

void tls_handover_cancel(struct tls_handover *h, SSL *ssl); /* forget all */

#endif
