/* SPDX-License-Identifier: BSD-2-Clause */
/* What is said in records: see traffic.h. */
#include "tls/traffic.h"

#include <openssl/crypto.h>
#include <openssl/ssl.h>
#include <string.h>

#define MESSAGE_HEADER 4
#define HELLO_MAX      131072U /* bytes; no ClientHello of any use is longer */

static int bad(uint8_t alert, uint8_t *ret_alert)
{
	*ret_alert = alert;
	return TLS_HEARD_BAD;
}

static int heed_alert(const struct tls_traffic *t, const unsigned char *content, size_t len,
		      uint8_t *ret_alert)
{
	if (len != 2)
		return bad(SSL_AD_DECODE_ERROR, ret_alert);
	if (content[1] == SSL_AD_CLOSE_NOTIFY)
		return TLS_HEARD_END;
	if (t->in.is_13)
		return content[1] == SSL_AD_USER_CANCELLED ? TLS_HEARD_NOTHING : TLS_HEARD_ALERT;
	if (content[0] == SSL3_AL_FATAL)
		return TLS_HEARD_ALERT;
	if (content[0] != SSL3_AL_WARNING)
		return bad(SSL_AD_ILLEGAL_PARAMETER, ret_alert);
	return content[1] == SSL_AD_NO_RENEGOTIATION /* we asked for none */
		       ? bad(SSL_AD_HANDSHAKE_FAILURE, ret_alert)
		       : TLS_HEARD_NOTHING;
}

/* The message's header is here. */
static int begin_message(struct tls_traffic *t, uint8_t *ret_alert)
{
	const unsigned char *m = t->message;
	uint32_t len = (uint32_t)m[1] << 16 | (uint32_t)m[2] << 8 | m[3];

	if (t->in.is_13) {
		if (m[0] != SSL3_MT_KEY_UPDATE)
			return bad(SSL_AD_UNEXPECTED_MESSAGE, ret_alert);
		return len == 1 ? TLS_HEARD_NOTHING : bad(SSL_AD_DECODE_ERROR, ret_alert);
	}
	if (m[0] != SSL3_MT_CLIENT_HELLO)
		return bad(SSL_AD_UNEXPECTED_MESSAGE, ret_alert);
	if (len > HELLO_MAX)
		return bad(SSL_AD_ILLEGAL_PARAMETER, ret_alert);
	t->owes_refusal = true;
	t->skip = len;
	t->message_len = 0;
	return TLS_HEARD_NOTHING;
}

/* A KeyUpdate is here, and left bytes behind it, which would be of the new key. */
static int update(struct tls_traffic *t, size_t left, uint8_t *ret_alert)
{
	uint8_t request = t->message[MESSAGE_HEADER];

	t->message_len = 0;
	if (request != SSL_KEY_UPDATE_REQUESTED && request != SSL_KEY_UPDATE_NOT_REQUESTED)
		return bad(SSL_AD_ILLEGAL_PARAMETER, ret_alert);
	if (left)
		return bad(SSL_AD_UNEXPECTED_MESSAGE, ret_alert);
	if (!tls_keys_update(t->ciphers, &t->in))
		return bad(SSL_AD_INTERNAL_ERROR, ret_alert);
	t->owes_update |= request == SSL_KEY_UPDATE_REQUESTED;
	return TLS_HEARD_NOTHING;
}

/* Messages may be in pieces, or several in one record. */
static int heed_handshake(struct tls_traffic *t, const unsigned char *content, size_t len,
			  uint8_t *ret_alert)
{
	int heard = TLS_HEARD_NOTHING;

	while (len && heard == TLS_HEARD_NOTHING) {
		size_t n = t->skip < len ? t->skip : len;

		t->skip -= (uint32_t)n;
		content += n;
		len -= n;
		if (!len)
			break;
		t->message[t->message_len++] = *content++;
		len--;
		if (t->message_len == MESSAGE_HEADER)
			heard = begin_message(t, ret_alert);
		else if (t->message_len > MESSAGE_HEADER)
			heard = update(t, len, ret_alert);
	}
	return heard;
}

static int heed(struct tls_traffic *t, uint8_t type, const unsigned char *content, size_t len,
		uint8_t *ret_alert)
{
	if (type != SSL3_RT_HANDSHAKE && (t->message_len || t->skip))
		return bad(SSL_AD_UNEXPECTED_MESSAGE, ret_alert);
	if (type == SSL3_RT_APPLICATION_DATA)
		return len ? (int)len : TLS_HEARD_NOTHING;
	if (!len)
		return bad(SSL_AD_UNEXPECTED_MESSAGE, ret_alert);
	switch (type) {
	case SSL3_RT_ALERT: return heed_alert(t, content, len, ret_alert);
	case SSL3_RT_HANDSHAKE: return heed_handshake(t, content, len, ret_alert);
	default: return bad(SSL_AD_UNEXPECTED_MESSAGE, ret_alert);
	}
}

int tls_traffic_take(struct tls_traffic *t, const unsigned char *record, size_t size,
		     unsigned char *out, uint8_t *ret_alert)
{
	uint8_t type;
	int heard = tls_open(t->ciphers, &t->in, record, size, out, &type);

	if (heard < 0)
		return bad((uint8_t)-heard, ret_alert);
	heard = heed(t, type, out, (size_t)heard, ret_alert);
	if (heard > 0)
		t->useless = 0;
	else if (heard == TLS_HEARD_NOTHING && ++t->useless > TLS_USELESS_MAX)
		return bad(SSL_AD_UNEXPECTED_MESSAGE, ret_alert);
	return heard;
}

size_t tls_traffic_alert(struct tls_traffic *t, uint8_t level, uint8_t alert,
			 unsigned char out[TLS_ALERT_ROOM])
{
	const unsigned char text[] = {level, alert};

	return tls_seal(t->ciphers, &t->out, SSL3_RT_ALERT, text, sizeof(text), out);
}

size_t tls_traffic_answer(struct tls_traffic *t, unsigned char out[TLS_ANSWER_ROOM])
{
	static const unsigned char key_update[] = {SSL3_MT_KEY_UPDATE, 0, 0, 1,
						   SSL_KEY_UPDATE_NOT_REQUESTED};
	size_t n;

	if (t->owes_refusal) {
		t->owes_refusal = false;
		return tls_traffic_alert(t, SSL3_AL_WARNING, SSL_AD_NO_RENEGOTIATION, out);
	}
	t->owes_update = false;
	n = tls_seal(t->ciphers, &t->out, SSL3_RT_HANDSHAKE, key_update, sizeof(key_update), out);
	return n && tls_keys_update(t->ciphers, &t->out) ? n : 0;
}

void tls_traffic_wipe(struct tls_traffic *t)
{
	tls_keys_wipe(t->ciphers, &t->in);
	tls_keys_wipe(t->ciphers, &t->out);
}
