/* SPDX-License-Identifier: BSD-2-Clause */
/* What is measured: one row a case. */
#ifndef BENCH_CASES_H
#define BENCH_CASES_H

#include <stdbool.h>
#include <stdint.h>

#include "bench/frame.h"
#include "bpf/abi.h"

enum flow_kind {
	FLOWS_ESTABLISHED, /* have sent their first packets before the clock runs */
	FLOWS_FRESH,	   /* each packet is one that nothing has seen */
};

struct bench_case {
	const char *name;
	enum packet_kind packet;
	enum flow_kind kind;
	uint32_t flows; /* a power of two; of FLOWS_ESTABLISHED */
	uint8_t family;
	uint8_t tracking;  /* enum shunt_tracking */
	uint8_t forward;   /* enum shunt_forward */
	uint8_t verdict;   /* enum shunt_verdict that every packet must get */
	uint8_t new_flows; /* does every packet count as a new flow? Else none may. */
	double goal;	   /* at most so many times the floor; 0: none set */
};

extern const struct bench_case bench_cases[];
extern const unsigned bench_case_count;

const char *tracking_name(uint8_t tracking);
const char *forward_name(uint8_t forward);
/* Is the packet itself written to, and not only what stands before it? */
bool forward_rewrites(uint8_t forward);

#endif
