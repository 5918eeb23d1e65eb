/* SPDX-License-Identifier: BSD-2-Clause */
/* Working memory: see room.h. */
#include "route/room.h"

#include <stdlib.h>

#include "route/room_int.h"

struct route_room *route_room_new(size_t text_max)
{
	struct route_room *room = calloc(1, sizeof(*room));

	if (!room)
		return NULL;
	room->text_max = text_max;
	room->texts = malloc(ROOM_TEXTS * text_max + 1);
	room->regex = regex_room_new();
	if (room->texts && room->regex)
		return room;
	route_room_free(room);
	return NULL;
}

void route_room_free(struct route_room *room)
{
	if (!room)
		return;
	regex_room_free(room->regex);
	free(room->texts);
	free(room);
}

uint64_t route_room_gave_up(const struct route_room *room)
{
	return room->gave_up;
}
