/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Random bytes for OpenSSL, of the kernel (getrandom(2)), a page's quarter at a time. OpenSSL's own generator asks for
 * the process's number before each draw, lest a child draws what its parent did: here the kernel empties the pages
 * of a child. What was handed out is not kept; a pool is one thread's (but OpenSSL's primary, which has a lock).
 */
#ifndef TLS_RANDOM_H
#define TLS_RANDOM_H

#include <openssl/core.h>

#define TLS_RANDOM_NAME "SHUNT-KERNEL"

/* As a generator of OpenSSL's, see EVP_RAND(7). Strength: 256 bits. */
extern const OSSL_DISPATCH tls_random_functions[];

#endif
