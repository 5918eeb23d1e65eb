/* SPDX-License-Identifier: BSD-2-Clause */
#include "bench/cases.h"

#define K 1024U

#define TX   SHUNT_VERDICT_TX
#define PASS SHUNT_VERDICT_PASS_NO_SERVICE

/* By the goals in docs/benchmarks.md. */
#define GOAL_SETTLED	2.6
#define GOAL_ALWAYS_1K	2.8
#define GOAL_NO_SERVICE 1.5

/* Established TCP or UDP flows; packets of flows that nothing has seen; packets for nobody here. */
#define OLD(text, pkt, n, fam, track, fwd, limit)                                                  \
	{                                                                                          \
		.name = text, .packet = pkt, .kind = FLOWS_ESTABLISHED, .flows = n, .family = fam, \
		.tracking = track, .forward = fwd, .verdict = TX, .goal = limit                    \
	}
#define FRESH(text, pkt, fam, track, fwd, counted, limit)                                          \
	{                                                                                          \
		.name = text, .packet = pkt, .kind = FLOWS_FRESH, .family = fam,                   \
		.tracking = track, .forward = fwd, .verdict = TX, .new_flows = counted,            \
		.goal = limit                                                                      \
	}
#define NOBODY(text, pkt, fam)                                                                     \
	{                                                                                          \
		.name = text, .packet = pkt, .kind = FLOWS_FRESH, .family = fam,                   \
		.tracking = SHUNT_TRACK_NEVER, .verdict = PASS, .goal = GOAL_NO_SERVICE            \
	}

#define CHANGE SHUNT_TRACK_ON_CHANGE
#define ALWAYS SHUNT_TRACK_ALWAYS
#define NEVER  SHUNT_TRACK_NEVER
#define IPIP   SHUNT_FORWARD_IPIP
#define GUE    SHUNT_FORWARD_GUE
#define NAT    SHUNT_FORWARD_NAT

const struct bench_case bench_cases[] = {
	OLD("tcp-1k-on-change", PACKET_TCP_ACK, K, 4, CHANGE, IPIP, GOAL_SETTLED),
	OLD("tcp-64k-on-change", PACKET_TCP_ACK, 64 * K, 4, CHANGE, IPIP, GOAL_SETTLED),
	OLD("tcp-1m-on-change", PACKET_TCP_ACK, K *K, 4, CHANGE, IPIP, GOAL_SETTLED),
	OLD("tcp-1k-always", PACKET_TCP_ACK, K, 4, ALWAYS, IPIP, GOAL_ALWAYS_1K),
	OLD("tcp-64k-always", PACKET_TCP_ACK, 64 * K, 4, ALWAYS, IPIP, 0),
	OLD("tcp-1m-always", PACKET_TCP_ACK, K *K, 4, ALWAYS, IPIP, 0),
	OLD("tcp-1k-never", PACKET_TCP_ACK, K, 4, NEVER, IPIP, 0),
	FRESH("syn-on-change", PACKET_TCP_SYN, 4, CHANGE, IPIP, 1, GOAL_SETTLED),
	FRESH("syn-always", PACKET_TCP_SYN, 4, ALWAYS, IPIP, 1, 0),
	FRESH("random-ack-on-change", PACKET_TCP_ACK, 4, CHANGE, IPIP, 0, GOAL_SETTLED),
	FRESH("random-ack-always", PACKET_TCP_ACK, 4, ALWAYS, IPIP, 1, 0),
	OLD("udp-1k-never", PACKET_UDP, K, 4, NEVER, IPIP, 0),
	OLD("udp-1k-always", PACKET_UDP, K, 4, ALWAYS, IPIP, 0),
	OLD("ipv6-tcp-1k-on-change", PACKET_TCP_ACK, K, 6, CHANGE, IPIP, GOAL_SETTLED),
	OLD("ipv6-tcp-1k-always", PACKET_TCP_ACK, K, 6, ALWAYS, IPIP, 0),
	OLD("ipv6-tcp-1m-always", PACKET_TCP_ACK, K *K, 6, ALWAYS, IPIP, 0),
	OLD("gue-tcp-1k-on-change", PACKET_TCP_ACK, K, 4, CHANGE, GUE, 0),
	OLD("gue-ipv6-tcp-1k-on-change", PACKET_TCP_ACK, K, 6, CHANGE, GUE, 0),
	OLD("nat-tcp-1k-on-change", PACKET_TCP_ACK, K, 4, CHANGE, NAT, 0),
	OLD("nat-udp-1k-always", PACKET_UDP, K, 4, ALWAYS, NAT, 0),
	NOBODY("other-address", PACKET_OTHER_ADDRESS, 4),
	NOBODY("other-port", PACKET_OTHER_PORT, 4),
	NOBODY("ipv6-other-address", PACKET_OTHER_ADDRESS, 6),
	NOBODY("ipv6-other-port", PACKET_OTHER_PORT, 6),
};
const unsigned bench_case_count = sizeof(bench_cases) / sizeof(bench_cases[0]);

const char *tracking_name(uint8_t tracking)
{
	switch (tracking) {
	case SHUNT_TRACK_ON_CHANGE: return "on-change";
	case SHUNT_TRACK_ALWAYS: return "always";
	case SHUNT_TRACK_NEVER: return "never";
	default: return "?";
	}
}

const char *forward_name(uint8_t forward)
{
	switch (forward) {
	case SHUNT_FORWARD_IPIP: return "ipip";
	case SHUNT_FORWARD_GUE: return "gue";
	case SHUNT_FORWARD_NAT: return "nat";
	default: return "?";
	}
}

bool forward_rewrites(uint8_t forward)
{
	return forward == SHUNT_FORWARD_NAT;
}
