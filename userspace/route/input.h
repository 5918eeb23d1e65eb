/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * What rules can see of a request, whoever read it and by whatever protocol. Borrowed from the
 * caller for one question. Pure; any thread.
 */
#ifndef ROUTE_INPUT_H
#define ROUTE_INPUT_H

#include <stdbool.h>
#include <stddef.h>

#include "core/addr.h"
#include "core/slice.h"
#include "route/room.h"

struct route_input;

/* The next line of header field `name` (in lower case) from line number *cursor on, which is moved
 * behind it. False: no more. */
typedef bool (*route_next_field)(const struct route_input *in, struct slice name, unsigned *cursor,
				 struct slice *ret_value);

struct route_field {
	struct slice name, value;
};

struct route_input {
	struct slice method, scheme;
	struct slice host;  /* without port, in lower case, without a dot at its end */
	struct slice path;  /* in its one form, without the query */
	struct slice query; /* without the "?"; as it came */
	struct slice sni;   /* in lower case; empty: none */
	struct addr source; /* of the client */
	route_next_field next_field;
	const void *fields;   /* next_field's */
	unsigned field_count; /* the same */
	struct route_room *room;
};

/* A next_field over an array of struct route_field. */
bool route_next_in_array(const struct route_input *in, struct slice name, unsigned *cursor,
			 struct slice *ret_value);

/*
 * The first value of that name; false: there is none. Names of header fields are in lower case, those
 * of parameters and cookies are compared byte by byte. A parameter's value is decoded ("%41", "+"),
 * as the server behind would read it; a decoded one is in the room, where it stays until two more
 * have been asked for. One that is longer than the room is not there.
 */
bool route_header(const struct route_input *in, struct slice name, struct slice *ret_value);
bool route_parameter(const struct route_input *in, struct slice name, struct slice *ret_value);
bool route_cookie(const struct route_input *in, struct slice name, struct slice *ret_value);

/* Parameters and cookies one by one: *rest is what is left to read; names and values as they came. */
bool route_next_pair(struct slice *rest, char separator, struct slice *ret_name,
		     struct slice *ret_value);

#endif
