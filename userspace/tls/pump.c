/* SPDX-License-Identifier: BSD-2-Clause */
/* TLS over memory: see pump.h. */
#include "tls/pump.h"

#include <errno.h>
#include <openssl/err.h>
#include <openssl/x509.h>
#include <stdlib.h>

#include "tls/client.h"

struct tls_pump {
	struct tls_client *client;
	struct tls_session session; /* of nobody: none is kept */
	SSL *ssl;
	BIO *in, *out; /* of ssl */
	const char *failure;
};

struct tls_pump *tls_pump_new(struct tls_client *c, const struct addr *addr)
{
	struct tls_pump *p = calloc(1, sizeof(*p));

	if (!p)
		return NULL;
	p->client = tls_client_ref(c);
	p->ssl = tls_client_connection(c, addr, &p->session);
	p->in = BIO_new(BIO_s_mem());
	p->out = BIO_new(BIO_s_mem());
	if (!p->ssl || !p->in || !p->out) {
		BIO_free(p->in);
		BIO_free(p->out);
		tls_pump_free(p);
		return NULL;
	}
	BIO_set_mem_eof_return(p->in, -1); /* more may come */
	SSL_set_bio(p->ssl, p->in, p->out);
	return p;
}

void tls_pump_free(struct tls_pump *p)
{
	if (!p)
		return;
	SSL_free(p->ssl);
	tls_client_unref(p->client);
	free(p);
}

int tls_pump_feed(struct tls_pump *p, const char *data, size_t len)
{
	return BIO_write(p->in, data, (int)len) == (int)len ? 0 : -ENOMEM;
}

static int fail(struct tls_pump *p)
{
	long verified = SSL_get_verify_result(p->ssl);
	const char *text = ERR_reason_error_string(ERR_peek_error());

	if (verified != X509_V_OK && SSL_get_verify_mode(p->ssl) != SSL_VERIFY_NONE)
		text = X509_verify_cert_error_string(verified);
	p->failure = text ? text : "failed";
	ERR_clear_error();
	return -EPROTO;
}

int tls_pump_handshake(struct tls_pump *p)
{
	int done;

	ERR_clear_error();
	done = SSL_do_handshake(p->ssl);
	if (done == 1)
		return 1;
	return SSL_get_error(p->ssl, done) == SSL_ERROR_WANT_READ ? 0 : fail(p);
}

ssize_t tls_pump_read(struct tls_pump *p, char *data, size_t len)
{
	size_t n;

	ERR_clear_error();
	if (SSL_read_ex(p->ssl, data, len, &n) == 1)
		return (ssize_t)n;
	switch (SSL_get_error(p->ssl, 0)) {
	case SSL_ERROR_WANT_READ: return 0;
	case SSL_ERROR_ZERO_RETURN: return -EPIPE;
	default: return fail(p);
	}
}

int tls_pump_write(struct tls_pump *p, const char *data, size_t len)
{
	size_t n;

	ERR_clear_error();
	return SSL_write_ex(p->ssl, data, len, &n) == 1 && n == len ? 0 : fail(p);
}

void tls_pump_end(struct tls_pump *p)
{
	(void)SSL_shutdown(p->ssl); /* nobody waits for the peer's word */
	ERR_clear_error();
}

size_t tls_pump_output(struct tls_pump *p, const char **ret_data)
{
	char *data;
	long len = BIO_get_mem_data(p->out, &data);

	*ret_data = data;
	return len > 0 ? (size_t)len : 0;
}

void tls_pump_drop_output(struct tls_pump *p)
{
	(void)BIO_reset(p->out); /* always 1 of memory */
}

const char *tls_pump_failure(const struct tls_pump *p)
{
	return p->failure;
}
