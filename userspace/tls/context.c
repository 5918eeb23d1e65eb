/* SPDX-License-Identifier: BSD-2-Clause */
/* Contexts of both sides: see context.h. */
#include "tls/context.h"

bool tls_context_prepare(SSL_CTX *ctx, enum tls_policy policy)
{
	SSL_CTX_set_mode(ctx, SSL_MODE_ENABLE_PARTIAL_WRITE | SSL_MODE_ACCEPT_MOVING_WRITE_BUFFER |
				      SSL_MODE_RELEASE_BUFFERS);
	return tls_policy_apply(policy, ctx);
}

bool tls_context_use(SSL_CTX *ctx, const struct tls_cert *c)
{
	const unsigned char *der = c->key.data;
	EVP_PKEY *key = d2i_AutoPrivateKey(NULL, &der, (long)c->key.len);
	STACK_OF(X509) *chain = sk_X509_new_null();
	X509 *leaf = NULL;
	bool ok = key && chain;

	for (size_t i = 0; ok && i < c->chain_count; i++) {
		X509 *x;

		der = c->chain[i].data;
		x = d2i_X509(NULL, &der, (long)c->chain[i].len);
		if (i == 0)
			leaf = x;
		ok = x && (i == 0 || sk_X509_push(chain, x));
		if (!ok && i > 0)
			X509_free(x);
	}
	ok = ok && SSL_CTX_use_cert_and_key(ctx, leaf, key, chain, 1) == 1;
	X509_free(leaf);
	sk_X509_pop_free(chain, X509_free);
	EVP_PKEY_free(key);
	return ok;
}
