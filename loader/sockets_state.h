/* SPDX-License-Identifier: BSD-2-Clause */
/* What the files loader/sockets*.c know of an open struct sockets. Nobody else includes it. Main
 * thread. */
#ifndef LOADER_SOCKETS_STATE_H
#define LOADER_SOCKETS_STATE_H

#include <limits.h>

#include "loader/sockets.h"

/* The three with keys are in the order of enum sockets_table. */
enum sockets_map {
	SOCKETS_MAP_EXACT,
	SOCKETS_MAP_ADDRS,
	SOCKETS_MAP_PREFIXES,
	SOCKETS_MAP_SOCKETS,
	SOCKETS_MAP_TARGETS,
	SOCKETS_MAP_META,
	SOCKETS_MAP_STATS,
	SOCKETS_MAP_COUNT
};

extern const char *const sockets_map_names[SOCKETS_MAP_COUNT];

struct sockets {
	char dir[PATH_MAX]; /* PIN_PATH/sockets-v<N> */
	int dir_fd;	    /* locked */
	int link_fd;
	int map_fds[SOCKETS_MAP_COUNT];
	volatile uint64_t *targets; /* sk_targets, mapped */
	bool adopted;
};

#endif
