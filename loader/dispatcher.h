/* SPDX-License-Identifier: BSD-2-Clause */
/* libxdp's dispatcher: several XDP programs on one interface. Main thread. */
#ifndef LOADER_DISPATCHER_H
#define LOADER_DISPATCHER_H

#include <stdbool.h>
#include <stddef.h>

/* Can this machine run one? Tries it with libxdp's own object file, on no interface. why: what is
 * missing where it cannot. */
bool dispatcher_is_supported(char *why, size_t len);

/*
 * Call fn, which asks libxdp for a change on an interface, and return what it returns. Where the
 * kernel refuses libxdp's dispatcher for our program, it is called again with another one in its
 * place, and so from then on.
 */
typedef int (*dispatcher_fn)(void *ctx);
int dispatcher_call(dispatcher_fn fn, void *ctx);

#endif
