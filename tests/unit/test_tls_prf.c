/* SPDX-License-Identifier: BSD-2-Clause */
/* The PRF of TLS 1.2: what OpenSSL's own has to say of the same, by name and in a handshake. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>
#include <openssl/kdf.h>

#include "tls/prf.h"
#include "tls_peer.h"

#define ROUNDS	  400
#define SEEDS	  5
#define OUT_MAX	  200
#define SEED_PART 100

struct given {
	const char *digest;
	unsigned char secret[1088];
	unsigned char seeds[SEEDS][SEED_PART];
	size_t secret_len, seed_lens[SEEDS], seed_count, out_len;
	bool has_secret;
};

static void set_up_params(struct given *g, OSSL_PARAM *p)
{
	if (g->digest)
		*p++ = OSSL_PARAM_construct_utf8_string("digest", (char *)g->digest, 0);
	if (g->has_secret)
		*p++ = OSSL_PARAM_construct_octet_string("secret", g->secret, g->secret_len);
	for (size_t i = 0; i < g->seed_count; i++)
		*p++ = OSSL_PARAM_construct_octet_string("seed", g->seeds[i], g->seed_lens[i]);
	*p = OSSL_PARAM_construct_end();
}

static EVP_KDF_CTX *fetch(const char *properties)
{
	EVP_KDF *kdf = EVP_KDF_fetch(NULL, "TLS1-PRF", properties);
	EVP_KDF_CTX *ctx = EVP_KDF_CTX_new(kdf);

	assert_non_null(ctx);
	EVP_KDF_free(kdf);
	return ctx;
}

/* <= 0: it failed. */
static int derive(const char *properties, struct given *g, unsigned char *out)
{
	OSSL_PARAM params[3 + SEEDS];
	EVP_KDF_CTX *ctx = fetch(properties);
	int done;

	set_up_params(g, params);
	done = EVP_KDF_derive(ctx, out, g->out_len, params);
	EVP_KDF_CTX_free(ctx);
	return done;
}

static void fill(unsigned char *out, size_t len)
{
	for (size_t i = 0; i < len; i++)
		out[i] = (unsigned char)random();
}

static struct given any(void)
{
	static const char *digests[] = {"SHA256", "sha2-256", "Sha384", "SHA2-384"};
	/* also about the lengths of a hash's blocks: a longer key is hashed first */
	static const size_t lens[] = {48, 63, 64, 65, 127, 128, 129};
	struct given g = {.digest = digests[random() % 4], .has_secret = true};

	g.secret_len = random() % 2 ? lens[random() % 7] : 1 + (size_t)random() % sizeof(g.secret);
	g.seed_count = 1 + (size_t)random() % SEEDS;
	for (size_t i = 0; i < g.seed_count; i++) {
		g.seed_lens[i] = 1 + (size_t)random() % SEED_PART;
		fill(g.seeds[i], g.seed_lens[i]);
	}
	g.out_len = random() % 2 ? 12 : 1 + (size_t)random() % OUT_MAX;
	fill(g.secret, sizeof(g.secret));
	return g;
}

static void test_it_is_the_one_of_openssl(void **state)
{
	(void)state;
	for (int i = 0; i < ROUNDS; i++) {
		struct given g = any();
		unsigned char ours[OUT_MAX] = {0}, theirs[OUT_MAX] = {0};

		assert_int_equal(derive("provider=shunt", &g, ours), 1);
		assert_int_equal(derive("provider=default", &g, theirs), 1);
		assert_memory_equal(ours, theirs, sizeof(ours));
	}
}

/* Without OpenSSL's manner of asking: records' keys are made so. */
static void test_called_by_us(void **state)
{
	(void)state;
	for (int i = 0; i < ROUNDS; i++) {
		struct given g = any();
		unsigned char ours[OUT_MAX] = {0}, theirs[OUT_MAX] = {0};
		enum tls_hash hash;

		g.seed_count = 1;
		assert_true(tls_hash_find(g.digest, &hash));
		assert_true(tls_prf(hash, (struct tls_piece){g.secret, g.secret_len},
				    (struct tls_piece){g.seeds[0], g.seed_lens[0]}, ours,
				    g.out_len));
		assert_int_equal(derive("provider=default", &g, theirs), 1);
		assert_memory_equal(ours, theirs, sizeof(ours));
	}
}

static void test_what_makes_no_sense(void **state)
{
	unsigned char out[OUT_MAX];
	struct given g;

	(void)state;
	g = any();
	g.digest = "SHA512";
	assert_true(derive("provider=shunt", &g, out) <= 0);
	g = any();
	g.digest = "MD5-SHA1"; /* TLS 1.1 */
	assert_true(derive("provider=shunt", &g, out) <= 0);
	g = any();
	g.digest = NULL;
	assert_true(derive("provider=shunt", &g, out) <= 0);
	g = any();
	g.has_secret = false;
	assert_true(derive("provider=shunt", &g, out) <= 0);
	g = any();
	g.seed_count = 0;
	assert_true(derive("provider=shunt", &g, out) <= 0);
	g = any();
	g.out_len = 0;
	assert_true(derive("provider=shunt", &g, out) <= 0);
}

static void set_secret(OSSL_PARAM *p, int type, void *data, size_t len)
{
	*p = OSSL_PARAM_construct_octet_string("secret", data, len);
	p->data_type = (unsigned)type;
}

/* What is refused leaves nothing that could be derived from, and what is next in memory alone. */
static void test_a_secret_that_is_none(void **state)
{
	static unsigned char bytes[5000];
	char digest[] = "SHA256";
	unsigned char out[48];
	OSSL_PARAM params[] = {
		OSSL_PARAM_construct_utf8_string("digest", digest, 0),
		OSSL_PARAM_construct_end(),
		OSSL_PARAM_construct_octet_string("seed", bytes, 10),
		OSSL_PARAM_construct_end(),
	};
	static const struct {
		int type;
		bool is_null;
		size_t len;
	} cases[] = {
		{OSSL_PARAM_OCTET_STRING, false, 1089}, {OSSL_PARAM_OCTET_STRING, false, 5000},
		{OSSL_PARAM_OCTET_STRING, true, 48},	{OSSL_PARAM_OCTET_STRING, true, 0},
		{OSSL_PARAM_UTF8_STRING, false, 48},
	};

	(void)state;
	for (size_t i = 0; i < sizeof(cases) / sizeof(*cases); i++) {
		EVP_KDF_CTX *ctx = fetch("provider=shunt");

		set_secret(&params[1], OSSL_PARAM_OCTET_STRING, bytes, 48);
		assert_int_equal(EVP_KDF_derive(ctx, out, sizeof(out), params), 1);
		set_secret(&params[1], cases[i].type, cases[i].is_null ? NULL : bytes,
			   cases[i].len);
		assert_true(EVP_KDF_CTX_set_params(ctx, params) <= 0);
		assert_true(EVP_KDF_derive(ctx, out, sizeof(out), NULL) <= 0);
		EVP_KDF_CTX_free(ctx);
	}
}

/* Of a secret of 1,088 bytes and seeds of 1,024 in all the last one fits. */
static void test_more_than_there_is_room_for(void **state)
{
	static unsigned char bytes[5000];
	unsigned char ours[48], theirs[48];
	char digest[] = "SHA256";
	size_t lens[][3] = {
		{1088, 1000, 24}, {1089, 1, 1}, {48, 1000, 25}, {48, 1025, 1}, {48, 1, 5000}};

	(void)state;
	for (size_t i = 0; i < sizeof(lens) / sizeof(*lens); i++) {
		const OSSL_PARAM params[] = {
			OSSL_PARAM_construct_utf8_string("digest", digest, 0),
			OSSL_PARAM_construct_octet_string("secret", bytes, lens[i][0]),
			OSSL_PARAM_construct_octet_string("seed", bytes, lens[i][1]),
			OSSL_PARAM_construct_octet_string("seed", bytes, lens[i][2]),
			OSSL_PARAM_construct_end(),
		};
		EVP_KDF_CTX *ctx = fetch("provider=shunt");

		assert_int_equal(EVP_KDF_derive(ctx, ours, sizeof(ours), params) > 0, i == 0);
		EVP_KDF_CTX_free(ctx);
		if (i == 0) {
			ctx = fetch("provider=default");
			assert_int_equal(EVP_KDF_derive(ctx, theirs, sizeof(theirs), params), 1);
			EVP_KDF_CTX_free(ctx);
			assert_memory_equal(ours, theirs, sizeof(ours));
		}
	}
}

/* A second secret takes the place of the first, a second seed comes behind it; after a reset there is neither. */
static void test_given_one_by_one(void **state)
{
	struct given g = any(), first = g;
	OSSL_PARAM params[3 + SEEDS];
	unsigned char ours[OUT_MAX] = {0}, theirs[OUT_MAX] = {0};
	EVP_KDF_CTX *ctx = fetch("provider=shunt");

	(void)state;
	g.seed_count = 2;
	first.seed_count = 1;
	first.secret_len = sizeof(first.secret);
	g.seed_lens[1] = 7;
	g.secret_len = 48;
	assert_int_equal(derive("provider=default", &g, theirs), 1);
	set_up_params(&first, params);
	assert_int_equal(EVP_KDF_CTX_set_params(ctx, params), 1);
	memmove(g.seeds[0], g.seeds[1], g.seed_lens[1]);
	g.seed_lens[0] = g.seed_lens[1];
	g.seed_count = 1;
	set_up_params(&g, params);
	assert_int_equal(EVP_KDF_derive(ctx, ours, g.out_len, params), 1);
	assert_memory_equal(ours, theirs, sizeof(ours));
	EVP_KDF_CTX_reset(ctx);
	assert_true(EVP_KDF_derive(ctx, ours, g.out_len, NULL) <= 0);
	assert_int_equal(EVP_KDF_derive(ctx, ours, g.out_len, params), 1);
	assert_int_equal(derive("provider=default", &g, theirs), 1);
	assert_memory_equal(ours, theirs, sizeof(ours));
	EVP_KDF_CTX_free(ctx);
}

/* A client that has OpenSSL's own agrees with a server that has ours, and takes its records. */
static void test_servers_have_it(void **state)
{
	static const struct suite suites[] = {
		{"ECDHE-ECDSA-AES128-GCM-SHA256", TLS1_2_VERSION, "EC", 0},
		{"ECDHE-ECDSA-AES256-GCM-SHA384", TLS1_2_VERSION, "EC", 0},
	};

	(void)state;
	for (size_t i = 0; i < sizeof(suites) / sizeof(*suites); i++) {
		struct peers p;

		peers_prepare(&p, &suites[i]);
		assert_true(peers_connect(&p));
		peers_part(&p);
		peers_free(&p);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_it_is_the_one_of_openssl),
		cmocka_unit_test(test_called_by_us),
		cmocka_unit_test(test_what_makes_no_sense),
		cmocka_unit_test(test_a_secret_that_is_none),
		cmocka_unit_test(test_more_than_there_is_room_for),
		cmocka_unit_test(test_given_one_by_one),
		cmocka_unit_test(test_servers_have_it),
	};

	if (!tls_provider_init())
		return 1;
	return cmocka_run_group_tests(tests, NULL, NULL);
}
