/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The capture that is under way, one at a time: begun for somebody who reads it by its id, and ended at
 * its limits, by whoever knows the id, when nobody has read for CAPTURES_LEASE_MS, or by the daemon. What
 * was captured can be read to its end. Main thread.
 */
#ifndef CONTROL_CAPTURES_H
#define CONTROL_CAPTURES_H

#include <stdbool.h>
#include <stdint.h>
#include <uv.h>

#include "bpf/abi.h"
#include "loader/capture.h"

#define CAPTURES_LEASE_MS 10000
#define CAPTURES_ID_LEN	  17 /* hexadecimal digits and a zero */

struct loader;

enum captures_state {
	CAPTURES_NONE,
	CAPTURES_OPENING, /* beside the loop; the tables are open there */
	CAPTURES_RUNNING,
	CAPTURES_ENDED, /* there may be packets to be read */
};

/* Owner: the caller, until its loop has closed all handles. */
struct captures {
	uv_timer_t timer;
	enum captures_state state;
	struct capture *capture;     /* NULL: not open */
	struct loader *of;	     /* whose programs are looked at; not followed after the end */
	char id[CAPTURES_ID_LEN];    /* not to be guessed */
	const char *why;	     /* it has ended; literal */
	uint64_t until_ms, lease_ms; /* clock_now_ms() */
	uint64_t
		epoch_ns; /* of CLOCK_REALTIME, when the records' clock was 0: one for all of them */
	long pid;	  /* who asked for it; 0: not known */
	uint32_t service_row; /* of the service that is asked for: 1 + row; 0: any */
	char service[SHUNT_NAME_MAX];
	bool headers; /* lines for people are wanted */
};

void captures_init(struct captures *c, uv_loop_t *loop); /* once: see capture_init() */
void captures_deinit(struct captures *c);		 /* after the loop */

/* Is there one that has not ended? */
bool captures_is_busy(const struct captures *c);

/* Takes an open capture, of this loader, which is to end after so long. 0, or -errno: no id could be
 * made, and it was closed. */
int captures_begin(struct captures *c, struct capture *capture, struct loader *of, uint64_t for_ms);

/* Is there one of this id? Whoever asks is given another CAPTURES_LEASE_MS. */
bool captures_find(struct captures *c, const char *id);

/* What waits, as capture_read(); after the last of one that has ended it is forgotten. */
int captures_read(struct captures *c, size_t packets, size_t bytes, capture_cb cb, void *ctx);

/* why: literal. One that has ended, or none: nothing happens. */
void captures_end(struct captures *c, const char *why);

/* One that has ended, with what nobody has read of it. */
void captures_forget(struct captures *c);

#endif
