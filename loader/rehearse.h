/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * What would become of a packet? The steering program of this build is loaded once more, attached to
 * nothing, and run by the kernel on the packet. It reads the tables that the attached one reads. All
 * that a packet can change (flows, stamps of slots, counters, accounts) are tables of its own, into
 * which what they have of the packet at hand is copied first: nothing that real packets meet is
 * touched. Packets of one rehearsal come one after the other: each meets what those before it left.
 *
 * Not the same as for a real packet: accounts of one processor (insert_rate, icmp_rate) begin with
 * nothing used, the tables of NAT with room and with all ports free but those of the packet's flow.
 *
 * An open loader must outlive it. One thread at a time, any.
 */
#ifndef LOADER_REHEARSE_H
#define LOADER_REHEARSE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "bpf/abi.h"
#include "core/diag.h"

#define REHEARSE_FRAME_MAX 3072 /* that a test run takes in one piece */
#define REHEARSE_OUT_MAX   (REHEARSE_FRAME_MAX + 256)

enum rehearse_action { REHEARSE_DROP, REHEARSE_PASS, REHEARSE_SEND, REHEARSE_ERROR };

/* A flow's entry, as it was found for the packet or as the packet left it. */
enum rehearse_entry {
	REHEARSE_ENTRY_NONE,
	REHEARSE_ENTRY_PENDING,
	REHEARSE_ENTRY_FLOW,
	REHEARSE_ENTRY_NAT,
	REHEARSE_ENTRY_FRAGMENT, /* where the first fragment went */
};

struct rehearse_result {
	enum rehearse_action action;
	enum shunt_verdict verdict; /* _COUNT: none was counted */
	bool has_service;
	uint32_t service; /* row */
	char service_name[SHUNT_NAME_MAX];
	struct shunt_service record;  /* the service's; as one of its keys has it */
	struct shunt_svc_stats stats; /* what the packet added */
	uint32_t backend;	      /* id; 0: none */
	struct shunt_be_meta backend_meta;
	struct shunt_backend backend_row;
	enum rehearse_entry before, after;     /* of the packet's flow */
	uint32_t before_backend;	       /* that it named, void or not */
	bool has_slot;			       /* where a ring was asked, or would be */
	uint32_t ring_row, ring_size, slot_at; /* slot_at: within the ring */
	struct shunt_slot slot;
	uint32_t out_len;
	uint8_t out[REHEARSE_OUT_MAX];
};

struct loader;
struct rehearsal;

/* Takes some tenths of a second, most of it the kernel's verifier. 0, or -errno with d filled. */
int rehearse_open(const struct loader *l, struct rehearsal **ret_r, struct diag *d);
void rehearse_close(struct rehearsal *r); /* NULL is fine */

/* frame: from its Ethernet header on. ifindex: that it comes in by; 0: any. 0, or -errno: -EINVAL too
 * where the interface or the frame is none that the kernel runs programs on. */
int rehearse_packet(struct rehearsal *r, const uint8_t *frame, size_t len, uint32_t ifindex,
		    struct rehearse_result *ret_result);

#endif
