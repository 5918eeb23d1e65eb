/* SPDX-License-Identifier: BSD-2-Clause */
/* What OpenSSL takes from us, by how it is set up. As that is for a process once, each test is one. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>
#include <openssl/err.h>
#include <openssl/evp.h>
#include <openssl/kdf.h>
#include <openssl/provider.h>
#include <openssl/rand.h>

#include "tls/provider.h"
#include "tls/random.h"
#include "tls/record.h"

static void in_child(int (*test)(void))
{
	pid_t pid = fork();
	int status;

	if (pid == 0)
		_exit(test());
	assert_true(pid > 0);
	assert_int_equal(waitpid(pid, &status, 0), pid);
	assert_int_equal(status, 0);
}

static bool draws_from_us(void)
{
	EVP_RAND_CTX *ctx = RAND_get0_public(NULL);

	return ctx && EVP_RAND_is_a(EVP_RAND_CTX_get0_rand(ctx), TLS_RANDOM_NAME);
}

/* For what servers ask for. */
static bool has_ours(const char *name)
{
	EVP_KDF *kdf = EVP_KDF_fetch(NULL, name, TLS_PROVIDER_PROPERTIES);
	const OSSL_PROVIDER *of = kdf ? EVP_KDF_get0_provider(kdf) : NULL;
	bool ours = of && !strcmp(OSSL_PROVIDER_get0_name(of), TLS_PROVIDER);

	EVP_KDF_free(kdf);
	return ours;
}

static int at_first(void)
{
	unsigned char out[32];

	if (!tls_provider_init() || !tls_provider_init() || ERR_peek_error())
		return 1;
	return !(draws_from_us() && has_ours("TLS13-KDF") && has_ours("TLS1-PRF") &&
		 !has_ours("HKDF") && RAND_bytes(out, sizeof(out)) == 1);
}

static void test_at_first(void **state)
{
	(void)state;
	in_child(at_first);
}

/* Errors that were there stay, and none is left for whoever looks next. */
static int too_late(void)
{
	unsigned char out[32];

	if (RAND_bytes(out, sizeof(out)) != 1)
		return 1;
	ERR_raise(ERR_LIB_USER, ERR_R_PASSED_NULL_PARAMETER);
	if (!tls_provider_init() ||
	    ERR_GET_REASON(ERR_get_error()) != ERR_R_PASSED_NULL_PARAMETER || ERR_peek_error())
		return 2;
	return !(!draws_from_us() && has_ours("TLS1-PRF") && RAND_bytes(out, sizeof(out)) == 1);
}

static void test_who_has_drawn_draws_where_it_did(void **state)
{
	(void)state;
	in_child(too_late);
}

/* No module of it need be there: neither our hashes nor our random bytes are of it. */
static int for_fips(void)
{
	struct tls_ciphers ciphers;

	if (EVP_default_properties_enable_fips(NULL, 1) != 1)
		return 1;
	if (tls_provider_init() || tls_ciphers_init(&ciphers) || ERR_peek_error())
		return 2;
	if (EVP_default_properties_enable_fips(NULL, 0) != 1)
		return 3;
	return !(!draws_from_us() && !has_ours("TLS13-KDF") && !has_ours("TLS1-PRF"));
}

static void test_fips_is_left_alone(void **state)
{
	(void)state;
	in_child(for_fips);
}

/* Whoever is asked for by default has them not: none at all would be the end of every handshake. */
static int by_default_of_another(void)
{
	unsigned char out[32];

	if (EVP_set_default_properties(NULL, "provider=default") != 1 || !tls_provider_init())
		return 1;
	return RAND_bytes(out, sizeof(out)) != 1;
}

static void test_there_are_always_random_bytes(void **state)
{
	(void)state;
	in_child(by_default_of_another);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_at_first),
		cmocka_unit_test(test_who_has_drawn_draws_where_it_did),
		cmocka_unit_test(test_fips_is_left_alone),
		cmocka_unit_test(test_there_are_always_random_bytes),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
