/* SPDX-License-Identifier: BSD-2-Clause */
#include "l4/neigh_wire.h"

#include <errno.h>
#include <libmnl/libmnl.h>
#include <linux/neighbour.h>
#include <linux/rtnetlink.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/time.h>
#include <time.h>

/* Marks entries as ours (NDA_PROTOCOL); of the numbers that the kernel leaves to user space. */
#define PROTOCOL_SHUNT 0xd3

/* The kernel never answers with a larger datagram (dumps), and these messages are far smaller. */
#define BUFFER 32768

#define ASK_TIMEOUT_S 2

static int open_socket(struct mnl_socket **ret_socket)
{
	struct mnl_socket *s = mnl_socket_open2(NETLINK_ROUTE, SOCK_CLOEXEC);

	if (s == NULL)
		return -errno;
	if (mnl_socket_bind(s, 0, MNL_SOCKET_AUTOPID) < 0) {
		int err = -errno;

		mnl_socket_close(s);
		return err;
	}
	*ret_socket = s;
	return 0;
}

static int subscribe(struct mnl_socket *s)
{
	static const int groups[] = {
		RTNLGRP_NEIGH,	     RTNLGRP_LINK,	RTNLGRP_IPV4_ROUTE, RTNLGRP_IPV6_ROUTE,
		RTNLGRP_IPV4_IFADDR, RTNLGRP_IPV4_RULE, RTNLGRP_IPV6_RULE,
	};

	for (size_t i = 0; i < sizeof(groups) / sizeof(groups[0]); i++) {
		int group = groups[i];

		if (mnl_socket_setsockopt(s, NETLINK_ADD_MEMBERSHIP, &group, sizeof(group)) < 0)
			return -errno;
	}
	return 0;
}

int neigh_wire_open(struct neigh_wire *w)
{
	struct timeval limit = {.tv_sec = ASK_TIMEOUT_S};
	int err = open_socket(&w->ask);

	if (err == 0 && setsockopt(mnl_socket_get_fd(w->ask), SOL_SOCKET, SO_RCVTIMEO, &limit,
				   sizeof(limit)) < 0)
		err = -errno;
	if (err == 0)
		err = open_socket(&w->events);
	if (err == 0)
		err = subscribe(w->events);
	if (err < 0)
		neigh_wire_close(w);
	return err;
}

void neigh_wire_close(struct neigh_wire *w)
{
	if (w->ask != NULL)
		mnl_socket_close(w->ask);
	if (w->events != NULL)
		mnl_socket_close(w->events);
	*w = (struct neigh_wire){0};
}

int neigh_wire_fd(const struct neigh_wire *w)
{
	return mnl_socket_get_fd(w->events);
}

/* Send one request and take its answers until the kernel says that this was all. */
static int ask(struct neigh_wire *w, struct nlmsghdr *msg, mnl_cb_t cb, void *ctx)
{
	static unsigned sequence;
	char buf[BUFFER];
	unsigned port = mnl_socket_get_portid(w->ask);
	int more = MNL_CB_OK;

	msg->nlmsg_seq = ++sequence;
	msg->nlmsg_flags |= NLM_F_REQUEST;
	/* Two bits, one of which is NLM_F_REPLACE elsewhere. */
	if ((msg->nlmsg_flags & NLM_F_DUMP) != NLM_F_DUMP)
		msg->nlmsg_flags |= NLM_F_ACK;
	if (mnl_socket_sendto(w->ask, msg, msg->nlmsg_len) < 0)
		return -errno;
	while (more > 0) {
		ssize_t n = mnl_socket_recvfrom(w->ask, buf, sizeof(buf));

		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0)
			return -errno;
		/* Left over from a request that took too long? */
		if (((const struct nlmsghdr *)buf)->nlmsg_seq == sequence)
			more = mnl_cb_run(buf, (size_t)n, sequence, port, cb, ctx);
	}
	return more < 0 ? -errno : 0;
}

static size_t addr_len(uint8_t family)
{
	return family == AF_INET ? 4 : 16;
}

static void put_addr(struct nlmsghdr *msg, uint16_t type, const struct addr *addr)
{
	mnl_attr_put(msg, type, addr_len(addr->family), addr->bytes);
}

/* False: it is not an address of this family. */
static bool take_addr(const void *bytes, size_t len, uint8_t family, struct addr *ret_addr)
{
	if ((family != AF_INET && family != AF_INET6) || len != addr_len(family))
		return false;
	*ret_addr = (struct addr){.family = family};
	memcpy(ret_addr->bytes, bytes, len);
	return true;
}

/* ---- routes ---- */

struct route_answer {
	struct hop_id *hops;
	size_t max, count;
	struct addr dst;
	bool unicast;
};

/* The router that an attribute of a route, or of one of its branches, names. */
static void take_router(const struct nlattr *attr, uint8_t family, struct addr *ret_addr)
{
	const uint8_t *bytes = mnl_attr_get_payload(attr);
	size_t len = mnl_attr_get_payload_len(attr);

	if (mnl_attr_get_type(attr) == RTA_GATEWAY) {
		(void)take_addr(bytes, len, family, ret_addr);
	} else if (mnl_attr_get_type(attr) == RTA_VIA && len > sizeof(struct rtvia)) {
		const struct rtvia *via = (const void *)bytes;

		(void)take_addr(via->rtvia_addr, len - sizeof(*via), (uint8_t)via->rtvia_family,
				ret_addr);
	}
}

static void add_hop(struct route_answer *a, uint32_t ifindex, const struct addr *router)
{
	if (ifindex == 0 || a->count == a->max)
		return;
	a->hops[a->count++] = (struct hop_id){
		.ifindex = ifindex,
		.addr = router->family != 0 ? *router : a->dst,
	};
}

/* Each branch is a struct rtnexthop and its attributes. */
static void take_branches(struct route_answer *a, const struct nlattr *list)
{
	const struct rtnexthop *branch = mnl_attr_get_payload(list);
	int len = mnl_attr_get_payload_len(list);

	while (RTNH_OK(branch, len)) {
		const struct nlattr *attr = (const void *)RTNH_DATA(branch);
		const char *end = (const char *)branch + branch->rtnh_len;
		struct addr router = {0};

		for (; mnl_attr_ok(attr, (int)(end - (const char *)attr));
		     attr = mnl_attr_next(attr))
			take_router(attr, a->dst.family, &router);
		add_hop(a, (uint32_t)branch->rtnh_ifindex, &router);
		len -= RTNH_ALIGN(branch->rtnh_len);
		branch = RTNH_NEXT(branch);
	}
}

static int on_route(const struct nlmsghdr *msg, void *ctx)
{
	const struct rtmsg *rtm = mnl_nlmsg_get_payload(msg);
	struct route_answer *a = ctx;
	struct addr router = {0};
	const struct nlattr *attr;
	uint32_t ifindex = 0;

	if (msg->nlmsg_type != RTM_NEWROUTE || mnl_nlmsg_get_payload_len(msg) < sizeof(*rtm))
		return MNL_CB_OK;
	a->unicast = rtm->rtm_type == RTN_UNICAST;
	mnl_attr_for_each(attr, msg, sizeof(*rtm))
	{
		switch (mnl_attr_get_type(attr)) {
		case RTA_OIF: ifindex = mnl_attr_get_u32(attr); break;
		case RTA_MULTIPATH: take_branches(a, attr); break;
		default: take_router(attr, a->dst.family, &router); break;
		}
	}
	add_hop(a, ifindex, &router);
	return MNL_CB_OK;
}

/* The entry of the routing table, not the path of one packet: with all its branches. */
int neigh_wire_route(struct neigh_wire *w, const struct addr *dst, struct hop_id *ret_hops,
		     size_t max, size_t *ret_count)
{
	struct route_answer answer = {.hops = ret_hops, .max = max, .dst = *dst};
	char buf[256];
	struct nlmsghdr *msg = mnl_nlmsg_put_header(buf);
	struct rtmsg *rtm = mnl_nlmsg_put_extra_header(msg, sizeof(*rtm));
	int err;

	msg->nlmsg_type = RTM_GETROUTE;
	rtm->rtm_family = dst->family;
	rtm->rtm_dst_len = (uint8_t)(addr_len(dst->family) * 8);
	rtm->rtm_flags = RTM_F_FIB_MATCH;
	put_addr(msg, RTA_DST, dst);
	err = ask(w, msg, on_route, &answer);
	if (err < 0)
		return err;
	if (!answer.unicast || answer.count == 0)
		return -EHOSTUNREACH;
	*ret_count = answer.count;
	return 0;
}

/* ---- neighbours ---- */

static bool read_news(const struct nlmsghdr *msg, struct hop_news *ret_news)
{
	const struct ndmsg *ndm = mnl_nlmsg_get_payload(msg);
	struct hop_news news = {0};
	const struct nlattr *attr;

	if (mnl_nlmsg_get_payload_len(msg) < sizeof(*ndm))
		return false;
	news.id.ifindex = (uint32_t)ndm->ndm_ifindex;
	news.state = msg->nlmsg_type == RTM_DELNEIGH ? 0 : ndm->ndm_state;
	mnl_attr_for_each(attr, msg, sizeof(*ndm))
	{
		if (mnl_attr_get_type(attr) == NDA_DST)
			(void)take_addr(mnl_attr_get_payload(attr), mnl_attr_get_payload_len(attr),
					ndm->ndm_family, &news.id.addr);
		else if (mnl_attr_get_type(attr) == NDA_PROTOCOL)
			news.ours = mnl_attr_get_u8(attr) == PROTOCOL_SHUNT;
	}
	*ret_news = news;
	return news.id.addr.family != 0;
}

static struct nlmsghdr *put_neigh(char *buf, uint16_t type, const struct hop_id *id)
{
	struct nlmsghdr *msg = mnl_nlmsg_put_header(buf);
	struct ndmsg *ndm = mnl_nlmsg_put_extra_header(msg, sizeof(*ndm));

	msg->nlmsg_type = type;
	ndm->ndm_family = id->addr.family;
	ndm->ndm_ifindex = (int)id->ifindex;
	put_addr(msg, NDA_DST, &id->addr);
	return msg;
}

static int on_one(const struct nlmsghdr *msg, void *ctx)
{
	struct hop_news *news = ctx;

	if (msg->nlmsg_type == RTM_NEWNEIGH && !read_news(msg, news))
		return MNL_CB_ERROR;
	return MNL_CB_OK;
}

int neigh_wire_get(struct neigh_wire *w, const struct hop_id *id, struct hop_news *ret_news)
{
	struct hop_news news = {0};
	char buf[256];
	int err = ask(w, put_neigh(buf, RTM_GETNEIGH, id), on_one, &news);

	if (err == 0)
		*ret_news = news;
	return err;
}

int neigh_wire_keep(struct neigh_wire *w, const struct hop_id *id, bool managed)
{
	char buf[256];
	struct nlmsghdr *msg = put_neigh(buf, RTM_NEWNEIGH, id);
	struct ndmsg *ndm = mnl_nlmsg_get_payload(msg);

	msg->nlmsg_flags = NLM_F_CREATE | NLM_F_REPLACE;
	ndm->ndm_flags = NTF_USE;
	mnl_attr_put_u8(msg, NDA_PROTOCOL, PROTOCOL_SHUNT);
	if (managed)
		mnl_attr_put_u32(msg, NDA_FLAGS_EXT, NTF_EXT_MANAGED);
	return ask(w, msg, NULL, NULL);
}

int neigh_wire_drop(struct neigh_wire *w, const struct hop_id *id)
{
	char buf[256];

	return ask(w, put_neigh(buf, RTM_DELNEIGH, id), NULL, NULL);
}

struct news_sink {
	neigh_news_cb cb;
	void *ctx;
	bool routes;
};

static int on_news(const struct nlmsghdr *msg, void *ctx)
{
	struct news_sink *sink = ctx;
	struct hop_news news;

	if (msg->nlmsg_type != RTM_NEWNEIGH && msg->nlmsg_type != RTM_DELNEIGH)
		sink->routes = true;
	else if (read_news(msg, &news))
		sink->cb(sink->ctx, &news);
	return MNL_CB_OK;
}

int neigh_wire_list(struct neigh_wire *w, neigh_news_cb cb, void *ctx)
{
	struct news_sink sink = {.cb = cb, .ctx = ctx};
	char buf[256];
	struct nlmsghdr *msg = mnl_nlmsg_put_header(buf);

	msg->nlmsg_type = RTM_GETNEIGH;
	msg->nlmsg_flags = NLM_F_DUMP;
	(void)mnl_nlmsg_put_extra_header(msg, sizeof(struct ndmsg));
	return ask(w, msg, on_news, &sink);
}

/* A burst is taken in pieces: the rest makes the socket readable again. */
#define EVENT_DATAGRAMS 256

int neigh_wire_events(struct neigh_wire *w, neigh_news_cb cb, void *ctx, bool *ret_routes)
{
	struct news_sink sink = {.cb = cb, .ctx = ctx};
	int fd = neigh_wire_fd(w), err = 0;
	bool lost = false;
	char buf[BUFFER];

	for (int i = 0; i < EVENT_DATAGRAMS && err == 0; i++) {
		ssize_t n = recv(fd, buf, sizeof(buf), MSG_DONTWAIT);

		if (n < 0 && errno == ENOBUFS)
			lost = true;
		else if (n < 0 && errno != EINTR)
			err = -errno;
		else if (n > 0)
			(void)mnl_cb_run(buf, (size_t)n, 0, 0, on_news, &sink); /* none fails */
	}
	*ret_routes = sink.routes;
	if (err == 0 || err == -EAGAIN)
		return lost ? -ENOBUFS : 0;
	return err;
}
