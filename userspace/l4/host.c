/* SPDX-License-Identifier: BSD-2-Clause */
#include "l4/host.h"

#include <errno.h>
#include <ifaddrs.h>
#include <net/if.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <unistd.h>

static bool is_global(const struct addr *a)
{
	if (a->family == AF_INET) {
		uint32_t v4 = ntohl(a->v4.s_addr);

		return v4 >> 24 != 0 && v4 >> 24 != 127 && v4 >> 16 != 0xa9fe;
	}
	return !IN6_IS_ADDR_LINKLOCAL(&a->v6) && !IN6_IS_ADDR_LOOPBACK(&a->v6) &&
	       !IN6_IS_ADDR_UNSPECIFIED(&a->v6) && !IN6_IS_ADDR_MULTICAST(&a->v6);
}

/* The first global address of each family on an interface. */
static int find_sources(const char *ifname, struct addr ret_source[2], struct diag *d)
{
	struct ifaddrs *list;

	if (getifaddrs(&list) < 0) {
		int err = -errno;

		diag_error(d, NULL, "cannot list the addresses of this host: %s", strerror(-err));
		return err;
	}
	for (struct ifaddrs *it = list; it != NULL; it = it->ifa_next) {
		struct endpoint ep;
		int slot;

		if (it->ifa_addr == NULL || strcmp(it->ifa_name, ifname) != 0)
			continue;
		if (endpoint_from_sockaddr(it->ifa_addr, &ep) < 0 || !is_global(&ep.addr))
			continue;
		slot = ep.addr.family == AF_INET ? 0 : 1;
		if (ret_source[slot].family == 0)
			ret_source[slot] = ep.addr;
	}
	freeifaddrs(list);
	return 0;
}

/* Take over what the configuration says of the sources; what it leaves out is of the interface. */
static int read_sources(const struct node *node, struct host *host, struct diag *d)
{
	int err = find_sources(host->interface, host->own, d);

	if (err < 0)
		return err;
	for (int i = 0; i < 2; i++) {
		unsigned bits = i == 0 ? 32 : 128;

		host->source[i] = host->own[i];
		if (node->tunnel_source[i].family == 0)
			continue;
		host->source[i] = node->tunnel_source[i];
		if (node->tunnel_source_len[i] < bits)
			bits -= node->tunnel_source_len[i];
		else
			bits = 0;
		host->entropy_bits[i] = bits < 32 ? bits : 32;
	}
	return 0;
}

static int read_mtu(int fd, const char *ifname, unsigned *ret_mtu, struct diag *d)
{
	struct ifreq req = {0};
	int err;

	if (strlen(ifname) < sizeof(req.ifr_name)) {
		memcpy(req.ifr_name, ifname, strlen(ifname));
		if (ioctl(fd, SIOCGIFMTU, &req) == 0) {
			*ret_mtu = (unsigned)req.ifr_mtu;
			return 0;
		}
		err = -errno;
	} else {
		err = -ENODEV;
	}
	if (err == -ENODEV)
		diag_error(d, NULL, "interface %s does not exist", ifname);
	else
		diag_error(d, NULL, "cannot read the MTU of %s: %s", ifname, strerror(-err));
	return err;
}

static int read_mtus(const struct node *node, struct host *host, struct diag *d)
{
	int fd = socket(AF_INET6, SOCK_DGRAM | SOCK_CLOEXEC, 0);
	int err = 0;

	if (fd < 0)
		fd = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);
	if (fd < 0) {
		err = -errno;
		diag_error(d, NULL, "cannot open a socket: %s", strerror(-err));
		return err;
	}
	host->mtu = UINT16_MAX;
	for (size_t i = 0; i < node->interface_count; i++) {
		unsigned mtu = 0;
		int one = read_mtu(fd, node->interfaces[i], &mtu, d);

		if (one < 0 && err == 0)
			err = one;
		if (one == 0 && mtu < host->mtu)
			host->mtu = (uint16_t)mtu;
	}
	close(fd);
	return err;
}

int host_read(const struct node *node, struct host *ret_host, struct diag *d)
{
	struct host host = {0};
	int err;

	if (node->interface_count == 0) {
		diag_error(d, NULL, "node.interfaces is empty: nothing to steer on");
		return -EINVAL;
	}
	host.interface = node->interfaces[0];
	err = read_mtus(node, &host, d);
	if (err == 0)
		err = read_sources(node, &host, d);
	if (err == 0)
		*ret_host = host;
	return err;
}
