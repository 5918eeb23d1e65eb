/* SPDX-License-Identifier: BSD-2-Clause */
/* The directory that everything is pinned in: made, locked, listed, removed. Main thread. */
#ifndef LOADER_PINS_H
#define LOADER_PINS_H

#include <stddef.h>
#include <sys/types.h>

#include "core/diag.h"

/* "PIN_PATH/v<N>" into buf. 0, or -ENAMETOOLONG with d filled. */
int pins_dir(const char *pin_path, char *buf, size_t len, struct diag *d);

/* Has a program of another ABI version left something below pin_path? 0: no; -EEXIST with d
 * filled. */
int pins_check_versions(const char *pin_path, struct diag *d);

/* Make dir and what is above it, on a bpf file system, which is mounted at /sys/fs/bpf if there is
 * none. 0, or -errno with d filled. */
int pins_make(const char *dir, struct diag *d);

/* Open the directory and take its lock; the lock ends with the descriptor, however the process
 * ends. 0; -EBUSY where another process has it: d names it; other -errno with d filled. */
int pins_lock(const char *dir, int *ret_fd, struct diag *d);

/* Who holds the lock; 0: nobody, or not to be found out. */
pid_t pins_lock_owner(const char *dir);

/* Call fn for every entry; its first result that is not 0 ends the walk and is returned. -errno
 * where the directory cannot be read. */
typedef int (*pins_each_fn)(void *ctx, const char *dir, const char *name);
int pins_each(const char *dir, pins_each_fn fn, void *ctx);

/* Remove all that is pinned in dir, dir itself, and pin_path if nothing else is in it. 0, or as
 * pins_lock(), or another -errno with d filled. */
int pins_purge(const char *pin_path, const char *dir, struct diag *d);

#endif
