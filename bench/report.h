/* SPDX-License-Identifier: BSD-2-Clause */
/* What came out: a table for people, JSON for plot.py. */
#ifndef BENCH_REPORT_H
#define BENCH_REPORT_H

#include <stdint.h>
#include <stdio.h>

#include "bench/cases.h"

#define MAX_ROUNDS 64

/* One case with one program. Nanoseconds a packet, what the restoring takes already subtracted;
 * one sample a round, the floor's from right before. */
struct result {
	const struct bench_case *what;
	const char *program; /* file, or "" for the one built in */
	unsigned rounds;
	double ns[MAX_ROUNDS];
	double floor_ns[MAX_ROUNDS];
	double restore_ns[MAX_ROUNDS]; /* what was subtracted */
	double ratio[MAX_ROUNDS];
	uint32_t packets; /* a sample */
};

double median(const double *values, unsigned count);
double least(const double *values, unsigned count);

void report_table(FILE *out, const struct result *results, unsigned count);
/* 0 or -errno. */
int report_json(const char *path, const struct result *results, unsigned count);

#endif
