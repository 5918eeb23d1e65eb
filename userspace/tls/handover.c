/* SPDX-License-Identifier: BSD-2-Clause */
/* Taking over from OpenSSL: see handover.h. */
#include "tls/handover.h"

#include <openssl/crypto.h>
#include <string.h>

static void on_message(int is_written, int version, int type, const void *data, size_t len,
		       SSL *ssl, void *arg)
{
	struct tls_handover *h = arg;

	(void)version;
	(void)data;
	(void)len;
	(void)ssl;
	if (type != SSL3_RT_HEADER)
		return;
	if (is_written)
		h->records_out += h->secrets.has_out;
	else
		h->records_in += h->secrets.has_in;
}

void tls_handover_begin(struct tls_handover *h, SSL *ssl, struct tls_ciphers *ciphers)
{
	h->traffic.ciphers = ciphers;
	h->traffic.out.is_sealing = true;
	SSL_set_msg_callback(ssl, on_message);
	SSL_set_msg_callback_arg(ssl, h);
}

void tls_handover_note(struct tls_handover *h, const void *data, size_t len)
{
	const unsigned char *from = data;
	size_t keep;

	if (len > sizeof(h->tail)) {
		from += len - sizeof(h->tail);
		len = sizeof(h->tail);
	}
	keep = h->tail_len + len > sizeof(h->tail) ? sizeof(h->tail) - len : h->tail_len;
	memmove(h->tail, h->tail + h->tail_len - keep, keep);
	memcpy(h->tail + keep, from, len);
	h->tail_len = (uint8_t)(keep + len);
}

/* The nonce of the record that a server of TLS 1.2 with AES-GCM has sealed Finished in, which is the
 * last one of a handshake and the first one with its key: none may be used twice. */
static bool read_nonce(const struct tls_handover *h, uint64_t *ret_nonce)
{
	static const unsigned char header[TLS_RECORD_HEADER] = {
		SSL3_RT_HANDSHAKE, TLS1_2_VERSION_MAJOR, TLS1_2_VERSION_MINOR, 0,
		TLS_FINISHED_12 - TLS_RECORD_HEADER};

	*ret_nonce = 0;
	for (size_t i = 0; i < TLS_RECORD_EXPLICIT; i++)
		*ret_nonce = *ret_nonce << 8 | h->tail[TLS_RECORD_HEADER + i];
	return h->tail_len == sizeof(h->tail) && !memcmp(h->tail, header, sizeof(header));
}

static bool take_12(struct tls_handover *h, SSL *ssl, enum tls_aead aead)
{
	unsigned char master[SSL_MAX_MASTER_KEY_LENGTH];
	struct tls_keys_12 from = {.master = master};
	uint64_t nonce = 0;
	bool ok;

	if (aead != TLS_CHACHA20_POLY1305 && !read_nonce(h, &nonce))
		return false;
	from.explicit_nonce = nonce + 1;
	from.master_len = SSL_SESSION_get_master_key(SSL_get_session(ssl), master, sizeof(master));
	ok = from.master_len > 0 &&
	     SSL_get_client_random(ssl, from.client_random, TLS_RANDOM_LEN) == TLS_RANDOM_LEN &&
	     SSL_get_server_random(ssl, from.server_random, TLS_RANDOM_LEN) == TLS_RANDOM_LEN &&
	     tls_keys_init_12(&h->traffic.in, &h->traffic.out, aead, &from);
	OPENSSL_cleanse(master, sizeof(master));
	return ok;
}

static bool take_13(struct tls_handover *h, enum tls_aead aead)
{
	struct tls_traffic *t = &h->traffic;

	if (!h->secrets.has_in || !h->secrets.has_out || h->records_in ||
	    !tls_keys_init_13(&t->in, aead, h->secrets.in) ||
	    !tls_keys_init_13(&t->out, aead, h->secrets.out))
		return false;
	t->out.sequence = h->records_out; /* tickets */
	return true;
}

static bool take(struct tls_handover *h, SSL *ssl)
{
	const SSL_CIPHER *cipher = SSL_get_current_cipher(ssl);
	enum tls_aead aead;

	if (!cipher || !tls_aead_of(SSL_CIPHER_get_protocol_id(cipher), &aead) ||
	    SSL_has_pending(ssl) ||
	    SSL_SESSION_get_max_fragment_length(SSL_get_session(ssl)) !=
		    TLSEXT_max_fragment_length_DISABLED)
		return false;
	switch (SSL_version(ssl)) {
	case TLS1_3_VERSION: return take_13(h, aead);
	case TLS1_2_VERSION: return take_12(h, ssl, aead);
	default: return false;
	}
}

bool tls_handover_take(struct tls_handover *h, SSL *ssl)
{
	if (!take(h, ssl)) {
		tls_handover_cancel(h, ssl);
		return false;
	}
	SSL_set_msg_callback(ssl, NULL);
	OPENSSL_cleanse(&h->secrets, sizeof(h->secrets));
	return true;
}

void tls_handover_cancel(struct tls_handover *h, SSL *ssl)
{
	if (ssl) {
		SSL_set_msg_callback(ssl, NULL);
	}
	OPENSSL_cleanse(&h->secrets, sizeof(h->secrets));
	tls_traffic_wipe(&h->traffic);
}
