/* SPDX-License-Identifier: BSD-2-Clause */
/* Frames as clients send them, and the addresses that the benchmark's services have. */
#ifndef BENCH_FRAME_H
#define BENCH_FRAME_H

#include <stdint.h>

#define FRAME_LEN 128 /* long enough to need no padding; what stands in the data costs nothing */

#define SERVICE_PORT	 80
#define OTHER_PORT	 81
#define SERVICE_COUNT	 64 /* of each family: addresses that differ in the last byte */
#define SERVICE_MEASURED 10
#define SERVICE_NONE	 200 /* an address that is none */

enum packet_kind {
	PACKET_TCP_ACK,
	PACKET_TCP_SYN,
	PACKET_UDP,
	PACKET_OTHER_ADDRESS, /* TCP to an address that is no service's */
	PACKET_OTHER_PORT,    /* TCP to another port of a service's address */
};

struct frame {
	uint8_t data[FRAME_LEN];
};

/* The service address with this last byte: four bytes or sixteen. */
void frame_service(uint8_t family, uint8_t last, void *ret_addr);

/* From the client of flow 0. Transport checksums are left zero: nothing that is measured looks. */
void frame_build(enum packet_kind kind, uint8_t family, struct frame *ret_frame);

#endif
