/* SPDX-License-Identifier: BSD-2-Clause */
/* Paths of the commands, such as "/v1/pools/{}/backends/{}", and what stands in the braces. Pure. */
#ifndef CONTROL_ROUTE_H
#define CONTROL_ROUTE_H

#include <stdbool.h>

#include "bpf/abi.h"

struct route_args {
	char name[2][SHUNT_NAME_MAX]; /* what stood for the first and the second {} */
};

/* Does path, whole, fit pattern? A {} stands for one segment, neither empty nor longer than a name
 * can be. ret_args is only written where it fits. */
bool route_match(const char *pattern, const char *path, struct route_args *ret_args);

#endif
