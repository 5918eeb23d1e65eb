/* SPDX-License-Identifier: BSD-2-Clause */
/* From a snapshot to the keys of the program for listening sockets. Pure; main thread. */
#ifndef L4_SOCK_ROWS_H
#define L4_SOCK_ROWS_H

#include <stdbool.h>
#include <stddef.h>

#include "conf/snapshot.h"
#include "loader/sockets.h"

/* Is there a proxied service that ordinary listening sockets cannot serve? */
bool sock_rows_needed(const struct snapshot *snap);

/* The row of the target that a listen_group() goes to. 0, or -ENOENT. */
typedef int (*sock_row_fn)(void *ctx, const char *group, uint32_t *ret_row);

/*
 * The rows that should stand: those of proxied services, but for their listeners on every address; and,
 * left to the stack, those of l4 services in their midst, as a packet that l4 lets pass is not the
 * proxy's. ret_rows: malloc'ed, sorted, never NULL. 0; -ENOMEM; -ENOSPC: more ranges at one address
 * than fit; or what row_of returned.
 */
int sock_rows_build(const struct snapshot *snap, sock_row_fn row_of, void *ctx,
		    struct sockets_row **ret_rows, size_t *ret_count);

#endif
