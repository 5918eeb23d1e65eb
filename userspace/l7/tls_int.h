/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Between l7/tls.c, where OpenSSL is, and l7/tls_record.c, where a server's connection goes on without
 * it once the handshake is done.
 */
#ifndef L7_TLS_INT_H
#define L7_TLS_INT_H

#include "core/buf.h"
#include "l7/stream.h"
#include "l7/tls.h"
#include "tls/handover.h"
#include "tls/server.h"

#define TLS_RECORD_MAX SSL3_RT_MAX_PLAIN_LENGTH

struct tls {
	struct stream *st;
	struct tls_waker *waker;
	struct tls_server *server;     /* a reference: its contexts point to it; NULL: a client */
	struct list node;	       /* of waker->waiting */
	SSL *ssl;		       /* NULL: records are ours */
	struct tls_handover *handover; /* NULL: OpenSSL stays */
	struct buf raw_in, raw_out;    /* encrypted */
	const char *failure;
	char *subject;		   /* of the peer's certificate; NULL: it has none */
	char *server_name;	   /* that the client asked for; NULL: none */
	unsigned char *session_id; /* of a session that others may go on with; NULL: none */
	uint32_t plain,
		behind; /* of ours: bytes of raw_in that are opened, and of no use after them */
	int cut;	/* 0, or why nothing can be sent any more: -errno */
	uint8_t session_id_len;
	uint8_t early;	 /* enum early */
	uint8_t stapled; /* enum tls_stapled */
	bool is_failed;	 /* neither reads nor writes make sense any more */
	bool is_ended;	 /* we said that nothing follows */
	bool peer_ended; /* the peer said so; read when all before it was */
	bool is_dry;	 /* the handshake needs bytes of the peer: without any it is not called */
	bool takes_over; /* the handshake is done: tls_record_begin() is to come, with the first data */
	bool is_http2, was_resumed, early_was_refused;
};

/* 0: all is sent; -EAGAIN; or another -errno, from then on. */
int tls_send(struct tls *t);

/* ---- l7/tls_record.c, all but the first two once t->ssl is NULL ---------------------------- */

/* Once takes_over: t->ssl is NULL where it can be. */
void tls_record_begin(struct tls *t);

/* Is the record that raw_in begins with, of which the header is there, so short that it may be no data? */
bool tls_record_may_be_alert(const struct tls *t);

/* Are there bytes, or a whole record? */
bool tls_record_is_here(const struct tls *t);

/* How many more bytes have to come for one. */
size_t tls_record_missing(const struct tls *t);

/* One read of what is here. Bytes; 0: none, nothing is wrong; -EPROTO: failed, or the peer's end. */
ssize_t tls_record_read(struct tls *t, void *data, size_t len);

/* As tls_write(). */
ssize_t tls_record_write(struct tls *t, const struct iovec *iov, size_t count);

/* Put what the peer must hear into t->raw_out, which is empty. False: nothing. */
bool tls_record_answer(struct tls *t);

void tls_record_end(struct tls *t); /* close_notify into t->raw_out */

#endif
