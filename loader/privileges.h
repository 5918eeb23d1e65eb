/* SPDX-License-Identifier: BSD-2-Clause */
/* May this process load programs on this kernel? Any thread. */
#ifndef LOADER_PRIVILEGES_H
#define LOADER_PRIVILEGES_H

#include <stdbool.h>
#include <stddef.h>

#include "core/diag.h"

#define LOADER_KERNEL_MIN "6.1"

/* Is a capability (CAP_... of linux/capability.h) in the effective set? */
bool capability_held(int capability);

/* Is the running kernel new enough? buf: its release. */
bool kernel_is_supported(char *buf, size_t len);

/* 0; -EOPNOTSUPP: the kernel is too old; -EPERM: d names the capabilities that are missing. */
int privileges_check(struct diag *d);

#endif
