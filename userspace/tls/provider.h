/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * What OpenSSL is offered of ours, as a provider(7) in this process: the key schedule of TLS 1.3 (schedule.h), the
 * PRF of TLS 1.2 (prf.h), random bytes (random.h). A handshake asks for each of them several times, and its own ways
 * look for every algorithm by name every time, or ask the kernel for the process's number. Any thread.
 */
#ifndef TLS_PROVIDER_H
#define TLS_PROVIDER_H

#include <stdbool.h>

#define TLS_PROVIDER "shunt"

/* What SSL_CTX_new_ex() is to be told to have the first two. */
#define TLS_PROVIDER_PROPERTIES "?provider=" TLS_PROVIDER

/*
 * Before anything else of tls/, and before OpenSSL's first random bytes, which come from us then. Again: nothing.
 * False: it has its own of everything, and the records of its connections; it is set up for FIPS 140, or failed, which
 * is logged.
 */
bool tls_provider_init(void);

#endif
