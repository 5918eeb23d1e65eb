/* SPDX-License-Identifier: BSD-2-Clause */
/* What shunt-load prints: for people, or as JSON. Main thread. */
#ifndef LOADER_REPORT_H
#define LOADER_REPORT_H

#include <stdbool.h>
#include <stddef.h>

#include "loader/loader.h"
#include "loader/probe.h"
#include "loader/sockets.h"

/* To standard output. sockets: of the program for listening sockets; NULL: not loaded. 0, or -errno where something could not be read. */
int report_status(struct loader *l, const struct sockets_info *sockets, bool json);
int report_sockets(const struct sockets_info *sockets, bool json); /* where they are all there is */
int report_probe(const struct probe_item *items, size_t count, bool json);

#endif
