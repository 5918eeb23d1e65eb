/* SPDX-License-Identifier: BSD-2-Clause */
/* Writing captures: pcapng, with what is known of each packet, or the classic format, without. */
#ifndef CLI_PCAP_WRITE_H
#define CLI_PCAP_WRITE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

/* A packet at one moment. Borrowed for the call. */
struct pcap_packet {
	const char *interface;
	uint64_t time_ns; /* since 1970 */
	const uint8_t *bytes;
	uint32_t kept, len; /* len: on the wire */
	/* pcapng alone: */
	uint64_t id; /* the same before and after */
	uint32_t queue;
	uint64_t verdict; /* XDP_* */
	bool outbound;	  /* after */
	const char *comment;
};

struct pcap_writer;

/* Takes file, which it closes. NULL: told what is wrong. */
struct pcap_writer *pcap_writer_new(FILE *file, const char *path, bool classic, uint32_t snap);

/* False: told what is wrong; nothing more is to be written. */
bool pcap_write(struct pcap_writer *w, const struct pcap_packet *p);
bool pcap_flush(struct pcap_writer *w);

/* The file's end, with what was lost on the way. False: told what is wrong. NULL is fine. */
bool pcap_writer_close(struct pcap_writer *w, uint64_t captured, uint64_t lost);

#endif
