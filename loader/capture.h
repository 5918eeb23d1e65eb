/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Packets as they come to the attached steering program and as it leaves them. Two programs look on
 * (bpf/capture.bpf.c), which the kernel calls where the other one begins and ends; it is not changed,
 * and runs as before once they are gone. They go with the process, however it ends.
 *
 * One at a time. One thread at a time, any. The loader need be open for capture_open() alone.
 */
#ifndef LOADER_CAPTURE_H
#define LOADER_CAPTURE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "bpf/capture_abi.h"
#include "core/diag.h"

struct loader;
struct capture;

/* Once, and before any other thread uses libbpf: it learns of kinds of programs. */
void capture_init(void);

/* Takes some tenths of a second: the kernel's types are read, and its verifier runs. 0, or -errno with
 * d filled: -EOPNOTSUPP where the kernel cannot do it. */
int capture_open(const struct loader *l, const struct capture_settings *settings,
		 struct capture **ret_capture, struct diag *d);

/* Take the programs off; what was captured stays to be read. Again, or NULL: nothing happens. */
void capture_stop(struct capture *c);

void capture_close(struct capture *c); /* NULL is fine */

/* Is it the loader's present programs that are looked at? */
bool capture_is_current(const struct capture *c, const struct loader *l);

/* Not more than the limits that were set. */
void capture_totals(const struct capture *c, struct capture_totals *ret_totals);

/* Is one of the limits reached that were set? */
bool capture_is_full(const struct capture *c);

/* before: of record->before_kept bytes; after: of record->after_kept. Borrowed for the call. */
typedef void (*capture_cb)(void *ctx, const struct capture_record *record, const uint8_t *before,
			   const uint8_t *after);

/* What waits, the oldest first, up to `packets`, or so many that they have `bytes`. Returns how many, or
 * -errno. */
int capture_read(struct capture *c, size_t packets, size_t bytes, capture_cb cb, void *ctx);

#endif
