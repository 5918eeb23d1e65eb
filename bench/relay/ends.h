/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The two ends of all lanes, in a thread of their own: the source sends a body, and the next one once
 * the sink has all of it. What a body consists of is known to both.
 */
#ifndef BENCH_RELAY_ENDS_H
#define BENCH_RELAY_ENDS_H

#include <pthread.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>
#include <time.h>

#include "bench/relay/ways.h"

struct end;

/* Of one sample. */
struct ends {
	struct relay *relay; /* its way, sizes and lanes' sockets stay as they are meanwhile */
	unsigned cpu;
	bool is_checked; /* each byte is compared with what was sent */
	bool is_spoilt;	 /* one byte is sent that is another one, to see that it is noticed */
	int done;	 /* an eventfd: said once, when no body is under way any more */
	atomic_bool stop;
	_Atomic uint64_t bytes;	 /* of bodies that have arrived */
	_Atomic uint64_t bodies; /* that have arrived whole */
	pthread_t thread;
	struct end *end;
	int file;	    /* what is sent */
	unsigned under_way; /* bodies; of the thread */
};

void ends_start(struct ends *e);
/* The processor time of the thread, which must not have been joined. */
uint64_t ends_cpu_ns(struct ends *e);
/* After done was said. */
void ends_join(struct ends *e);

#endif
