/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * What WebSocket's handshake by HTTP/1 has (RFC 6455, 4) and the one by HTTP/2 (RFC 8441) has not: a
 * key, and an answer that only who understood it can give. No state.
 */
#ifndef TLS_WEBSOCKET_H
#define TLS_WEBSOCKET_H

#include <stdbool.h>

#include "core/slice.h"

#define WEBSOCKET_KEY_LEN    24U
#define WEBSOCKET_ACCEPT_LEN 28U

/* A new one. False: there is no randomness. */
bool websocket_key(char out[WEBSOCKET_KEY_LEN]);

/* The answer to a key. False: it cannot be computed. */
bool websocket_accept(struct slice key, char out[WEBSOCKET_ACCEPT_LEN]);

#endif
