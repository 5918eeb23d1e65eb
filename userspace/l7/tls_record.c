/* SPDX-License-Identifier: BSD-2-Clause */
/* A server's connection when the handshake is done, without OpenSSL's object: see tls_int.h. */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "l7/tls_int.h"

/* Behind the header: level, description, type, tag (RFC 8446, 5.2). */
#define TLS_ALERT_13 (2 + 1 + TLS_RECORD_TAG)

/* Of TLS 1.2: who has a session of ours by its id may not go on with it when this connection fails
 * (RFC 5246, 7.2.2). False: no memory. */
static bool note_session(struct tls *t)
{
	unsigned len;
	const unsigned char *id = SSL_SESSION_get_id(SSL_get_session(t->ssl), &len);

	if (SSL_version(t->ssl) > TLS1_2_VERSION || !len)
		return true;
	t->session_id = malloc(len);
	if (!t->session_id)
		return false;
	memcpy(t->session_id, id, len);
	t->session_id_len = (uint8_t)len;
	return true;
}

void tls_record_begin(struct tls *t)
{
	if (!note_session(t))
		return;
	if (!tls_handover_take(t->handover, t->ssl)) {
		free(t->handover);
		t->handover = NULL;
		return;
	}
	/* Else its session could not be resumed. */
	SSL_set_shutdown(t->ssl, SSL_SENT_SHUTDOWN | SSL_RECEIVED_SHUTDOWN);
	SSL_free(t->ssl);
	t->ssl = NULL;
}

static const unsigned char *record_head(const struct tls *t)
{
	return (const unsigned char *)buf_head(&t->raw_in);
}

bool tls_record_may_be_alert(const struct tls *t)
{
	const unsigned char *head = record_head(t);

	if (SSL_version(t->ssl) < TLS1_3_VERSION)
		return head[0] != SSL3_RT_APPLICATION_DATA;
	return head[3] == 0 && head[4] <= TLS_ALERT_13;
}

/* Of the record that begins raw_in, or -alert; 0: not known yet. */
static int next_size(const struct tls *t)
{
	return buf_len(&t->raw_in) < TLS_RECORD_HEADER
		       ? 0
		       : tls_record_size(&t->handover->traffic.in, record_head(t));
}

bool tls_record_is_here(const struct tls *t)
{
	int size = t->plain ? -1 : next_size(t);

	return size < 0 || (size > 0 && (size_t)size <= buf_len(&t->raw_in));
}

size_t tls_record_missing(const struct tls *t)
{
	int size = next_size(t);

	return (size > 0 ? (size_t)size : TLS_RECORD_HEADER) - buf_len(&t->raw_in);
}

/* ---- failures ------------------------------------------------------------------------------ */

static void put_alert(struct tls *t, uint8_t level, uint8_t alert)
{
	if (!t->cut && buf_reserve(t->st->pool, &t->raw_out, TLS_ALERT_ROOM) == 0)
		t->raw_out.end += (uint32_t)tls_traffic_alert(&t->handover->traffic, level, alert,
							      (unsigned char *)t->raw_out.data +
								      t->raw_out.end);
}

static int fail(struct tls *t, const char *why)
{
	t->is_failed = true;
	t->failure = why;
	if (t->session_id)
		tls_server_forget_session(t->server, t->session_id, t->session_id_len);
	(void)tls_send(t); /* nobody waits for it */
	return -EPROTO;
}

static int fail_with(struct tls *t, uint8_t alert)
{
	put_alert(t, SSL3_AL_FATAL, alert);
	return fail(t, SSL_alert_desc_string_long(alert));
}

void tls_record_end(struct tls *t)
{
	put_alert(t, SSL3_AL_WARNING, SSL_AD_CLOSE_NOTIFY);
}

/* ---- reading ------------------------------------------------------------------------------- */

static ssize_t take_plain(struct tls *t, void *data, size_t len)
{
	size_t n = t->plain < len ? t->plain : len;

	memcpy(data, buf_head(&t->raw_in), n);
	t->plain -= (uint32_t)n;
	if (!t->plain) {
		buf_consume(t->st->pool, &t->raw_in, n + t->behind);
		t->behind = 0;
	} else {
		buf_consume(t->st->pool, &t->raw_in, n);
	}
	return (ssize_t)n;
}

/* Without a copy where there is room for what is in the record. */
static int open_next(struct tls *t, void *data, size_t len, size_t size, uint8_t *ret_alert)
{
	struct tls_traffic *traffic = &t->handover->traffic;
	size_t at = tls_record_text(&traffic->in);
	unsigned char *record = (unsigned char *)t->raw_in.data + t->raw_in.start;
	bool fits = tls_record_room(&traffic->in, size) <= len;
	int n = tls_traffic_take(traffic, record, size, fits ? data : record + at, ret_alert);

	if (fits || n <= 0) {
		buf_consume(t->st->pool, &t->raw_in, size);
		return n;
	}
	buf_consume(t->st->pool, &t->raw_in, at);
	t->plain = (uint32_t)n;
	t->behind = (uint32_t)(size - at) - t->plain;
	return (int)take_plain(t, data, len);
}

ssize_t tls_record_read(struct tls *t, void *data, size_t len)
{
	int size, n;
	uint8_t alert;

	if (t->plain)
		return take_plain(t, data, len);
	size = next_size(t);
	if (size < 0)
		return fail_with(t, (uint8_t)-size);
	if (!size || (size_t)size > buf_len(&t->raw_in))
		return 0;
	n = open_next(t, data, len, (size_t)size, &alert);
	switch (n) {
	case TLS_HEARD_NOTHING: return 0;
	case TLS_HEARD_END: t->peer_ended = true; return -EPROTO;
	case TLS_HEARD_ALERT: return fail(t, "the peer sent an alert");
	case TLS_HEARD_BAD: return fail_with(t, alert);
	default: return n;
	}
}

/* ---- writing ------------------------------------------------------------------------------- */

bool tls_record_answer(struct tls *t)
{
	struct tls_traffic *traffic = &t->handover->traffic;
	size_t n;

	if (t->is_failed || t->is_ended || !tls_traffic_owes(traffic) ||
	    buf_reserve(t->st->pool, &t->raw_out, TLS_ANSWER_ROOM) < 0)
		return false;
	n = tls_traffic_answer(traffic, (unsigned char *)t->raw_out.data + t->raw_out.end);
	t->raw_out.end += (uint32_t)n;
	if (!n) {
		buf_release(t->st->pool, &t->raw_out);
		t->is_failed = true;
		t->failure = "no memory";
	}
	return n > 0;
}

struct source {
	const struct iovec *iov;
	size_t count, skip; /* of iov[0] */
};

/* Up to a record's worth of what is left. */
static size_t next_len(const struct source *s)
{
	size_t len = 0;

	for (size_t i = 0; i < s->count && len < TLS_RECORD_MAX; i++)
		len += s->iov[i].iov_len - (i ? 0 : s->skip);
	return len < TLS_RECORD_MAX ? len : TLS_RECORD_MAX;
}

static void gather(const struct source *s, unsigned char *out, size_t len)
{
	for (size_t i = 0; len; i++) {
		size_t from = i ? 0 : s->skip, n = s->iov[i].iov_len - from;

		if (n > len)
			n = len;
		memcpy(out, (const char *)s->iov[i].iov_base + from, n);
		out += n;
		len -= n;
	}
}

static void advance(struct source *s, size_t n)
{
	s->skip += n;
	while (s->count && s->skip >= s->iov->iov_len) {
		s->skip -= s->iov->iov_len;
		s->iov++;
		s->count--;
	}
}

/* One record. Bytes of s that are in it; or -errno. */
static ssize_t put_record(struct tls *t, const struct source *s)
{
	struct tls_traffic *traffic = &t->handover->traffic;
	size_t len = next_len(s), room = len + TLS_RECORD_OVERHEAD, sealed;
	unsigned char *out, *body;

	if (room > BUF_SMALL / 2 && !t->raw_out.data)
		room = BUF_LARGE;
	if (buf_reserve(t->st->pool, &t->raw_out, room) < 0)
		return -ENOMEM;
	out = (unsigned char *)t->raw_out.data + t->raw_out.end;
	body = out + tls_record_text(&traffic->out);
	if (s->iov->iov_len - s->skip >= len) {
		sealed = tls_seal(traffic->ciphers, &traffic->out, SSL3_RT_APPLICATION_DATA,
				  (const char *)s->iov->iov_base + s->skip, len, out);
	} else {
		gather(s, body, len);
		sealed = tls_seal(traffic->ciphers, &traffic->out, SSL3_RT_APPLICATION_DATA, body,
				  len, out);
	}
	if (!sealed) {
		t->is_failed = true;
		return -ENOMEM;
	}
	t->raw_out.end += (uint32_t)sealed;
	return (ssize_t)len;
}

ssize_t tls_record_write(struct tls *t, const struct iovec *iov, size_t count)
{
	struct source s = {iov, count, 0};
	size_t written = 0;
	ssize_t err = t->is_failed ? -EPROTO : tls_send(t);

	advance(&s, 0); /* the first ones may be empty */
	while (err == 0 && s.count) {
		while (s.count &&
		       buf_len(&t->raw_out) + TLS_RECORD_MAX + TLS_RECORD_OVERHEAD <= BUF_LARGE) {
			ssize_t n = put_record(t, &s);

			if (n < 0) {
				err = n;
				break;
			}
			written += (size_t)n;
			advance(&s, (size_t)n);
		}
		if (err == 0)
			err = tls_send(t);
	}
	return err < 0 && (err != -EAGAIN || !written) ? err : (ssize_t)written;
}
