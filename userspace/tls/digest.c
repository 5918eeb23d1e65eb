/* SPDX-License-Identifier: BSD-2-Clause */
#include "tls/digest.h"

#include <errno.h>
#include <openssl/evp.h>
#include <stdio.h>

int digest_text(const void *bytes, size_t len, char ret_text[DIGEST_TEXT_SIZE])
{
	unsigned char sum[EVP_MAX_MD_SIZE];
	unsigned n = 0;

	if (!EVP_Digest(bytes, len, sum, &n, EVP_sha256(), NULL) || n * 2 + 1 != DIGEST_TEXT_SIZE)
		return -ENOMEM;
	for (unsigned i = 0; i < n; i++)
		(void)snprintf(ret_text + (size_t)i * 2, 3, "%02x", sum[i]);
	return 0;
}
