/* SPDX-License-Identifier: BSD-2-Clause */
/* Parameters of OpenSSL's: see param.h. */
#include "tls/param.h"

#include <openssl/core_names.h>
#include <openssl/params.h>

#include "tls/hash.h"

bool tls_param_bytes(const OSSL_PARAM params[], const char *name, unsigned char *out, size_t max,
		     size_t *ret_len, bool *ret_has)
{
	const OSSL_PARAM *p = OSSL_PARAM_locate_const(params, name);
	void *at = out;
	size_t len = 0; /* OpenSSL says how many there would be, also where it refuses */

	if (!p)
		return true;
	if (p->data_type != OSSL_PARAM_OCTET_STRING ||
	    (p->data_size && (!p->data || !OSSL_PARAM_get_octet_string(p, &at, max, &len))))
		return false;
	*ret_len = len;
	*ret_has = true;
	return true;
}

bool tls_param_hash(const OSSL_PARAM params[], int *ret_hash)
{
	const OSSL_PARAM *p = OSSL_PARAM_locate_const(params, OSSL_KDF_PARAM_DIGEST);
	enum tls_hash hash;

	if (!p)
		return true;
	if (p->data_type != OSSL_PARAM_UTF8_STRING || !p->data || !tls_hash_find(p->data, &hash))
		return false;
	*ret_hash = (int)hash;
	return true;
}
