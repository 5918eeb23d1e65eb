/* SPDX-License-Identifier: BSD-2-Clause */
/* What the steering program makes of a packet, in words: those of bpf/abi.h, which metrics have too.
 * Literals; any thread. */
#ifndef CONTROL_PACKET_NAMES_H
#define CONTROL_PACKET_NAMES_H

/* NULL where there is no such number, as for SHUNT_VERDICT_COUNT and SHUNT_DROP_COUNT. */
const char *packet_verdict_name(unsigned verdict);
const char *packet_drop_name(unsigned drop);

#endif
