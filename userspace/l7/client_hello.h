/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The first message of a TLS connection, read without taking part in it: which server and which
 * protocols does the client ask for? However it is cut, over packets and over TLS records. Pure.
 */
#ifndef L7_CLIENT_HELLO_H
#define L7_CLIENT_HELLO_H

#include <stdint.h>

#include "core/slice.h"

/* Raw bytes, record headers included, that are looked at. Hellos with post-quantum key shares have
 * some 2,000. */
#define CLIENT_HELLO_MAX 16384U
#define SERVER_NAME_MAX	 255U

/* What is wrong, as TLS numbers it (RFC 8446, 6). */
enum tls_alert {
	TLS_ALERT_NONE = 0,
	TLS_ALERT_UNEXPECTED_MESSAGE = 10,
	TLS_ALERT_ILLEGAL_PARAMETER = 47,
	TLS_ALERT_DECODE_ERROR = 50,
	TLS_ALERT_PROTOCOL_VERSION = 70,
	TLS_ALERT_INTERNAL_ERROR = 80,
	TLS_ALERT_UNRECOGNIZED_NAME = 112,
};

/* How far the records have been looked at. All zero: not yet. */
struct client_hello_scan {
	uint32_t next;	  /* where the next record begins */
	uint32_t payload; /* bytes of the message in the records before */
	uint32_t whole;	  /* bytes that the message has; 0: not known yet */
	uint8_t head[4];  /* its type and length, as far as they are here */
};

struct client_hello {
	char name[SERVER_NAME_MAX + 1]; /* lower case, ended by a zero; empty: no server is named */
	size_t name_len;
	struct slice alpn; /* protocols, each behind its length; in the caller's scratch */
};

/*
 * Is the message at the front of bytes whole? 1; 0: more is needed, call again with the same scan
 * and at least as many bytes; -1: it breaks the rules, *ret_alert says how.
 */
int client_hello_scan(struct client_hello_scan *s, const char *bytes, size_t len,
		      enum tls_alert *ret_alert);

/* What a whole one says; scratch: CLIENT_HELLO_MAX bytes. ret_hello is written only where the answer
 * is TLS_ALERT_NONE. */
enum tls_alert client_hello_read(const struct client_hello_scan *s, const char *bytes,
				 char *scratch, struct client_hello *ret_hello);

/* The next protocol of a list, in the order of the client's preference. False: no more. */
bool client_hello_next_alpn(struct slice *list, struct slice *ret_protocol);

/* The record that ends a connection for this reason. */
#define TLS_ALERT_RECORD 7U
void tls_alert_write(char out[TLS_ALERT_RECORD], enum tls_alert alert);

#endif
