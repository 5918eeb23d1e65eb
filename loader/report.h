/* SPDX-License-Identifier: BSD-2-Clause */
/* What shunt-load prints: for people, or as JSON. Main thread. */
#ifndef LOADER_REPORT_H
#define LOADER_REPORT_H

#include <stdbool.h>
#include <stddef.h>

#include "loader/loader.h"
#include "loader/probe.h"

/* To standard output. 0, or -errno where something could not be read. */
int report_status(struct loader *l, bool json);
int report_probe(const struct probe_item *items, size_t count, bool json);

#endif
