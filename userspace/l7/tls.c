/* SPDX-License-Identifier: BSD-2-Clause */
/* TLS between a stream and its socket: see tls.h. */
#include "l7/tls.h"

#include <errno.h>
#include <openssl/err.h>
#include <openssl/ssl.h>
#include <openssl/x509.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>

#include "conf/runtime.h"
#include "l7/stream.h"
#include "l7/tls_int.h"
#include "tls/client.h"
#include "tls/server.h"

#define RECORD_MAX	TLS_RECORD_MAX
#define RECORD_OVERHEAD 64U  /* header, nonce, tag, padding: more than any of our ciphers adds */
#define SUBJECT_MAX	1024 /* bytes; a longer one is not passed on, rather than a part of it */
#define FILLS_PER_TURN	4    /* of one handshake */

/* Encrypted bytes that wait for the socket. tls_write() stays far below; OpenSSL answers what is no
 * data (KeyUpdate) by itself, also to a peer that reads none of it. */
#define RAW_OUT_MAX (1U << 20)

/* What comes before the end of the handshake. */
enum early {
	EARLY_NOT,	/* nothing, or it has ended */
	EARLY_MAY_COME, /* the client has not said yet */
	EARLY_COMES,
	EARLY_CAME, /* all of it is read, the handshake's end is not */
};

/* ---- what OpenSSL takes for a network ------------------------------------------------------ */

static int bio_read(BIO *bio, char *data, size_t len, size_t *ret_len)
{
	struct tls *t = BIO_get_data(bio);
	size_t n = buf_len(&t->raw_in);

	BIO_clear_retry_flags(bio);
	if (!n) {
		BIO_set_retry_read(bio);
		return 0;
	}
	if (n > len)
		n = len;
	memcpy(data, buf_head(&t->raw_in), n);
	buf_consume(t->st->pool, &t->raw_in, n);
	*ret_len = n;
	return 1;
}

static int bio_write(BIO *bio, const char *data, size_t len, size_t *ret_len)
{
	struct tls *t = BIO_get_data(bio);

	BIO_clear_retry_flags(bio);
	if (!t->cut && (buf_len(&t->raw_out) + len > RAW_OUT_MAX ||
			buf_append(t->st->pool, &t->raw_out, data, len) < 0))
		return 0;
	if (t->handover)
		tls_handover_note(t->handover, data, len);
	*ret_len = len;
	return 1;
}

static long bio_ctrl(BIO *bio, int cmd, long number, void *ptr)
{
	(void)bio;
	(void)number;
	(void)ptr;
	return cmd == BIO_CTRL_FLUSH; /* tls_write() and others send when OpenSSL is done */
}

static BIO_METHOD *method;

static void make_method(void)
{
	BIO_METHOD *m = BIO_meth_new(BIO_get_new_index() | BIO_TYPE_SOURCE_SINK, "stream");

	if (m && BIO_meth_set_read_ex(m, bio_read) && BIO_meth_set_write_ex(m, bio_write) &&
	    BIO_meth_set_ctrl(m, bio_ctrl))
		method = m;
	else
		BIO_meth_free(m);
}

static BIO *bio_new(struct tls *t)
{
	static pthread_once_t once = PTHREAD_ONCE_INIT;
	BIO *bio;

	(void)pthread_once(&once, make_method);
	bio = method ? BIO_new(method) : NULL;
	if (bio) {
		BIO_set_data(bio, t);
		BIO_set_init(bio, 1);
	}
	return bio;
}

/* ---- waking -------------------------------------------------------------------------------- */

static bool run_waiting(struct poller_hook *hook)
{
	struct tls_waker *w = list_entry(hook, struct tls_waker, hook);
	struct list turn;

	list_init(&turn);
	list_for_each_safe (it, &w->waiting) {
		list_unlink(it);
		list_append(&turn, it);
	}
	while (!list_empty(&turn)) {
		struct tls *t = list_entry(turn.next, struct tls, node);

		list_unlink(&t->node);
		t->st->sock.on_event(&t->st->sock, SOCK_READ);
	}
	return false;
}

void tls_waker_init(struct tls_waker *w, struct poller *poller)
{
	w->has_ciphers = tls_ciphers_init(&w->ciphers);
	w->poller = poller;
	w->hook.run = run_waiting;
	list_init(&w->hook.node);
	list_init(&w->waiting);
}

void tls_waker_close(struct tls_waker *w)
{
	list_unlink(&w->hook.node);
}

void tls_waker_deinit(struct tls_waker *w)
{
	tls_ciphers_deinit(&w->ciphers);
}

void tls_wake(struct tls *t)
{
	list_unlink(&t->node);
	list_append(&t->waker->waiting, &t->node);
	poller_run_soon(t->waker->poller, &t->waker->hook);
}

/* ---- the socket ---------------------------------------------------------------------------- */

/* One read of what is encrypted. Bytes; 0: the peer's socket is closed; or -errno. */
static ssize_t fill(struct tls *t)
{
	struct stream *st = t->st;
	size_t whole = st->bulk ? BUF_LARGE : BUF_SMALL;
	ssize_t n;

	if (!t->ssl && buf_len(&t->raw_in)) /* a record has to be in one piece */
		whole = tls_record_missing(t);
	n = buf_reserve(st->pool, &t->raw_in, whole);
	if (n < 0)
		return n;
	n = sock_read(&st->sock, t->raw_in.data + t->raw_in.end, buf_room(&t->raw_in));
	if (n > 0)
		t->raw_in.end += (uint32_t)n;
	else if (!buf_len(&t->raw_in))
		buf_release(st->pool, &t->raw_in);
	return n;
}

/* 0: all is sent; -EAGAIN; or another -errno, from then on: nothing waits for that socket any more,
 * which would be ready for writing for ever. */
static int send_raw(struct tls *t)
{
	struct iovec iov = {buf_head(&t->raw_out), buf_len(&t->raw_out)};
	ssize_t n;

	if (t->cut || !iov.iov_len)
		return t->cut;
	n = sock_write(&t->st->sock, &iov, 1, t->st->is_parting);
	if (n == -EAGAIN)
		return -EAGAIN;
	if (n < 0) {
		t->cut = (int)n;
		buf_release(t->st->pool, &t->raw_out);
		return t->cut;
	}
	buf_consume(t->st->pool, &t->raw_out, (size_t)n);
	return buf_len(&t->raw_out) ? -EAGAIN : 0;
}

int tls_send(struct tls *t)
{
	int err = send_raw(t);

	while (err == 0 && !t->ssl && tls_record_answer(t))
		err = send_raw(t);
	return err;
}

/* What OpenSSL said; the peer may have been told in an alert. */
static int fail(struct tls *t)
{
	unsigned long code = ERR_peek_error();
	const char *text = ERR_reason_error_string(code);

	t->is_failed = true;
	t->failure = text ? text : "failed";
	ERR_clear_error();
	(void)tls_send(t); /* nobody waits for it */
	return ERR_GET_REASON(code) == ERR_R_MALLOC_FAILURE ? -ENOMEM : -EPROTO;
}

/* ---- the stream's side --------------------------------------------------------------------- */

/* Takes ssl; NULL: there was no memory for it. server: a reference is taken; NULL: none. */
static int attach(struct stream *st, SSL *ssl, struct tls_server *server, struct tls_waker *w)
{
	struct tls *t = calloc(1, sizeof(*t));
	BIO *bio;

	if (!t) {
		SSL_free(ssl);
		return -ENOMEM;
	}
	t->st = st;
	t->waker = w;
	t->ssl = ssl;
	t->server = server ? tls_server_ref(server) : NULL;
	t->is_dry = server != NULL; /* a client speaks first */
	if (server && tls_server_takes_early_data(server))
		t->early = EARLY_MAY_COME;
	list_init(&t->node);
	bio = ssl ? bio_new(t) : NULL;
	if (!bio) {
		tls_free(t);
		return -ENOMEM;
	}
	SSL_set_bio(ssl, bio, bio);
	if (server && w->has_ciphers)
		t->handover = calloc(1, sizeof(*t->handover)); /* without one OpenSSL goes on */
	if (t->handover)
		tls_handover_begin(t->handover, ssl, &w->ciphers);
	st->tls = t;
	if (buf_len(&st->in)) { /* read just now, behind a PROXY header, and counted as if plain */
		counter_add(st->bytes_in, -(uint64_t)buf_len(&st->in));
		t->raw_in = st->in;
		st->in = (struct buf){0};
		tls_wake(t);
	}
	return 0;
}

int tls_accept(struct stream *st, struct tls_server *server, struct tls_waker *w)
{
	return attach(st, tls_server_connection(server), server, w);
}

int tls_connect(struct stream *st, struct tls_client *client, const struct addr *addr,
		struct tls_session *session, struct tls_waker *w)
{
	return attach(st, tls_client_connection(client, addr, session), NULL, w);
}

/* NULL: it has none, no memory, or one that is longer than what is passed on of it. */
static char *make_subject(const SSL *ssl)
{
	X509 *x = SSL_get0_peer_certificate(ssl);
	BIO *text = x ? BIO_new(BIO_s_mem()) : NULL;
	char *bytes, *subject = NULL;
	long len;

	if (text && X509_NAME_print_ex(text, X509_get_subject_name(x), 0, XN_FLAG_RFC2253) >= 0) {
		len = BIO_get_mem_data(text, &bytes);
		if (len > 0 && len <= SUBJECT_MAX)
			subject = strndup(bytes, (size_t)len);
	}
	BIO_free(text);
	return subject;
}

/* As SSL_read_ex(), before the handshake is done. 1: bytes; 0: see SSL_get_error(); -1: no more come. */
static int read_early(struct tls *t, void *data, size_t len, size_t *ret_n)
{
	switch (SSL_read_early_data(t->ssl, data, len, ret_n)) {
	case SSL_READ_EARLY_DATA_SUCCESS: t->early = EARLY_COMES; return 1;
	case SSL_READ_EARLY_DATA_FINISH: return -1;
	default: return 0;
	}
}

/* The handshake up to the first early bytes, which go into st->in. As SSL_do_handshake(), or
 * SHAKE_EARLY. */
#define SHAKE_EARLY 2
static int accept_early(struct tls *t)
{
	struct stream *st = t->st;
	size_t n = 0;
	int done;

	if (buf_reserve(st->pool, &st->in, BUF_SMALL) < 0)
		return -1;
	done = read_early(t, st->in.data + st->in.end, buf_room(&st->in), &n);
	if (done == 1) {
		st->in.end += (uint32_t)n;
		counter_add(st->bytes_in, n);
		return SHAKE_EARLY;
	}
	buf_release(st->pool, &st->in);
	if (done == 0)
		return 0;
	t->early = EARLY_NOT;
	return SSL_do_handshake(t->ssl);
}

/* One step of the handshake with what is here. 0: it needs more; 1: done; SHAKE_EARLY; or -errno. */
static int shake(struct tls *t)
{
	int done, err;

	ERR_clear_error();
	tls_handover_watch(t->handover);
	done = t->early ? accept_early(t) : SSL_do_handshake(t->ssl);
	tls_handover_watch(NULL);
	if (done < 1 && SSL_get_error(t->ssl, done) != SSL_ERROR_WANT_READ)
		return fail(t);
	t->is_dry = done < 1;
	err = tls_send(t);
	if (err < 0 && err != -EAGAIN)
		return err;
	return done < 1 ? 0 : done;
}

/* Bytes for it. 1: there are some; -EAGAIN; or another -errno. */
static int feed(struct tls *t)
{
	ssize_t n = fill(t);

	if (n > 0)
		return 1;
	if (n == 0)
		t->failure = "the peer closed the connection";
	return n ? (int)n : -ECONNRESET;
}

static void drop_handover(struct tls *t)
{
	if (t->handover)
		tls_handover_cancel(t->handover, t->ssl);
	free(t->handover);
	t->handover = NULL;
}

/* What is asked for later. 0, or -ENOMEM: what the client asked for must not be forgotten. */
static int learn(struct tls *t)
{
	const char *name = SSL_get_servername(t->ssl, TLSEXT_NAMETYPE_host_name);
	const unsigned char *protocol;
	unsigned len;

	SSL_get0_alpn_selected(t->ssl, &protocol, &len);
	t->is_http2 = len == 2 && !memcmp(protocol, "h2", 2);
	t->was_resumed = SSL_session_reused(t->ssl);
	t->early_was_refused = SSL_get_early_data_status(t->ssl) == SSL_EARLY_DATA_REJECTED;
	if (!t->server)
		return 0;
	t->stapled = tls_server_stapled(t->ssl);
	t->subject = make_subject(t->ssl);
	t->server_name = name ? strdup(name) : NULL;
	return name && !t->server_name ? -ENOMEM : 0;
}

int tls_handshake(struct stream *st, bool is_readable)
{
	struct tls *t = st->tls;
	bool more = is_readable; /* than the read before has shown */
	int done = 0;

	for (int fills = 0; done == 0; fills++) {
		if (t->is_failed)
			return -EPROTO;
		if (t->is_dry && !buf_len(&t->raw_in)) {
			int err = more && fills < FILLS_PER_TURN ? feed(t) : -EAGAIN;

			if (err == -EAGAIN)
				tls_flush(t); /* there may be room for it now */
			if (err < 0)
				return err;
			more = !buf_room(&t->raw_in);
		}
		done = shake(t);
	}
	if (done < 0)
		return done;
	if (learn(t) < 0)
		return -ENOMEM;
	if (done == SHAKE_EARLY) { /* the end of the handshake is among reads: OpenSSL stays */
		drop_handover(t);
		return TLS_EARLY;
	}
	t->takes_over = t->handover != NULL;
	return 0;
}

bool tls_is_early(const struct stream *st)
{
	return st->tls->early != EARLY_NOT;
}

bool tls_early_was_refused(const struct stream *st)
{
	const struct tls *t = st->tls;

	return t->early_was_refused ||
	       (t->ssl && SSL_get_early_data_status(t->ssl) == SSL_EARLY_DATA_REJECTED);
}

const char *tls_failure(const struct stream *st)
{
	return st->tls->failure ? st->tls->failure : "connection lost";
}

struct slice tls_peer_subject(const struct stream *st)
{
	const char *subject = st->tls->subject;

	return (struct slice){subject, subject ? strlen(subject) : 0};
}

struct slice tls_server_name(const struct stream *st)
{
	const char *name = st->tls->server_name;

	return name ? slice_of(name) : (struct slice){0};
}

bool tls_is_http2(const struct stream *st)
{
	return st->tls->is_http2;
}

/* A port is said behind the last colon, unless that is within the brackets of an address. */
static size_t host_len(struct slice authority)
{
	const char *colon = authority.len ? memrchr(authority.ptr, ':', authority.len) : NULL;

	return colon && authority.ptr[0] != '[' ? (size_t)(colon - authority.ptr) : authority.len;
}

bool tls_is_misdirected(const struct stream *st, struct slice authority)
{
	return tls_server_is_misdirected(st->tls->server, st->tls->server_name, authority.ptr,
					 host_len(authority));
}

bool tls_was_resumed(const struct stream *st)
{
	return st->tls->was_resumed;
}

void tls_count_stapled(const struct stream *st, struct service_counters *n)
{
	enum tls_stapled what = st->tls->stapled;

	if (what == TLS_STAPLED_RESPONSE)
		counter_add(&n->ocsp_stapled, 1);
	else if (what == TLS_STAPLED_WITHHELD)
		counter_add(&n->ocsp_withheld, 1);
}

/* Bytes that OpenSSL has or could have at once; or a record of ours. */
static bool has_raw(const struct tls *t)
{
	return t->ssl ? buf_len(&t->raw_in) || SSL_pending(t->ssl) > 0 : tls_record_is_here(t);
}

bool tls_has_pending(const struct tls *t)
{
	return has_raw(t) || t->is_failed || t->peer_ended;
}

/* As SSL_read_ex(), which itself goes on with the handshake when all early bytes are read. */
static int decrypt_early(struct tls *t, void *data, size_t len, size_t *ret_n)
{
	int done;

	if (t->early == EARLY_COMES) {
		done = read_early(t, data, len, ret_n);
		if (done >= 0)
			return done;
		t->early = EARLY_CAME;
	}
	done = SSL_read_ex(t->ssl, data, len, ret_n);
	if (SSL_is_init_finished(t->ssl))
		t->early = EARLY_NOT;
	return done;
}

/* With the first data of a connection, as many end without any: checks of health, and who goes on
 * elsewhere. OpenSSL is left the end of those, and who sends less than the header of a record at first. */
static void take_over(struct tls *t, bool is_data)
{
	t->takes_over = false;
	if (is_data)
		tls_record_begin(t);
	else
		drop_handover(t);
}

/* Decrypt. Bytes; 0: what there is makes no whole record; -EPROTO: failed, or the peer's end. */
static ssize_t decrypt(struct tls *t, void *data, size_t len)
{
	size_t n;
	int done;

	if (t->takes_over)
		take_over(t,
			  buf_len(&t->raw_in) >= TLS_RECORD_HEADER && !tls_record_may_be_alert(t));
	if (!t->ssl)
		return tls_record_read(t, data, len);
	ERR_clear_error();
	done = t->early ? decrypt_early(t, data, len, &n) : SSL_read_ex(t->ssl, data, len, &n);
	if (done == 1)
		return (ssize_t)n;
	switch (SSL_get_error(t->ssl, 0)) {
	case SSL_ERROR_WANT_READ: return 0;
	case SSL_ERROR_ZERO_RETURN: t->peer_ended = true; return -EPROTO;
	default: return fail(t);
	}
}

ssize_t tls_read(struct tls *t, void *data, size_t len, bool *ret_more)
{
	bool filled = false, full = false;
	size_t got = 0;

	while (got < len && !t->peer_ended && !t->is_failed) {
		ssize_t n;

		if (!has_raw(t)) {
			if (filled || got)
				break;
			n = fill(t);
			if (n == -EAGAIN && t->cut)
				return t->cut;
			if (n <= 0)
				return n ? n : -ECONNRESET;
			filled = true;
			full = !buf_room(&t->raw_in);
		}
		n = decrypt(t, (char *)data + got, len - got);
		if (n > 0)
			got += (size_t)n;
	}
	/* Answers to what is no data: the socket is asked for room where it has none. */
	(void)tls_send(t);
	*ret_more = full || tls_has_pending(t);
	if (got)
		return (ssize_t)got;
	if (t->peer_ended)
		return 0;
	return t->is_failed ? -EPROTO : -EAGAIN;
}

/* The plaintext of one record in one piece: in place, or put together in *joined. */
static struct slice next_record(struct tls *t, const struct iovec *iov, size_t count, size_t skip,
				struct buf *joined)
{
	struct slice first = {(const char *)iov->iov_base + skip, iov->iov_len - skip};

	if (first.len >= RECORD_MAX || count == 1)
		return (struct slice){first.ptr, first.len < RECORD_MAX ? first.len : RECORD_MAX};
	joined->start = joined->end = 0; /* of the record before */
	if (buf_reserve(t->st->pool, joined, RECORD_MAX) < 0)
		return first;
	for (size_t i = 0; i < count && joined->end < RECORD_MAX; i++) {
		size_t from = i ? 0 : skip, n = iov[i].iov_len - from;

		if (n > RECORD_MAX - joined->end)
			n = RECORD_MAX - joined->end;
		memcpy(joined->data + joined->end, (const char *)iov[i].iov_base + from, n);
		joined->end += (uint32_t)n;
	}
	return (struct slice){joined->data, joined->end};
}

/* Where bytes n further on are. */
static void advance(const struct iovec **iov, size_t *count, size_t *skip, size_t n)
{
	*skip += n;
	while (*count && *skip >= (*iov)->iov_len) {
		*skip -= (*iov)->iov_len;
		(*iov)++;
		(*count)--;
	}
}

/* Who has not shown yet that it is no replay gets its answer all the same: it alone can read it. */
static int encrypt(struct tls *t, struct slice s, size_t *ret_n)
{
	return t->early ? SSL_write_early_data(t->ssl, s.ptr, s.len, ret_n)
			: SSL_write_ex(t->ssl, s.ptr, s.len, ret_n);
}

ssize_t tls_write(struct tls *t, const struct iovec *iov, size_t count)
{
	size_t skip = 0, written = 0;
	struct buf joined = {0};
	ssize_t err;

	if (t->takes_over)
		take_over(t, true);
	if (!t->ssl)
		return tls_record_write(t, iov, count);
	err = t->is_failed ? -EPROTO : tls_send(t);
	while (err == 0 && count) {
		while (count && buf_len(&t->raw_out) + RECORD_MAX + RECORD_OVERHEAD <= BUF_LARGE) {
			struct slice s = next_record(t, iov, count, skip, &joined);
			size_t n;

			if (s.len + RECORD_OVERHEAD > BUF_SMALL / 2 && !t->raw_out.data)
				(void)buf_reserve(t->st->pool, &t->raw_out, BUF_LARGE);
			ERR_clear_error();
			if (encrypt(t, s, &n) != 1) {
				err = fail(t);
				break;
			}
			written += n;
			advance(&iov, &count, &skip, n);
		}
		if (err == 0)
			err = tls_send(t);
	}
	buf_release(t->st->pool, &joined);
	return err < 0 && (err != -EAGAIN || !written) ? err : (ssize_t)written;
}

bool tls_is_blocked(const struct tls *t)
{
	return buf_len(&t->raw_out) > 0;
}

void tls_flush(struct tls *t)
{
	(void)tls_send(t); /* an error is what the next read or write finds, too */
}

void tls_end(struct tls *t)
{
	char rest[256];
	bool more;

	if (t->early) /* the end of the handshake may be here: nothing can be said before it */
		(void)tls_read(t, rest, sizeof(rest), &more);
	if (t->is_ended || t->is_failed || (t->ssl && !SSL_is_init_finished(t->ssl)))
		return;
	t->is_ended = true;
	if (t->ssl) {
		ERR_clear_error();
		(void)SSL_shutdown(t->ssl);
		ERR_clear_error();
	} else {
		tls_record_end(t);
	}
	(void)tls_send(t);
}

void tls_free(struct tls *t)
{
	if (!t)
		return;
	list_unlink(&t->node);
	/* Else OpenSSL holds its session to be broken, and it could not be resumed. */
	if (t->ssl && !t->is_failed)
		SSL_set_shutdown(t->ssl, SSL_SENT_SHUTDOWN | SSL_RECEIVED_SHUTDOWN);
	drop_handover(t);
	SSL_free(t->ssl);
	tls_server_unref(t->server);
	free(t->subject);
	free(t->server_name);
	free(t->session_id);
	buf_release(t->st->pool, &t->raw_in);
	buf_release(t->st->pool, &t->raw_out);
	free(t);
}
