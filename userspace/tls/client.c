/* SPDX-License-Identifier: BSD-2-Clause */
/* Contexts towards backends: see client.h. */
#include "tls/client.h"

#include <errno.h>
#include <openssl/x509v3.h>
#include <stdlib.h>
#include <string.h>

#include "tls/context.h"

struct tls_client {
	struct tls_client_conf conf; /* with references, and a copy of the name */
	SSL_CTX *ctx;
	unsigned refs;
};

void tls_session_forget(struct tls_session *s)
{
	SSL_SESSION_free(s->newest);
	s->newest = NULL;
}

/* 1: the reference is ours now. */
static int on_session(SSL *ssl, SSL_SESSION *session)
{
	struct tls_session *s = SSL_get_app_data(ssl);

	/* A connection may be older than the way that the backend is spoken to now. */
	if (s->of != SSL_CTX_get_app_data(SSL_get_SSL_CTX(ssl)))
		return 0;
	tls_session_forget(s);
	s->newest = session;
	return 1;
}

static bool fill_context(struct tls_client *c)
{
	static const unsigned char http1[] = "\x08http/1.1", http2[] = "\x02h2";
	const unsigned char *alpn = c->conf.http2 ? http2 : http1;
	unsigned alpn_len = (c->conf.http2 ? sizeof(http2) : sizeof(http1)) - 1;
	SSL_CTX *ctx = c->ctx;

	SSL_CTX_set_app_data(ctx, c);
	SSL_CTX_set_session_cache_mode(ctx, SSL_SESS_CACHE_CLIENT | SSL_SESS_CACHE_NO_INTERNAL);
	SSL_CTX_sess_set_new_cb(ctx, on_session);
	if (!tls_context_prepare(ctx, c->conf.policy) ||
	    SSL_CTX_set_alpn_protos(ctx, alpn, alpn_len) != 0) /* 0 is good */
		return false;
	if (!c->conf.authorities)
		return true;
	SSL_CTX_set_verify(ctx, SSL_VERIFY_PEER, NULL);
	return tls_authorities_add(c->conf.authorities, SSL_CTX_get_cert_store(ctx));
}

int tls_client_new(const struct tls_client_conf *conf, struct tls_client **ret_client)
{
	struct tls_client *c = calloc(1, sizeof(*c));
	int err = -ENOMEM;

	if (!c)
		return -ENOMEM;
	c->refs = 1;
	c->conf.policy = conf->policy;
	c->conf.http2 = conf->http2;
	if (conf->authorities)
		c->conf.authorities = tls_authorities_ref(conf->authorities);
	if (conf->cert)
		c->conf.cert = tls_cert_ref(conf->cert);
	if (conf->name)
		c->conf.name = strdup(conf->name);
	c->ctx = SSL_CTX_new(TLS_client_method());
	if (c->ctx && (!conf->name || c->conf.name) && fill_context(c)) {
		if (!conf->cert || tls_context_use(c->ctx, conf->cert)) {
			*ret_client = c;
			return 0;
		}
		err = -EINVAL;
	}
	tls_client_unref(c);
	return err;
}

struct tls_client *tls_client_ref(struct tls_client *c)
{
	if (c)
		c->refs++;
	return c;
}

void tls_client_unref(struct tls_client *c)
{
	if (!c || --c->refs)
		return;
	SSL_CTX_free(c->ctx);
	tls_authorities_unref(c->conf.authorities);
	tls_cert_unref(c->conf.cert);
	free((char *)c->conf.name);
	free(c);
}

static bool equal(bool have_a, bool have_b, const void *a, const void *b)
{
	return have_a == have_b && (!have_a || !memcmp(a, b, TLS_DIGEST_LEN));
}

bool tls_client_is_of(const struct tls_client *c, const struct tls_client_conf *conf)
{
	const struct tls_client_conf *own = &c->conf;

	return own->policy == conf->policy && own->http2 == conf->http2 &&
	       !own->name == !conf->name && (!own->name || !strcmp(own->name, conf->name)) &&
	       equal(own->authorities, conf->authorities,
		     own->authorities ? own->authorities->digest : NULL,
		     conf->authorities ? conf->authorities->digest : NULL) &&
	       equal(own->cert, conf->cert, own->cert ? own->cert->digest : NULL,
		     conf->cert ? conf->cert->digest : NULL);
}

/* Whom the backend has to be. */
static bool expect(SSL *ssl, const struct tls_client *c, const struct addr *addr)
{
	X509_VERIFY_PARAM *param = SSL_get0_param(ssl);
	size_t len = addr->family == AF_INET ? 4 : 16;

	if (!c->conf.name)
		return X509_VERIFY_PARAM_set1_ip(param, addr->bytes, len);
	SSL_set_hostflags(ssl, X509_CHECK_FLAG_NO_PARTIAL_WILDCARDS);
	return SSL_set_tlsext_host_name(ssl, c->conf.name) && SSL_set1_host(ssl, c->conf.name);
}

SSL *tls_client_connection(struct tls_client *c, const struct addr *addr,
			   struct tls_session *session)
{
	SSL *ssl = SSL_new(c->ctx);

	if (!ssl)
		return NULL;
	SSL_set_app_data(ssl, session);
	SSL_set_connect_state(ssl);
	if (!expect(ssl, c, addr) ||
	    (session->of == c && session->newest && !SSL_set_session(ssl, session->newest))) {
		SSL_free(ssl);
		return NULL;
	}
	return ssl;
}
