/* SPDX-License-Identifier: BSD-2-Clause */
#include "loader/ifaces.h"

#include <errno.h>
#include <linux/if_link.h>
#include <linux/netlink.h>
#include <linux/rtnetlink.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

struct answer {
	struct iface *list;
	size_t count, capacity;
	bool done;
};

static int request(int fd)
{
	struct {
		struct nlmsghdr header;
		struct ifinfomsg info;
		struct rtattr mask_header;
		uint32_t mask;
	} req = {
		.header = {.nlmsg_len = sizeof(req),
			   .nlmsg_type = RTM_GETLINK,
			   .nlmsg_flags = NLM_F_REQUEST | NLM_F_DUMP},
		.info = {.ifi_family = AF_UNSPEC},
		.mask_header = {.rta_len = RTA_LENGTH(sizeof(uint32_t)), .rta_type = IFLA_EXT_MASK},
		.mask = RTEXT_FILTER_SKIP_STATS,
	};

	return send(fd, &req, sizeof(req), 0) < 0 ? -errno : 0;
}

static uint32_t read_u32(const struct rtattr *attr)
{
	uint32_t value = 0;

	if (RTA_PAYLOAD(attr) >= sizeof(value))
		memcpy(&value, RTA_DATA(attr), sizeof(value));
	return value;
}

static void read_xdp(const struct rtattr *nest, struct iface *ret)
{
	uint32_t native = 0, generic = 0, any = 0;
	int len = (int)RTA_PAYLOAD(nest);

	for (struct rtattr *a = RTA_DATA(nest); RTA_OK(a, len); a = RTA_NEXT(a, len)) {
		switch (a->rta_type) {
		case IFLA_XDP_DRV_PROG_ID: native = read_u32(a); break;
		case IFLA_XDP_SKB_PROG_ID: generic = read_u32(a); break;
		case IFLA_XDP_PROG_ID: any = read_u32(a); break;
		default: break;
		}
	}
	ret->prog_id = native != 0 ? native : generic != 0 ? generic : any;
	ret->generic = native == 0 && generic != 0;
}

static void read_link(const struct nlmsghdr *msg, struct iface *ret)
{
	const struct ifinfomsg *info = NLMSG_DATA(msg);
	int len = (int)(msg->nlmsg_len - NLMSG_LENGTH(sizeof(*info)));

	*ret = (struct iface){.index = info->ifi_index};
	for (struct rtattr *a = IFLA_RTA(info); RTA_OK(a, len); a = RTA_NEXT(a, len)) {
		switch (a->rta_type & NLA_TYPE_MASK) {
		case IFLA_IFNAME:
			snprintf(ret->name, sizeof(ret->name), "%.*s", (int)RTA_PAYLOAD(a),
				 (const char *)RTA_DATA(a));
			break;
		case IFLA_MTU: ret->mtu = read_u32(a); break;
		case IFLA_XDP: read_xdp(a, ret); break;
		default: break;
		}
	}
}

static int take_message(struct answer *answer, const struct nlmsghdr *msg)
{
	if (msg->nlmsg_type == NLMSG_DONE) {
		answer->done = true;
		return 0;
	}
	if (msg->nlmsg_type == NLMSG_ERROR) {
		const struct nlmsgerr *e = NLMSG_DATA(msg);

		return e->error < 0 ? e->error : -EPROTO;
	}
	if (msg->nlmsg_type != RTM_NEWLINK)
		return 0;
	if (answer->count == answer->capacity) {
		size_t capacity = answer->capacity > 0 ? 2 * answer->capacity : 16;
		struct iface *list = reallocarray(answer->list, capacity, sizeof(*list));

		if (list == NULL)
			return -ENOMEM;
		answer->list = list;
		answer->capacity = capacity;
	}
	read_link(msg, &answer->list[answer->count++]);
	return 0;
}

static int receive(int fd, struct answer *answer)
{
	/* The kernel fills dumps up to 32 KiB, and never splits a message. */
	static const size_t size = 65536;
	char *buf = malloc(size);
	int err = buf == NULL ? -ENOMEM : 0;

	while (err == 0 && !answer->done) {
		ssize_t n = recv(fd, buf, size, 0);
		int len = (int)n;

		if (n < 0) {
			err = errno == EINTR ? 0 : -errno;
			continue;
		}
		for (struct nlmsghdr *msg = (void *)buf; err == 0 && NLMSG_OK(msg, len);
		     msg = NLMSG_NEXT(msg, len))
			err = take_message(answer, msg);
	}
	free(buf);
	return err;
}

int ifaces_list(struct iface **ret_list, size_t *ret_count)
{
	int fd = socket(AF_NETLINK, SOCK_RAW | SOCK_CLOEXEC, NETLINK_ROUTE);
	struct answer answer = {0};
	int err;

	if (fd < 0)
		return -errno;
	err = request(fd);
	if (err == 0)
		err = receive(fd, &answer);
	close(fd);
	if (err < 0) {
		free(answer.list);
		return err;
	}
	*ret_list = answer.list;
	*ret_count = answer.count;
	return 0;
}

int ifaces_find(const char *name, struct iface *ret_iface)
{
	struct iface *list;
	size_t count;
	int err = ifaces_list(&list, &count);

	if (err < 0)
		return err;
	err = -ENODEV;
	for (size_t i = 0; i < count && err < 0; i++) {
		if (strcmp(list[i].name, name) == 0) {
			*ret_iface = list[i];
			err = 0;
		}
	}
	free(list);
	return err;
}
