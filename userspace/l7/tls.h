/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * TLS between a stream and its socket. OpenSSL reads from and writes to buffers alone; the system
 * calls are made here, one for as many records as there are. Buffers are held only while they have
 * bytes. OpenSSL's object of a client's connection, which is the largest part of one that is idle, is let
 * go of when the handshake is done (l7/tls_record.c). Owned by the stream. One thread.
 */
#ifndef L7_TLS_H
#define L7_TLS_H

#include <stdbool.h>
#include <sys/uio.h>

#include "core/list.h"
#include "core/slice.h"
#include "l7/poller.h"
#include "tls/record.h"

struct stream;
struct tls;
struct addr;
struct service_counters;
struct tls_client;
struct tls_server;
struct tls_session;

/* Streams that hold bytes which were received already: the socket will not tell of them. One for
 * each worker. */
struct tls_waker {
	struct poller *poller;
	struct poller_hook hook; /* due while there are any */
	struct list waiting;
	struct tls_ciphers ciphers; /* of the records that are ours */
	bool has_ciphers;
};

void tls_waker_init(struct tls_waker *w, struct poller *poller);
void tls_waker_close(struct tls_waker *w);
void tls_waker_deinit(struct tls_waker *w); /* no stream has TLS any more */

/* Puts TLS into the stream, whose socket is open: from here on stream_read() and stream_write() speak
 * it, once tls_handshake() is done. Takes a reference of its own. 0, or -ENOMEM. */
int tls_accept(struct stream *st, struct tls_server *server, struct tls_waker *w);

/* The same, as a client of who is at addr. client and session outlive the stream's TLS. */
int tls_connect(struct stream *st, struct tls_client *client, const struct addr *addr,
		struct tls_session *session, struct tls_waker *w);

/* Go on with the handshake; after any event. is_readable: SOCK_READ was one. 0: done; TLS_EARLY: there
 * are bytes in st->in that came before its end, and it goes on with each read; -EAGAIN: stream_watch();
 * or another -errno: it failed (tls_failure() says why), and the peer was told. */
#define TLS_EARLY 1
int tls_handshake(struct stream *st, bool is_readable);

/* Has the handshake not ended yet, so that what was read could be a replay? */
bool tls_is_early(const struct stream *st);
bool tls_early_was_refused(const struct stream *st); /* there was some; the peer sends it again */

const char *tls_failure(const struct stream *st);
/* Of the certificate that the peer was verified by, in the form of RFC 2253 and in visible ASCII alone;
 * empty: it has none. Lives as long as the TLS. */
struct slice tls_peer_subject(const struct stream *st);

/* That the client asked for (SNI), as it did; empty: none. */
struct slice tls_server_name(const struct stream *st);

bool tls_is_http2(const struct stream *st); /* agreed on by ALPN */

/* Must a request for this authority not come on this connection? See tls/server.h. */
bool tls_is_misdirected(const struct stream *st, struct slice authority);

bool tls_was_resumed(const struct stream *st); /* an earlier session, that is */

/* Count what became of OCSP responses in the handshake, which is done. */
void tls_count_stapled(const struct stream *st, struct service_counters *n);

/* As stream_read() and stream_write() want them of a socket; count may be 0: what was left of an
 * earlier write is tried again. A peer that ends the connection without saying so in TLS has
 * truncated it: -ECONNRESET. */
ssize_t tls_read(struct tls *t, void *data, size_t len, bool *ret_more);
ssize_t tls_write(struct tls *t, const struct iovec *iov, size_t count);

/* Are there encrypted bytes that the socket did not take? tls_flush(): tries again. */
bool tls_is_blocked(const struct tls *t);
void tls_flush(struct tls *t);

/* Could a read return something although the socket is silent? */
bool tls_has_pending(const struct tls *t);

/* Have the stream's on_event called with SOCK_READ when all that happened was told. */
void tls_wake(struct tls *t);

/* Tell the peer that nothing follows; once, and not after a failure. */
void tls_end(struct tls *t);

void tls_free(struct tls *t); /* NULL is fine */

#endif
