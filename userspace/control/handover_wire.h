/* SPDX-License-Identifier: BSD-2-Clause */
/* Messages between a daemon and the process that is to take its place: a few words and descriptors, on
 * a pair of sockets that keep messages apart. Any thread. */
#ifndef CONTROL_HANDOVER_WIRE_H
#define CONTROL_HANDOVER_WIRE_H

#include <stddef.h>

#define HANDOVER_FDS_MAX  250 /* the kernel passes on so many at a time, and three more */
#define HANDOVER_TEXT_MAX 1024

/* What they say: FAILED is followed by why. */
#define HANDOVER_CHECK	 "check" /* is this document good here? A descriptor: what is handed over */
#define HANDOVER_CHECKED "checked"
#define HANDOVER_STATE	 "state" /* take over; the same, then HANDOVER_SOCKETS */
#define HANDOVER_SOCKETS "sockets"
#define HANDOVER_READY	 "ready"
#define HANDOVER_FAILED	 "failed "

struct handover_message {
	char text[HANDOVER_TEXT_MAX];
	int fds[HANDOVER_FDS_MAX]; /* the receiver's */
	size_t count;
};

/* 0, or -errno. */
int handover_send(int sock, const char *text, const int *fds, size_t count);

/* Waits, unless the socket does not. 0, or -errno; -EPIPE: the other end is closed. */
int handover_receive(int sock, struct handover_message *ret_message);

#endif
