/* SPDX-License-Identifier: BSD-2-Clause */
/* The names of the policies, for those who need not know OpenSSL: see policy.h. */
#ifndef TLS_POLICY_WORDS_H
#define TLS_POLICY_WORDS_H

/* modern: TLS 1.3 alone. intermediate: 1.2 too, with forward secrecy and authenticated ciphers.
 * fips: as intermediate, with P-256 and AES-GCM alone. */
enum tls_policy { TLS_POLICY_MODERN, TLS_POLICY_INTERMEDIATE, TLS_POLICY_FIPS };

extern const char *const tls_policy_words[]; /* in the order of the enum, NULL at the end */

#endif
