/* SPDX-License-Identifier: BSD-2-Clause */
#include "l4/local_addr.h"

#include <errno.h>
#include <libmnl/libmnl.h>
#include <linux/rtnetlink.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/time.h>

#define ANSWER_MAX 8192

static size_t addr_len(const struct addr *addr)
{
	return addr->family == AF_INET ? sizeof(addr->v4) : sizeof(addr->v6);
}

static struct addr last_of(const struct listen *l)
{
	struct addr last = l->ep.addr;

	for (size_t bit = l->prefix_len; l->prefix_len && bit < 8 * addr_len(&last); bit++)
		last.bytes[bit / 8] |= (uint8_t)(0x80 >> bit % 8);
	return last;
}

static struct nlmsghdr *question(const struct addr *addr, unsigned sequence, char *buf)
{
	struct nlmsghdr *msg = mnl_nlmsg_put_header(buf);
	struct rtmsg *rtm;

	msg->nlmsg_type = RTM_GETROUTE;
	msg->nlmsg_flags = NLM_F_REQUEST;
	msg->nlmsg_seq = sequence;
	rtm = mnl_nlmsg_put_extra_header(msg, sizeof(*rtm));
	rtm->rtm_family = addr->family;
	rtm->rtm_dst_len = (uint8_t)(8 * addr_len(addr));
	mnl_attr_put(msg, RTA_DST, addr_len(addr), addr->bytes);
	return msg;
}

static int on_route(const struct nlmsghdr *msg, void *data)
{
	const struct rtmsg *rtm = mnl_nlmsg_get_payload(msg);
	bool *is_local = data;

	if (mnl_nlmsg_get_payload_len(msg) >= sizeof(*rtm))
		*is_local = rtm->rtm_type == RTN_LOCAL;
	return MNL_CB_OK;
}

/* An error as an answer is one too: no route leads there. */
static bool ask(struct mnl_socket *nl, const struct addr *addr, unsigned sequence)
{
	char buf[ANSWER_MAX];
	bool is_local = true;
	const struct nlmsghdr *msg = question(addr, sequence, buf);
	ssize_t n;

	if (mnl_socket_sendto(nl, msg, msg->nlmsg_len) < 0)
		return true;
	do
		n = mnl_socket_recvfrom(nl, buf, sizeof(buf));
	while (n < 0 && errno == EINTR);
	if (n < 0)
		return true;
	if (mnl_cb_run(buf, (size_t)n, sequence, mnl_socket_get_portid(nl), on_route, &is_local) <
	    0)
		return errno != ENETUNREACH && errno != EHOSTUNREACH;
	return is_local;
}

bool local_addr_has(const struct listen *l)
{
	struct timeval limit = {.tv_sec = 2};
	struct mnl_socket *nl = mnl_socket_open2(NETLINK_ROUTE, SOCK_CLOEXEC);
	const struct addr last = last_of(l);
	bool has = true;

	if (nl && mnl_socket_bind(nl, 0, MNL_SOCKET_AUTOPID) == 0 &&
	    setsockopt(mnl_socket_get_fd(nl), SOL_SOCKET, SO_RCVTIMEO, &limit, sizeof(limit)) == 0)
		has = ask(nl, &l->ep.addr, 1) && ask(nl, &last, 2);
	if (nl)
		mnl_socket_close(nl);
	return has;
}
