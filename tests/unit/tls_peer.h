/* SPDX-License-Identifier: BSD-2-Clause */
/* A client of OpenSSL's in memory, and a server whose records are taken over. */
#ifndef TESTS_TLS_PEER_H
#define TESTS_TLS_PEER_H

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "tls/handover.h"
#include "tls/provider.h"

#define WIRE_MAX 65536

struct suite {
	const char *name;
	int version;
	const char *kind; /* of the key */
	long options;	  /* of the client */
};

struct peers {
	SSL_CTX *client_ctx, *server_ctx;
	SSL *client, *server;
	BIO *to_client, *to_server;
	struct tls_handover h;
	struct tls_ciphers ciphers;
	SSL_SESSION *session;
};

static void certify(SSL_CTX *ctx, const char *kind)
{
	EVP_PKEY *key = strcmp(kind, "RSA") ? EVP_EC_gen("P-256") : EVP_RSA_gen(2048);
	X509 *x = X509_new();
	X509_NAME *name = X509_get_subject_name(x);

	assert_non_null(key);
	assert_true(
		X509_set_version(x, 2) && X509_set_pubkey(x, key) &&
		ASN1_INTEGER_set(X509_get_serialNumber(x), 1) &&
		X509_gmtime_adj(X509_getm_notBefore(x), 0) &&
		X509_gmtime_adj(X509_getm_notAfter(x), 3600) &&
		X509_NAME_add_entry_by_txt(name, "CN", MBSTRING_ASC, (void *)"test", -1, -1, 0) &&
		X509_set_issuer_name(x, name) && X509_sign(x, key, EVP_sha256()));
	assert_int_equal(SSL_CTX_use_certificate(ctx, x), 1);
	assert_int_equal(SSL_CTX_use_PrivateKey(ctx, key), 1);
	X509_free(x);
	EVP_PKEY_free(key);
}

static int keep_session(SSL *ssl, SSL_SESSION *session)
{
	struct peers *p = SSL_get_app_data(ssl);

	SSL_SESSION_free(p->session);
	p->session = session;
	return 1;
}

static void peers_prepare(struct peers *p, const struct suite *s)
{
	memset(p, 0, sizeof(*p));
	assert_true(tls_ciphers_init(&p->ciphers));
	p->client_ctx = SSL_CTX_new(TLS_client_method());
	p->server_ctx = SSL_CTX_new_ex(NULL, TLS_PROVIDER_PROPERTIES, TLS_server_method());
	assert_true(SSL_CTX_set_min_proto_version(p->client_ctx, s->version) &&
		    SSL_CTX_set_max_proto_version(p->client_ctx, s->version));
	if (s->version == TLS1_3_VERSION)
		assert_true(SSL_CTX_set_ciphersuites(p->client_ctx, s->name));
	else
		assert_true(SSL_CTX_set_cipher_list(p->client_ctx, s->name));
	SSL_CTX_set_options(p->client_ctx, (uint64_t)s->options);
	SSL_CTX_set_session_cache_mode(p->client_ctx, SSL_SESS_CACHE_CLIENT);
	SSL_CTX_sess_set_new_cb(p->client_ctx, keep_session);
	certify(p->server_ctx, s->kind);
	SSL_CTX_set_session_id_context(p->server_ctx, (const unsigned char *)"test", 4);
}

/* All that the server has to say goes to the client. */
static void carry(struct peers *p, BIO *from)
{
	unsigned char wire[WIRE_MAX];
	int n = BIO_read(from, wire, sizeof(wire));

	if (n <= 0)
		return;
	tls_handover_note(&p->h, wire, (size_t)n);
	assert_int_equal(BIO_write(p->to_client, wire, n), n);
}

/* Shake hands. Does what tls_handover_take() does. */
static bool peers_connect(struct peers *p)
{
	BIO *from_server = BIO_new(BIO_s_mem());
	bool taken;

	p->client = SSL_new(p->client_ctx);
	p->server = SSL_new(p->server_ctx);
	p->to_client = BIO_new(BIO_s_mem());
	p->to_server = BIO_new(BIO_s_mem());
	BIO_set_mem_eof_return(p->to_client, -1);
	BIO_set_mem_eof_return(p->to_server, -1);
	BIO_up_ref(p->to_server);
	SSL_set_bio(p->client, p->to_client, p->to_server);
	SSL_set_bio(p->server, p->to_server, from_server);
	SSL_set_app_data(p->client, p);
	SSL_set_connect_state(p->client);
	SSL_set_accept_state(p->server);
	if (p->session)
		assert_int_equal(SSL_set_session(p->client, p->session), 1);
	memset(&p->h, 0, sizeof(p->h));
	tls_handover_begin(&p->h, p->server, &p->ciphers);
	for (int i = 0; i < 4; i++) {
		(void)SSL_do_handshake(p->client);
		tls_handover_watch(&p->h);
		(void)SSL_do_handshake(p->server);
		tls_handover_watch(NULL);
		carry(p, from_server);
	}
	assert_true(SSL_is_init_finished(p->client) && SSL_is_init_finished(p->server));
	taken = tls_handover_take(&p->h, p->server);
	BIO_up_ref(p->to_server); /* the server's is freed */
	SSL_set_shutdown(p->server, SSL_SENT_SHUTDOWN | SSL_RECEIVED_SHUTDOWN);
	SSL_free(p->server);
	p->server = NULL;
	return taken;
}

static void peers_part(struct peers *p)
{
	tls_traffic_wipe(&p->h.traffic);
	SSL_free(p->client);
	BIO_free(p->to_server);
	p->client = NULL;
}

static void peers_free(struct peers *p)
{
	SSL_SESSION_free(p->session);
	SSL_CTX_free(p->client_ctx);
	SSL_CTX_free(p->server_ctx);
	tls_ciphers_deinit(&p->ciphers);
}

#endif
