/* SPDX-License-Identifier: BSD-2-Clause */
/* What the kernel knows of a TCP socket, for those who ask what goes on; one system call. Any thread that
 * may use the descriptor. A file of its own, as the kernel's header and the C library's exclude each other. */
#ifndef L7_SOCK_INFO_H
#define L7_SOCK_INFO_H

#include <stdint.h>

struct sock_info {
	uint64_t bytes_in,
		bytes_out; /* of payload, TLS included; out: that the peer has acknowledged */
	uint64_t idle_ms;  /* since payload came or was sent */
};

/* Zeroes where fd is no TCP socket. */
void sock_info(int fd, struct sock_info *ret_info);

#endif
