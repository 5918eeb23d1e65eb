/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * A client's side of one TLS connection for who moves its bytes alone: what came from the network goes
 * in, what is to be sent comes out. For short ones, such as checks; requests have l7/tls.h. One thread.
 */
#ifndef TLS_PUMP_H
#define TLS_PUMP_H

#include <stddef.h>
#include <sys/types.h>

#include "core/addr.h"

struct tls_client;
struct tls_pump;

/* Towards a backend at addr, always by a whole handshake. Takes a reference. NULL: no memory. */
struct tls_pump *tls_pump_new(struct tls_client *c, const struct addr *addr);
void tls_pump_free(struct tls_pump *p); /* NULL is fine */

/* From the network. 0, or -ENOMEM. */
int tls_pump_feed(struct tls_pump *p, const char *data, size_t len);

/* 1: done; 0: more is needed from the network; -EPROTO: see tls_pump_failure(). */
int tls_pump_handshake(struct tls_pump *p);

/* After the handshake. Bytes; 0: more is needed; -EPIPE: the peer has ended; or -EPROTO. */
ssize_t tls_pump_read(struct tls_pump *p, char *data, size_t len);
int tls_pump_write(struct tls_pump *p, const char *data, size_t len); /* 0, or -EPROTO */
void tls_pump_end(struct tls_pump *p); /* tell the peer that nothing follows */

/* What is to be sent; drop it from the pump once it is copied. */
size_t tls_pump_output(struct tls_pump *p, const char **ret_data);
void tls_pump_drop_output(struct tls_pump *p);

/* Why it failed: what is wrong with the certificate, else what OpenSSL says. */
const char *tls_pump_failure(const struct tls_pump *p);

#endif
