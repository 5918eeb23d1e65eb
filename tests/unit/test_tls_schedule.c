/* SPDX-License-Identifier: BSD-2-Clause */
/* The key schedule of TLS 1.3: RFC 8448, and what OpenSSL's own has to say of the same. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>
#include <openssl/kdf.h>

#include "tls_peer.h"

#define ROUNDS 400

struct given {
	int mode;
	char *digest;
	unsigned char key[600], salt[48], data[64];
	size_t key_len, salt_len, data_len, out_len;
	bool has_key, has_salt, has_data;
	char *label;
};

/* <= 0: it failed. */
static int derive(const char *properties, struct given *g, unsigned char *out)
{
	OSSL_PARAM params[8], *p = params;
	EVP_KDF *kdf = EVP_KDF_fetch(NULL, "TLS13-KDF", properties);
	EVP_KDF_CTX *ctx = EVP_KDF_CTX_new(kdf);
	int done;

	assert_non_null(ctx);
	*p++ = OSSL_PARAM_construct_int("mode", &g->mode);
	*p++ = OSSL_PARAM_construct_utf8_string("digest", g->digest, 0);
	if (g->has_key)
		*p++ = OSSL_PARAM_construct_octet_string("key", g->key, g->key_len);
	if (g->has_salt)
		*p++ = OSSL_PARAM_construct_octet_string("salt", g->salt, g->salt_len);
	*p++ = OSSL_PARAM_construct_octet_string("prefix", (void *)"tls13 ", 6);
	*p++ = OSSL_PARAM_construct_octet_string("label", g->label, strlen(g->label));
	if (g->has_data)
		*p++ = OSSL_PARAM_construct_octet_string("data", g->data, g->data_len);
	*p = OSSL_PARAM_construct_end();
	done = EVP_KDF_derive(ctx, out, g->out_len, params);
	EVP_KDF_CTX_free(ctx);
	EVP_KDF_free(kdf);
	return done;
}

static void fill(unsigned char *out, size_t len)
{
	for (size_t i = 0; i < len; i++)
		out[i] = (unsigned char)random();
}

static struct given any(bool extract)
{
	static char *digests[] = {"SHA256", "SHA2-256", "SHA384", "SHA2-384"};
	static char *labels[] = {"key", "iv", "derived", "c ap traffic", "traffic upd", "x"};
	size_t i = (size_t)random() % 4, len = i < 2 ? 32 : 48;
	struct given g = {.mode = extract ? EVP_KDF_HKDF_MODE_EXTRACT_ONLY
					  : EVP_KDF_HKDF_MODE_EXPAND_ONLY,
			  .digest = digests[i],
			  .label = extract ? "derived" : labels[random() % 6],
			  .has_key = !extract || random() % 4,
			  .has_salt = extract && random() % 4,
			  .has_data = !extract && random() % 2};

	g.key_len = extract ? 1 + (size_t)random() % sizeof(g.key) : len;
	g.salt_len = len;
	g.data_len = random() % 2 ? len : (size_t)random() % 64;
	g.out_len = extract ? len : 1 + (size_t)random() % len;
	fill(g.key, sizeof(g.key));
	fill(g.salt, sizeof(g.salt));
	fill(g.data, sizeof(g.data));
	return g;
}

static void test_it_is_the_one_of_openssl(void **state)
{
	(void)state;
	for (int i = 0; i < ROUNDS; i++) {
		struct given g = any(i % 2);
		unsigned char ours[64] = {0}, theirs[64] = {0};

		assert_int_equal(derive("provider=shunt", &g, ours), 1);
		assert_int_equal(derive("provider=default", &g, theirs), 1);
		assert_memory_equal(ours, theirs, sizeof(ours));
	}
}

static void test_what_makes_no_sense(void **state)
{
	unsigned char out[64];
	struct given g;

	(void)state;
	g = any(false);
	g.digest = "SHA512";
	assert_true(derive("provider=shunt", &g, out) <= 0);
	g = any(false);
	g.has_key = false;
	assert_true(derive("provider=shunt", &g, out) <= 0);
	g = any(false);
	g.mode = EVP_KDF_HKDF_MODE_EXTRACT_AND_EXPAND;
	assert_true(derive("provider=shunt", &g, out) <= 0);
	g = any(true);
	g.out_len--;
	assert_true(derive("provider=shunt", &g, out) <= 0);
	g = any(false);
	g.digest = "SHA256";
	g.out_len = 33;
	assert_true(derive("provider=shunt", &g, out) <= 0);
}

/* A key that is refused is not there, nor is what is behind it in memory touched. */
static void test_a_key_that_is_refused(void **state)
{
	static unsigned char bytes[5000];
	unsigned char out[32];
	char digest[] = "SHA256";
	int mode = EVP_KDF_HKDF_MODE_EXPAND_ONLY;
	EVP_KDF *kdf = EVP_KDF_fetch(NULL, "TLS13-KDF", "provider=shunt");
	const struct {
		void *key;
		size_t len;
	} cases[] = {{bytes, 1089}, {bytes, 5000}, {NULL, 32}};

	(void)state;
	for (size_t i = 0; i < sizeof(cases) / sizeof(*cases); i++) {
		EVP_KDF_CTX *ctx = EVP_KDF_CTX_new(kdf);
		const OSSL_PARAM params[] = {
			OSSL_PARAM_construct_int("mode", &mode),
			OSSL_PARAM_construct_utf8_string("digest", digest, 0),
			OSSL_PARAM_construct_octet_string("key", cases[i].key, cases[i].len),
			OSSL_PARAM_construct_end(),
		};

		assert_non_null(ctx);
		assert_true(EVP_KDF_CTX_set_params(ctx, params) <= 0);
		assert_true(EVP_KDF_derive(ctx, out, sizeof(out), NULL) <= 0);
		EVP_KDF_CTX_free(ctx);
	}
	EVP_KDF_free(kdf);
}

/* The first of a name is kept until it is taken away; others are of no interest. */
static void test_secrets_are_watched(void **state)
{
	struct tls_secrets s = {0};
	unsigned char first[48], out[48];
	struct given g = any(false);

	(void)state;
	g.out_len = strcmp(g.digest, "SHA256") && strcmp(g.digest, "SHA2-256") ? 48 : 32;
	g.label = "c ap traffic";
	assert_int_equal(derive("provider=shunt", &g, first), 1);
	assert_false(s.has_in);
	tls_schedule_watch(&s);
	g.label = "c hs traffic";
	assert_int_equal(derive("provider=shunt", &g, out), 1);
	assert_false(s.has_in || s.has_out);
	g.label = "c ap traffic";
	assert_int_equal(derive("provider=shunt", &g, first), 1);
	assert_true(s.has_in && !s.has_out);
	assert_memory_equal(s.in, first, g.out_len);
	g.key[0]++;
	assert_int_equal(derive("provider=shunt", &g, out), 1);
	assert_memory_equal(s.in, first, g.out_len);
	g.label = "s ap traffic";
	assert_int_equal(derive("provider=shunt", &g, out), 1);
	assert_true(s.has_out);
	assert_memory_equal(s.out, out, g.out_len);
	tls_schedule_watch(NULL);
}

static void test_servers_have_it(void **state)
{
	static const struct suite suite = {"TLS_AES_256_GCM_SHA384", TLS1_3_VERSION, "EC", 0};
	struct peers p;

	(void)state;
	peers_prepare(&p, &suite);
	assert_true(peers_connect(&p));
	peers_part(&p);
	/* Who does not ask for it can still be spoken to: its secrets are not known. */
	SSL_CTX_free(p.server_ctx);
	p.server_ctx = SSL_CTX_new_ex(NULL, "provider=default", TLS_server_method());
	certify(p.server_ctx, "EC");
	assert_true(SSL_CTX_set_session_id_context(p.server_ctx, (const unsigned char *)"x", 1));
	assert_false(peers_connect(&p));
	peers_part(&p);
	peers_free(&p);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_it_is_the_one_of_openssl),
		cmocka_unit_test(test_what_makes_no_sense),
		cmocka_unit_test(test_a_key_that_is_refused),
		cmocka_unit_test(test_secrets_are_watched),
		cmocka_unit_test(test_servers_have_it),
	};

	if (!tls_provider_init())
		return 1;
	return cmocka_run_group_tests(tests, NULL, NULL);
}
