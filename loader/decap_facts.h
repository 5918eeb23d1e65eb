/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * What a backend host is like, as far as direct server return depends on it. decap_facts.c finds it
 * out, decap_check.c judges it and looks at nothing else. Owner: the caller; main thread.
 */
#ifndef LOADER_DECAP_FACTS_H
#define LOADER_DECAP_FACTS_H

#include <net/if.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "core/addr.h"
#include "core/diag.h"
#include "loader/decap_ctl.h"

enum fact { FACT_UNKNOWN, FACT_NO, FACT_YES };

/* The kernel's answer to a question about a route. */
struct fact_route {
	int err;		  /* 0, or the -errno that packets of this way meet */
	uint8_t type;		  /* RTN_* of linux/rtnetlink.h */
	char ifname[IF_NAMESIZE]; /* the way out; "": none, or several */
	unsigned mtu, advmss;	  /* as the route has them; 0: not set */
	bool mtu_locked;
	/* The entry as `ip route change` wants it, without the three above; "": it has something that
	 * cannot be said so, as several next hops. */
	char entry[192];
};

struct fact_iface {
	char name[IF_NAMESIZE];
	unsigned index, mtu;
	bool up;
	bool arp;	/* asks and answers for addresses on a segment */
	char kind[16];	/* "veth", "ipip", ...; "": none */
	int arp_ignore; /* of IPv4, as they are in force: the greater of "all" and the interface's */
	int arp_announce;
	int rp_filter;
	enum fact lro;
	bool checked; /* tunnel packets come in here */
	const struct decap_state
		*decap; /* borrowed from the host_facts; NULL: never attached here */
};

struct fact_address {
	struct addr addr;
	uint8_t len; /* of the prefix */
	unsigned ifindex;
	bool scope_host, tentative, dad_failed;
};

struct fact_service {
	struct endpoint ep;	 /* port 0: any */
	struct fact_route here;	 /* to the address itself */
	struct fact_route reply; /* from it to a client */
	enum fact listening;	 /* where there is a port */
};

/* An address that tunnel packets come from, or a prefix. */
struct fact_balancer {
	struct addr addr;
	unsigned len;
};

struct host_facts {
	struct fact_iface *ifaces;
	size_t iface_count;
	struct fact_address *addresses;
	size_t address_count;
	struct fact_service *services;
	size_t service_count;
	struct fact_balancer *balancers;
	size_t balancer_count;

	/* What the kernel says to a packet from a client to a service, and from a balancer to the host,
	 * that comes in by an interface: 0 or -errno, at facts_input(). IPv4 only. */
	int *client_input, *balancer_input;

	bool gue;	      /* the tunnel is GUE; else IP in IP */
	uint8_t outer_family; /* AF_INET, AF_INET6: of the tunnel */
	enum fact firewall;   /* rules for packets that come in */
	uint64_t rp_drops;    /* packets that rp_filter has dropped, of all interfaces */
	const char *pin_path; /* borrowed from the question */

	struct decap_state *states; /* of decap_list() */
	size_t state_count;
};

/* What is asked: all borrowed. */
struct facts_question {
	const char *pin_path;
	const char *const
		*ifnames; /* none: where a program is attached, else where replies leave */
	size_t ifname_count;
	const struct endpoint *services; /* none: those of the attached programs */
	size_t service_count;
	const struct fact_balancer *balancers;
	size_t balancer_count;
	struct addr client4, client6; /* an address that clients have */
	enum fact gue;		      /* FACT_UNKNOWN: what the counters say, else not */
};

/* 0, or -errno with d filled. -EDESTADDRREQ: it is not known for which services, or by which
 * interface; -ENODEV: there is no such interface. */
int decap_facts_gather(const struct facts_question *q, struct host_facts *ret_facts,
		       struct diag *d);
void decap_facts_deinit(struct host_facts *f);

/* The answer for an interface and a service (or a balancer: counts are of those then). */
static inline size_t facts_at(size_t iface, size_t other, size_t other_count)
{
	return iface * other_count + other;
}

#endif
