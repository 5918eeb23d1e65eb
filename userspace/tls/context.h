/* SPDX-License-Identifier: BSD-2-Clause */
/* What contexts of servers and clients have in common. */
#ifndef TLS_CONTEXT_H
#define TLS_CONTEXT_H

#include <openssl/ssl.h>

#include "tls/cert.h"
#include "tls/policy.h"

/* How they are driven, and the policy. False: OpenSSL refused it. */
bool tls_context_prepare(SSL_CTX *ctx, enum tls_policy policy);

/* Make objects of a certificate, its chain and its key. False: OpenSSL does not take them. */
bool tls_context_use(SSL_CTX *ctx, const struct tls_cert *c);

#endif
