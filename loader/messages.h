/* SPDX-License-Identifier: BSD-2-Clause */
/* What libbpf and libxdp said last, for whoever reports their failure. Main thread. */
#ifndef LOADER_MESSAGES_H
#define LOADER_MESSAGES_H

#include <stddef.h>

#include "core/diag.h"

/* Forget what was said so far. */
void messages_clear(void);

/* The kernel's own words about the last refused netlink request; NULL: it gave none. */
const char *messages_kernel_text(void);

/* The last lines as errors of their own, "PREFIX: LINE". */
void messages_to_diag(struct diag *d, const char *prefix, size_t lines);

#endif
