/* SPDX-License-Identifier: BSD-2-Clause */
/* The provider of OpenSSL's that is ours: see provider.h. */
#include "tls/provider.h"

#include <openssl/core_dispatch.h>
#include <openssl/core_names.h>
#include <openssl/err.h>
#include <openssl/evp.h>
#include <openssl/params.h>
#include <openssl/provider.h>
#include <openssl/rand.h>
#include <pthread.h>
#include <stdint.h>

#include "core/log.h"
#include "tls/hash.h"
#include "tls/prf.h"
#include "tls/random.h"
#include "tls/schedule.h"

#define DEFINITION "provider=" TLS_PROVIDER

static OSSL_PROVIDER *provider; /* kept until the process ends */

static const OSSL_ALGORITHM *query(void *of, int operation, int *no_cache)
{
	static const OSSL_ALGORITHM kdfs[] = {
		{OSSL_KDF_NAME_TLS1_3_KDF, DEFINITION, tls_schedule_functions, NULL},
		{OSSL_KDF_NAME_TLS1_PRF, DEFINITION, tls_prf_functions, NULL},
		{NULL, NULL, NULL, NULL},
	};
	static const OSSL_ALGORITHM rands[] = {
		{TLS_RANDOM_NAME, DEFINITION, tls_random_functions, NULL},
		{NULL, NULL, NULL, NULL},
	};

	(void)of;
	*no_cache = 0;
	switch (operation) {
	case OSSL_OP_KDF: return kdfs;
	case OSSL_OP_RAND: return rands;
	default: return NULL;
	}
}

static int init_provider(const OSSL_CORE_HANDLE *handle, const OSSL_DISPATCH *in,
			 const OSSL_DISPATCH **out, void **ret_provider)
{
	static const OSSL_DISPATCH functions[] = {
		{OSSL_FUNC_PROVIDER_QUERY_OPERATION, (void (*)(void))query},
		{0, NULL},
	};

	(void)in;
	*out = functions;
	*ret_provider = (void *)(uintptr_t)handle;
	return 1;
}

static bool load(void)
{
	if (!tls_hash_init() || !OSSL_PROVIDER_add_builtin(NULL, TLS_PROVIDER, init_provider))
		return false;
	provider = OSSL_PROVIDER_try_load(NULL, TLS_PROVIDER, 1); /* its own stays, for all else */
	return provider;
}

static void init_once(void)
{
	if (EVP_default_properties_is_fips_enabled(NULL))
		return;
	(void)ERR_set_mark();
	if (!load())
		log_warning("tls: OpenSSL is slower, as it takes nothing from us reason=\"%s\"",
			    ERR_reason_error_string(ERR_peek_last_error()));
	else /* where OpenSSL has drawn already it stays with its own, which are as good and slower */
		(void)RAND_set_DRBG_type(NULL, TLS_RANDOM_NAME, DEFINITION, NULL, NULL);
	(void)ERR_pop_to_mark();
}

bool tls_provider_init(void)
{
	static pthread_once_t once = PTHREAD_ONCE_INIT;

	(void)pthread_once(&once, init_once);
	return provider != NULL;
}
