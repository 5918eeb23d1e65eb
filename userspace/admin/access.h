/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Who may ask the admin HTTP server for what, by what a request says: its Host, against pages of
 * other origins that have a name point here (DNS rebinding), and its token. Pure; any thread.
 */
#ifndef ADMIN_ACCESS_H
#define ADMIN_ACCESS_H

#include <stdbool.h>
#include <stddef.h>

/* host: the Host field, NULL: there is none. Good are addresses, localhost, and names among hosts; with
 * or without a port. */
bool access_host_is_ours(const char *host, const char *const *hosts, size_t count);

enum access_token {
	ACCESS_TOKEN_GOOD,
	ACCESS_TOKEN_MISSING,
	ACCESS_TOKEN_WRONG,
};

/* authorization: the field, NULL: there is none. In a time that does not tell how much of it was right. */
enum access_token access_token_check(const char *authorization, const char *token);

#endif
