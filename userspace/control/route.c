/* SPDX-License-Identifier: BSD-2-Clause */
/* Paths of the commands: see route.h. */
#include "control/route.h"

#include <string.h>

bool route_match(const char *pattern, const char *path, struct route_args *ret_args)
{
	struct route_args args = {0};
	unsigned n = 0;

	while (*pattern && *path) {
		size_t len;

		if (strncmp(pattern, "{}", 2) != 0) {
			if (*pattern++ != *path++)
				return false;
			continue;
		}
		len = strcspn(path, "/");
		if (len == 0 || len >= SHUNT_NAME_MAX || n == 2)
			return false;
		memcpy(args.name[n++], path, len);
		path += len;
		pattern += 2;
	}
	if (*pattern || *path)
		return false;
	*ret_args = args;
	return true;
}
