/* SPDX-License-Identifier: BSD-2-Clause */
#include "loader/decap_netlink.h"

#include <arpa/inet.h>
#include <errno.h>
#include <linux/if_addr.h>
#include <linux/if_link.h>
#include <linux/inet_diag.h>
#include <linux/netfilter.h>
#include <linux/netfilter/nf_tables.h>
#include <linux/netfilter/nfnetlink.h>
#include <linux/rtnetlink.h>
#include <linux/sock_diag.h>
#include <netinet/tcp.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/time.h>

#include <libmnl/libmnl.h>

/* The kernel answers at once: longer than this, it does not. */
#define ANSWER_TIMEOUT_S 5

/* Send a request and hand each message of the answer to cb. */
static int ask(int bus, struct nlmsghdr *req, mnl_cb_t cb, void *ctx)
{
	const struct timeval timeout = {.tv_sec = ANSWER_TIMEOUT_S};
	/* What the kernel fills for a dump at most; it never splits a message. */
	static char answer[32768];
	struct mnl_socket *sock = mnl_socket_open2(bus, SOCK_CLOEXEC);
	int err = 0, more = 1;

	if (!sock)
		return -errno;
	req->nlmsg_flags |= NLM_F_REQUEST | NLM_F_ACK;
	req->nlmsg_seq = 1;
	if (mnl_socket_bind(sock, 0, MNL_SOCKET_AUTOPID) < 0 ||
	    setsockopt(mnl_socket_get_fd(sock), SOL_SOCKET, SO_RCVTIMEO, &timeout,
		       sizeof(timeout)) ||
	    mnl_socket_sendto(sock, req, req->nlmsg_len) < 0)
		err = -errno;
	while (!err && more > 0) {
		ssize_t len = mnl_socket_recvfrom(sock, answer, sizeof(answer));

		if (len >= 0)
			more = mnl_cb_run(answer, (size_t)len, req->nlmsg_seq,
					  mnl_socket_get_portid(sock), cb, ctx);
		if (len < 0 || more < 0)
			err = -errno;
	}
	mnl_socket_close(sock);
	return err;
}

/* A growing array; the callbacks of dumps stop with ENOMEM where it cannot grow. */
struct list {
	void *items;
	size_t count, size;
};

static void *list_add(struct list *list)
{
	void *grown = reallocarray(list->items, list->count + 1, list->size);

	if (!grown) {
		errno = ENOMEM;
		return NULL;
	}
	list->items = grown;
	grown = (char *)grown + list->count++ * list->size;
	memset(grown, 0, list->size);
	return grown;
}

static int dump(int bus, struct nlmsghdr *req, mnl_cb_t cb, struct list *list)
{
	int err;

	req->nlmsg_flags |= NLM_F_DUMP;
	err = ask(bus, req, cb, list);
	if (err)
		free(list->items);
	return err;
}

static uint32_t attr_u32(const struct nlattr *attr)
{
	return mnl_attr_get_payload_len(attr) >= sizeof(uint32_t) ? mnl_attr_get_u32(attr) : 0;
}

static void attr_text(const struct nlattr *attr, char *buf, size_t len)
{
	snprintf(buf, len, "%.*s", (int)mnl_attr_get_payload_len(attr),
		 (const char *)mnl_attr_get_payload(attr));
}

static struct addr attr_addr(const struct nlattr *attr)
{
	struct addr addr = {};
	size_t len = mnl_attr_get_payload_len(attr);

	if (len != 4 && len != 16)
		return addr;
	addr.family = len == 4 ? AF_INET : AF_INET6;
	memcpy(addr.bytes, mnl_attr_get_payload(attr), len);
	return addr;
}

static size_t addr_len(const struct addr *addr)
{
	return addr->family == AF_INET6 ? 16 : 4;
}

/* ---- links and addresses */

static int on_link(const struct nlmsghdr *msg, void *ctx)
{
	const struct ifinfomsg *info = mnl_nlmsg_get_payload(msg);
	struct fact_iface *iface = list_add(ctx);
	const struct nlattr *attr, *inner;

	if (!iface)
		return MNL_CB_ERROR;
	iface->index = (unsigned)info->ifi_index;
	iface->up = info->ifi_flags & IFF_UP;
	iface->arp = !(info->ifi_flags & (IFF_NOARP | IFF_LOOPBACK));
	mnl_attr_for_each(attr, msg, sizeof(*info))
	{
		switch (mnl_attr_get_type(attr)) {
		case IFLA_IFNAME: attr_text(attr, iface->name, sizeof(iface->name)); break;
		case IFLA_MTU: iface->mtu = attr_u32(attr); break;
		case IFLA_LINKINFO:
			mnl_attr_for_each_nested(inner, attr) if (mnl_attr_get_type(inner) ==
								  IFLA_INFO_KIND)
				attr_text(inner, iface->kind, sizeof(iface->kind));
			break;
		default: break;
		}
	}
	return MNL_CB_OK;
}

int netlink_links(struct fact_iface **ret_list, size_t *ret_count)
{
	char buf[MNL_NLMSG_HDRLEN + 64];
	struct nlmsghdr *req = mnl_nlmsg_put_header(buf);
	struct ifinfomsg *info = mnl_nlmsg_put_extra_header(req, sizeof(*info));
	struct list list = {.size = sizeof(struct fact_iface)};
	int err;

	req->nlmsg_type = RTM_GETLINK;
	mnl_attr_put_u32(req, IFLA_EXT_MASK, RTEXT_FILTER_SKIP_STATS);
	err = dump(NETLINK_ROUTE, req, on_link, &list);
	if (!err) {
		*ret_list = list.items;
		*ret_count = list.count;
	}
	return err;
}

static int on_address(const struct nlmsghdr *msg, void *ctx)
{
	const struct ifaddrmsg *info = mnl_nlmsg_get_payload(msg);
	struct fact_address *address = list_add(ctx);
	uint32_t flags = info->ifa_flags;
	const struct nlattr *attr;

	if (!address)
		return MNL_CB_ERROR;
	address->len = info->ifa_prefixlen;
	address->ifindex = info->ifa_index;
	address->scope_host = info->ifa_scope == RT_SCOPE_HOST;
	mnl_attr_for_each(attr, msg, sizeof(*info))
	{
		switch (mnl_attr_get_type(attr)) {
		/* The host's own; IFA_ADDRESS is the other end's where there is one. */
		case IFA_LOCAL: address->addr = attr_addr(attr); break;
		case IFA_ADDRESS:
			if (!address->addr.family)
				address->addr = attr_addr(attr);
			break;
		case IFA_FLAGS: flags = attr_u32(attr); break;
		default: break;
		}
	}
	address->tentative = flags & IFA_F_TENTATIVE;
	address->dad_failed = flags & IFA_F_DADFAILED;
	return MNL_CB_OK;
}

int netlink_addresses(struct fact_address **ret_list, size_t *ret_count)
{
	char buf[MNL_NLMSG_HDRLEN + 64];
	struct nlmsghdr *req = mnl_nlmsg_put_header(buf);
	struct list list = {.size = sizeof(struct fact_address)};
	int err;

	req->nlmsg_type = RTM_GETADDR;
	mnl_nlmsg_put_extra_header(req, sizeof(struct ifaddrmsg)); /* family 0: both */
	err = dump(NETLINK_ROUTE, req, on_address, &list);
	if (!err) {
		*ret_list = list.items;
		*ret_count = list.count;
	}
	return err;
}

/* ---- routes */

struct route_text {
	struct fact_route *route;
	bool unsayable;
	size_t len;
};

static void say(struct route_text *t, const char *fmt, ...) __attribute__((format(printf, 2, 3)));

static void say(struct route_text *t, const char *fmt, ...)
{
	size_t room = sizeof(t->route->entry) - t->len;
	va_list ap;
	int n;

	va_start(ap, fmt);
	n = vsnprintf(t->route->entry + t->len, room, fmt, ap);
	va_end(ap);
	if (n < 0 || (size_t)n >= room)
		t->unsayable = true;
	else
		t->len += (size_t)n;
}

static void read_metrics(const struct nlattr *nest, struct route_text *t)
{
	const struct nlattr *attr;

	mnl_attr_for_each_nested(attr, nest)
	{
		uint32_t value = attr_u32(attr);

		switch (mnl_attr_get_type(attr)) {
		case RTAX_MTU: t->route->mtu = value; break;
		case RTAX_ADVMSS: t->route->advmss = value; break;
		case RTAX_LOCK:
			t->route->mtu_locked = value & 1 << RTAX_MTU;
			t->unsayable |= value & ~(1U << RTAX_MTU);
			break;
		case RTAX_INITCWND: say(t, " initcwnd %u", value); break;
		case RTAX_INITRWND: say(t, " initrwnd %u", value); break;
		default: t->unsayable = true;
		}
	}
}

static void say_gateway(struct route_text *t, const struct nlattr *const attrs[RTA_MAX + 1])
{
	char text[ADDR_STRLEN];
	struct addr addr;

	if (attrs[RTA_GATEWAY]) {
		addr = attr_addr(attrs[RTA_GATEWAY]);
		say(t, " via %s", addr_format(&addr, text, sizeof(text)));
	} else if (attrs[RTA_VIA]) {
		const struct rtvia *via = mnl_attr_get_payload(attrs[RTA_VIA]);

		addr = (struct addr){.family = (uint8_t)via->rtvia_family};
		if (mnl_attr_get_payload_len(attrs[RTA_VIA]) < sizeof(*via) + addr_len(&addr))
			return;
		memcpy(addr.bytes, via->rtvia_addr, addr_len(&addr));
		say(t, " via inet6 %s", addr_format(&addr, text, sizeof(text)));
	}
}

/* What `ip` would take for granted is left out; it takes numbers for what has no name here. */
static void say_origin(struct route_text *t, const struct rtmsg *info)
{
	switch (info->rtm_protocol) {
	case RTPROT_BOOT: break;
	case RTPROT_KERNEL: say(t, " proto kernel"); break;
	case RTPROT_STATIC: say(t, " proto static"); break;
	case RTPROT_RA: say(t, " proto ra"); break;
	case RTPROT_DHCP: say(t, " proto dhcp"); break;
	default: say(t, " proto %u", info->rtm_protocol);
	}
	if (info->rtm_family != AF_INET || info->rtm_scope == RT_SCOPE_UNIVERSE)
		return;
	if (info->rtm_scope == RT_SCOPE_LINK)
		say(t, " scope link");
	else
		say(t, " scope %u", info->rtm_scope);
}

static void say_entry(struct route_text *t, const struct rtmsg *info,
		      const struct nlattr *const attrs[RTA_MAX + 1])
{
	uint32_t table = attrs[RTA_TABLE] ? attr_u32(attrs[RTA_TABLE]) : info->rtm_table;
	char text[ADDR_STRLEN];
	struct addr addr;

	if (info->rtm_dst_len && attrs[RTA_DST]) {
		addr = attr_addr(attrs[RTA_DST]);
		say(t, "%s/%u", addr_format(&addr, text, sizeof(text)), info->rtm_dst_len);
	} else {
		say(t, "default");
	}
	if (info->rtm_tos)
		say(t, " tos %u", info->rtm_tos);
	say_gateway(t, attrs);
	say(t, " dev %s", t->route->ifname);
	if (info->rtm_flags & RTNH_F_ONLINK)
		say(t, " onlink");
	say_origin(t, info);
	if (table != RT_TABLE_MAIN)
		say(t, " table %u", table);
	if (attrs[RTA_PRIORITY])
		say(t, " metric %u", attr_u32(attrs[RTA_PRIORITY]));
	if (attrs[RTA_PREFSRC]) {
		addr = attr_addr(attrs[RTA_PREFSRC]);
		say(t, " src %s", addr_format(&addr, text, sizeof(text)));
	}
	if (attrs[RTA_METRICS])
		read_metrics(attrs[RTA_METRICS], t);
}

static int on_route(const struct nlmsghdr *msg, void *ctx)
{
	const struct rtmsg *info = mnl_nlmsg_get_payload(msg);
	const struct nlattr *attrs[RTA_MAX + 1] = {};
	struct fact_route *route = ctx;
	struct route_text t = {.route = route};
	const struct nlattr *attr;

	if (msg->nlmsg_type != RTM_NEWROUTE)
		return MNL_CB_OK;
	mnl_attr_for_each(attr, msg, sizeof(*info)) if (mnl_attr_get_type(attr) <= RTA_MAX)
		attrs[mnl_attr_get_type(attr)] = attr;
	*route = (struct fact_route){.type = info->rtm_type};
	if (attrs[RTA_OIF] && !if_indextoname(attr_u32(attrs[RTA_OIF]), route->ifname))
		route->ifname[0] = 0; /* it went away just now */
	say_entry(&t, info, attrs);
	if (t.unsayable || !route->ifname[0] || attrs[RTA_MULTIPATH] || attrs[RTA_ENCAP] ||
	    attrs[RTA_NH_ID])
		route->entry[0] = 0;
	return MNL_CB_OK;
}

static int ask_route(const struct addr *dst, const struct addr *src, unsigned iif, unsigned flags,
		     struct fact_route *ret_route)
{
	char buf[MNL_NLMSG_HDRLEN + 128];
	struct nlmsghdr *req = mnl_nlmsg_put_header(buf);
	struct rtmsg *info = mnl_nlmsg_put_extra_header(req, sizeof(*info));

	req->nlmsg_type = RTM_GETROUTE;
	info->rtm_family = dst->family;
	info->rtm_flags = flags;
	info->rtm_dst_len = (unsigned char)(8 * addr_len(dst));
	mnl_attr_put(req, RTA_DST, addr_len(dst), dst->bytes);
	if (src && src->family) {
		info->rtm_src_len = info->rtm_dst_len;
		mnl_attr_put(req, RTA_SRC, addr_len(src), src->bytes);
	}
	if (iif)
		mnl_attr_put_u32(req, RTA_IIF, iif);
	return ask(NETLINK_ROUTE, req, on_route, ret_route);
}

/* No permission, no memory, no answer: other errors are what packets would meet. */
static bool is_ours(int err)
{
	return err == -EPERM || err == -ENOMEM || err == -ENOBUFS || err == -EAGAIN;
}

int netlink_route(const struct addr *dst, const struct addr *src, struct fact_route *ret_route)
{
	struct fact_route entry = {};
	int err = ask_route(dst, src, 0, 0, ret_route);

	if (is_ours(err))
		return err;
	if (err) {
		*ret_route = (struct fact_route){.err = err};
		return 0;
	}
	/* The entry that it is made of: that is what can be changed. */
	if (!ask_route(dst, src, 0, RTM_F_FIB_MATCH, &entry) &&
	    !strcmp(entry.ifname, ret_route->ifname))
		*ret_route = entry;
	else
		ret_route->entry[0] = 0;
	return 0;
}

int netlink_input(const struct addr *src, const struct addr *dst, unsigned ifindex, int *ret_err)
{
	struct fact_route route = {};
	int err = ask_route(dst, src, ifindex, 0, &route);

	if (is_ours(err))
		return err;
	*ret_err = err;
	return 0;
}

/* ---- sockets */

struct listener {
	const struct endpoint *ep;
	bool found;
};

/* An IPv6 socket at :: takes IPv4 too, unless it was told not to. */
static bool takes(const struct inet_diag_msg *sock, bool v6only, const struct endpoint *ep)
{
	struct endpoint at = {.addr.family = sock->idiag_family};

	if (ntohs(sock->id.idiag_sport) != ep->port)
		return false;
	memcpy(at.addr.bytes, sock->id.idiag_src, addr_len(&at.addr));
	if (!addr_cmp(&at.addr, &ep->addr))
		return true;
	return addr_is_unspecified(&at.addr) &&
	       (at.addr.family == ep->addr.family || (at.addr.family == AF_INET6 && !v6only));
}

static int on_socket(const struct nlmsghdr *msg, void *ctx)
{
	const struct inet_diag_msg *sock = mnl_nlmsg_get_payload(msg);
	struct listener *l = ctx;
	const struct nlattr *attr;
	bool v6only = false;

	mnl_attr_for_each(attr, msg,
			  sizeof(*sock)) if (mnl_attr_get_type(attr) == INET_DIAG_SKV6ONLY) v6only =
		mnl_attr_get_u8(attr);
	l->found |= takes(sock, v6only, l->ep);
	return MNL_CB_OK;
}

static int ask_sockets(uint8_t family, uint8_t protocol, struct listener *l)
{
	char buf[MNL_NLMSG_HDRLEN + 128];
	struct nlmsghdr *req = mnl_nlmsg_put_header(buf);
	struct inet_diag_req_v2 *diag = mnl_nlmsg_put_extra_header(req, sizeof(*diag));

	req->nlmsg_type = SOCK_DIAG_BY_FAMILY;
	req->nlmsg_flags = NLM_F_DUMP;
	diag->sdiag_family = family;
	diag->sdiag_protocol = protocol;
	/* A UDP socket that is not connected counts as closed. */
	diag->idiag_states = protocol == IPPROTO_TCP ? 1 << TCP_LISTEN : 1 << TCP_CLOSE;
	return ask(NETLINK_SOCK_DIAG, req, on_socket, l);
}

int netlink_listening(const struct endpoint *ep, bool *ret_listening)
{
	static const uint8_t families[] = {AF_INET, AF_INET6},
			     protocols[] = {IPPROTO_TCP, IPPROTO_UDP};
	struct listener l = {.ep = ep};

	for (size_t i = 0; i < 4; i++) {
		int err = ask_sockets(families[i & 1], protocols[i >> 1], &l);

		if (err)
			return err;
	}
	*ret_listening = l.found;
	return 0;
}

/* ---- packet filters */

static int on_chain(const struct nlmsghdr *msg, void *ctx)
{
	const struct nfgenmsg *info = mnl_nlmsg_get_payload(msg);
	const struct nlattr *attr, *inner;
	unsigned *count = ctx;

	if (info->nfgen_family != NFPROTO_IPV4 && info->nfgen_family != NFPROTO_IPV6 &&
	    info->nfgen_family != NFPROTO_INET)
		return MNL_CB_OK;
	mnl_attr_for_each(attr, msg, sizeof(*info))
	{
		if (mnl_attr_get_type(attr) != NFTA_CHAIN_HOOK)
			continue;
		mnl_attr_for_each_nested(inner, attr)
		{
			uint32_t hook = ntohl(attr_u32(inner));

			if (mnl_attr_get_type(inner) == NFTA_HOOK_HOOKNUM &&
			    (hook == NF_INET_PRE_ROUTING || hook == NF_INET_LOCAL_IN))
				++*count;
		}
	}
	return MNL_CB_OK;
}

int netlink_input_chains(unsigned *ret_count)
{
	char buf[MNL_NLMSG_HDRLEN + 64];
	struct nlmsghdr *req = mnl_nlmsg_put_header(buf);
	unsigned count = 0;
	int err;

	req->nlmsg_type = NFNL_SUBSYS_NFTABLES << 8 | NFT_MSG_GETCHAIN;
	req->nlmsg_flags = NLM_F_DUMP;
	mnl_nlmsg_put_extra_header(req, sizeof(struct nfgenmsg));
	err = ask(NETLINK_NETFILTER, req, on_chain, &count);
	/* A kernel without nftables, or that has not loaded it, has none of its chains. */
	if (err && err != -EPROTONOSUPPORT && err != -EINVAL)
		return err;
	*ret_count = count;
	return 0;
}
