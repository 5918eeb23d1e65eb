/* SPDX-License-Identifier: BSD-2-Clause */
/* Named policies: see policy.h. */
#include "tls/policy.h"

#define ECDHE_GCM                                                                                  \
	"ECDHE-ECDSA-AES128-GCM-SHA256:ECDHE-RSA-AES128-GCM-SHA256:"                               \
	"ECDHE-ECDSA-AES256-GCM-SHA384:ECDHE-RSA-AES256-GCM-SHA384"
#define ECDHE_CHACHA "ECDHE-ECDSA-CHACHA20-POLY1305:ECDHE-RSA-CHACHA20-POLY1305"
#define SUITES_GCM   "TLS_AES_128_GCM_SHA256:TLS_AES_256_GCM_SHA384"

static const struct rules {
	int min_version;
	const char *suites, *ciphers, *groups;
	const char *signatures; /* NULL: those of OpenSSL's security level */
} rules[] = {
	[TLS_POLICY_MODERN] = {TLS1_3_VERSION, SUITES_GCM ":TLS_CHACHA20_POLY1305_SHA256",
			       ECDHE_GCM, "X25519:P-256:P-384", NULL},
	[TLS_POLICY_INTERMEDIATE] = {TLS1_2_VERSION, SUITES_GCM ":TLS_CHACHA20_POLY1305_SHA256",
				     ECDHE_GCM ":" ECDHE_CHACHA, "X25519:P-256:P-384", NULL},
	[TLS_POLICY_FIPS] = {TLS1_2_VERSION, SUITES_GCM, ECDHE_GCM, "P-256",
			     "ECDSA+SHA256:RSA-PSS+SHA256:RSA-PSS+SHA384:RSA-PSS+SHA512:"
			     "RSA+SHA256:RSA+SHA384:RSA+SHA512"},
};

const char *const tls_policy_words[] = {"modern", "intermediate", "fips", NULL};

bool tls_policy_apply(enum tls_policy policy, SSL_CTX *ctx)
{
	const struct rules *r = &rules[policy];

	SSL_CTX_set_options(ctx, SSL_OP_NO_RENEGOTIATION | SSL_OP_NO_COMPRESSION |
					 SSL_OP_CIPHER_SERVER_PREFERENCE |
					 SSL_OP_PRIORITIZE_CHACHA);
	return SSL_CTX_set_min_proto_version(ctx, r->min_version) &&
	       SSL_CTX_set_max_proto_version(ctx, TLS1_3_VERSION) &&
	       SSL_CTX_set_cipher_list(ctx, r->ciphers) &&
	       SSL_CTX_set_ciphersuites(ctx, r->suites) &&
	       SSL_CTX_set1_groups_list(ctx, r->groups) &&
	       (!r->signatures || SSL_CTX_set1_sigalgs_list(ctx, r->signatures));
}

const char *tls_policy_refuses(enum tls_policy policy, const struct tls_cert *cert)
{
	if (cert->kind == TLS_KEY_RSA && cert->bits < 2048)
		return "an RSA key of at least 2048 bits";
	if (policy == TLS_POLICY_FIPS && cert->kind != TLS_KEY_RSA && !cert->is_p256)
		return "an RSA or P-256 key with policy fips";
	return NULL;
}
