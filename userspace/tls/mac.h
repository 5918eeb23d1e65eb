/* SPDX-License-Identifier: BSD-2-Clause */
/* Digests and signatures of short texts of our own, for who may not know OpenSSL. Any thread. */
#ifndef TLS_MAC_H
#define TLS_MAC_H

#include <stdbool.h>
#include <stddef.h>

#define TLS_MAC_LEN 32

/* SHA-256. */
void tls_digest(const void *data, size_t len, unsigned char out[TLS_MAC_LEN]);

/* HMAC-SHA256. False: OpenSSL failed. */
bool tls_mac(const unsigned char secret[TLS_MAC_LEN], const void *data, size_t len,
	     unsigned char out[TLS_MAC_LEN]);

/* In a time that does not tell where they differ. */
bool tls_mac_is_equal(const unsigned char *a, const unsigned char *b, size_t len);

#endif
