/* SPDX-License-Identifier: BSD-2-Clause */
/* The large tables, made by several threads at once. Main thread; the others end before it goes on. */
#ifndef LOADER_TABLES_H
#define LOADER_TABLES_H

#include <bpf/libbpf.h>

/*
 * Make those of the object's maps that are large and that nobody has given it a descriptor for, as
 * bpf_object__load() would after, which then finds them there. What cannot be made is left to it, and so
 * is saying why. obj: open, with its sizes set, and not loaded.
 */
void tables_make(struct bpf_object *obj);

#endif
