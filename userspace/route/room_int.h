/* SPDX-License-Identifier: BSD-2-Clause */
/* Inside of route_room: for regex.c, room.c and input.c alone. */
#ifndef ROUTE_ROOM_INT_H
#define ROUTE_ROOM_INT_H

#include "route/regex.h"
#include "route/room.h"

/* An operator looks at two values at the same time. */
#define ROOM_TEXTS 2

struct route_room {
	struct regex_room *regex;
	uint64_t gave_up;
	size_t text_max;
	unsigned next; /* text to write to */
	char *texts;   /* ROOM_TEXTS of text_max bytes */
};

#endif
