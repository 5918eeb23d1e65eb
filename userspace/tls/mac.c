/* SPDX-License-Identifier: BSD-2-Clause */
/* See mac.h. */
#include "tls/mac.h"

#include <openssl/crypto.h>
#include <openssl/evp.h>
#include <openssl/hmac.h>
#include <openssl/sha.h>

void tls_digest(const void *data, size_t len, unsigned char out[TLS_MAC_LEN])
{
	(void)SHA256(data, len, out); /* fails only without out */
}

bool tls_mac(const unsigned char secret[TLS_MAC_LEN], const void *data, size_t len,
	     unsigned char out[TLS_MAC_LEN])
{
	return HMAC(EVP_sha256(), secret, TLS_MAC_LEN, data, len, out, NULL) != NULL;
}

bool tls_mac_is_equal(const unsigned char *a, const unsigned char *b, size_t len)
{
	return CRYPTO_memcmp(a, b, len) == 0;
}
