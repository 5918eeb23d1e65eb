/* SPDX-License-Identifier: BSD-2-Clause */
/* Hosts and tokens: see access.h. */
#include "admin/access.h"

#include <string.h>
#include <strings.h>

#include "core/addr.h"

#define HOST_MAX 260U /* a name of 253 bytes, and a port */

static bool is_port(const char *text)
{
	return strspn(text, "0123456789") == strlen(text);
}

bool access_host_is_ours(const char *host, const char *const *hosts, size_t count)
{
	char name[HOST_MAX];
	struct endpoint ep;
	char *colon;

	if (!host || !*host || strlen(host) >= sizeof(name))
		return false;
	/* An IPv6 address without brackets is no Host (RFC 3986, 3.2.2). */
	if (host[0] == '[' || (strchr(host, ':') == strrchr(host, ':')))
		if (endpoint_parse(host, &ep) == 0)
			return true;
	memcpy(name, host, strlen(host) + 1);
	colon = strchr(name, ':');
	if (colon) {
		if (!is_port(colon + 1))
			return false;
		*colon = '\0';
	}
	for (size_t i = 0; i < count; i++)
		if (!strcasecmp(name, hosts[i]))
			return true;
	return !strcasecmp(name, "localhost");
}

enum access_token access_token_check(const char *authorization, const char *token)
{
	static const char scheme[] = "Bearer ";
	size_t len = strlen(token), given_len;
	const char *given;
	unsigned char differs = 0;

	if (!authorization || strncasecmp(authorization, scheme, sizeof(scheme) - 1) != 0)
		return ACCESS_TOKEN_MISSING;
	given = authorization + sizeof(scheme) - 1;
	given_len = strlen(given);
	if (!given_len)
		return ACCESS_TOKEN_MISSING;
	for (size_t i = 0; i < len; i++)
		differs |= (unsigned char)(token[i] ^ given[i % given_len]);
	return !differs && given_len == len ? ACCESS_TOKEN_GOOD : ACCESS_TOKEN_WRONG;
}
