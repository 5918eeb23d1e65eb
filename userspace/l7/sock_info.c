/* SPDX-License-Identifier: BSD-2-Clause */
#include "l7/sock_info.h"

#include <linux/tcp.h>
#include <netinet/in.h>
#include <sys/socket.h>

void sock_info(int fd, struct sock_info *ret_info)
{
	struct tcp_info t = {0};
	socklen_t len = sizeof(t);

	(void)getsockopt(fd, IPPROTO_TCP, TCP_INFO, &t, &len); /* else: zeroes */
	*ret_info = (struct sock_info){
		.bytes_in = t.tcpi_bytes_received,
		.bytes_out = t.tcpi_bytes_acked,
		.idle_ms = t.tcpi_last_data_recv < t.tcpi_last_data_sent ? t.tcpi_last_data_recv
									 : t.tcpi_last_data_sent,
	};
}
