/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Processor time: of this thread, of the kernel's threads that do what is left for later, and of all
 * that the processors did. The relay's thread.
 */
#ifndef BENCH_RELAY_CLOCK_H
#define BENCH_RELAY_CLOCK_H

#include <stdint.h>

uint64_t clock_ns(void);  /* on the wall */
uint64_t thread_ns(void); /* of this thread */
/* Look for kworkers and ksoftirqd, which takes long. */
void kernel_find(void);
uint64_t kernel_ns(void); /* of all that were found, together */
uint64_t busy_ns(void);	  /* of all processors together, from ticks */

#endif
