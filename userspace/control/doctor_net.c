/* SPDX-License-Identifier: BSD-2-Clause */
/* Of the doctor: interfaces, tables, and the ways to backends that are steered to. */
#include <errno.h>
#include <linux/ethtool.h>
#include <linux/sockios.h>
#include <net/if.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <sys/sysinfo.h>
#include <unistd.h>

#include "control/doctor.h"
#include "l4/l4.h"
#include "l4/nat_sweep.h"
#include "loader/loader.h"
#include "loader/maps.h"

#define CLIENT_MTU	    1500U /* of the packets that clients send */
#define GUE_LEN		    8U	  /* UDP; variant 1 has no header of its own */
#define NEARLY_FULL_PERCENT 90U

/* An entry of the table by which a device shares packets out, and there are seldom more. */
#define RSS_ENTRIES_MAX 4096U

/* ---- what the kernel says of an interface ---- */

static int ask_device(const char *name, unsigned long request, void *data, struct ifreq *ret_req)
{
	int fd = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0), err;

	memset(ret_req, 0, sizeof(*ret_req));
	(void)snprintf(ret_req->ifr_name, sizeof(ret_req->ifr_name), "%s", name);
	if (data)
		ret_req->ifr_data = data;
	err = fd < 0 || ioctl(fd, request, ret_req) < 0 ? -errno : 0;
	if (fd >= 0)
		close(fd);
	return err;
}

/* False where the device does not say. */
static bool ask_ethtool(const char *name, uint32_t command, uint32_t *ret_value)
{
	struct ethtool_value value = {.cmd = command};
	struct ifreq req;

	*ret_value = 0;
	if (ask_device(name, SIOCETHTOOL, &value, &req))
		return false;
	*ret_value = value.data;
	return true;
}

/* Queues that packets come in by; 0: not known. */
static unsigned count_queues(const char *name)
{
	struct ethtool_channels ch = {.cmd = ETHTOOL_GCHANNELS};
	struct ifreq req;

	return ask_device(name, SIOCETHTOOL, &ch, &req) ? 0 : ch.rx_count + ch.combined_count;
}

/* How many of the queues packets are shared out to; 0: not known. */
static unsigned count_shared(const char *name, unsigned queues)
{
	struct ethtool_rxfh_indir *table =
		calloc(1, sizeof(*table) + RSS_ENTRIES_MAX * sizeof(table->ring_index[0]));
	bool *seen = calloc(queues, sizeof(*seen));
	struct ifreq req;
	unsigned n = 0;

	if (table && seen) {
		table->cmd = ETHTOOL_GRXFHINDIR;
		table->size = RSS_ENTRIES_MAX;
		if (ask_device(name, SIOCETHTOOL, table, &req))
			table->size = 0;
		for (uint32_t i = 0; i < table->size && i < RSS_ENTRIES_MAX; i++) {
			uint32_t queue = table->ring_index[i];

			if (queue < queues && !seen[queue]) {
				seen[queue] = true;
				n++;
			}
		}
	}
	free(table);
	free(seen);
	return n;
}

/* Of a file with one number; -1: it cannot be read. */
static int read_number(const char *path)
{
	FILE *f = fopen(path, "re");
	int n;

	if (!f)
		return -1;
	if (fscanf(f, "%d", &n) != 1)
		n = -1;
	(void)fclose(f);
	return n;
}

/* What is in force is the greater one of the interface's setting and that of all. -1: not known. */
static int read_rp_filter(const char *name)
{
	int all = read_number("/proc/sys/net/ipv4/conf/all/rp_filter");
	int own = read_number(doctor_text("/proc/sys/net/ipv4/conf/%s/rp_filter", name).s);

	return own > all ? own : all;
}

/* Is there a VLAN device on it? */
static bool has_vlans(const char *name)
{
	FILE *f = fopen("/proc/net/vlan/config", "re");
	char line[256], lower[IF_NAMESIZE];
	bool found = false;

	while (f && fgets(line, sizeof(line), f))
		if (sscanf(line, "%*s | %*d | %15s", lower) == 1 && !strcmp(lower, name))
			found = true;
	if (f)
		(void)fclose(f);
	return found;
}

/* ---- interfaces ---- */

static void check_queues(struct doctor *d, const char *name)
{
	unsigned processors = (unsigned)get_nprocs(), queues = count_queues(name), shared;

	if (!queues)
		return;
	shared = count_shared(name, queues);
	if (queues < processors)
		doctor_tell(d, DOCTOR_WARNING, DOCTOR_QUEUES,
			    doctor_text("%s has %u receive queues, the host %u processors", name,
					queues, processors)
				    .s,
			    "packets are steered by as many processors as there are queues",
			    doctor_text("ethtool -L %s combined %u (or rx %u), as far as it has "
					"them",
					name, processors, processors)
				    .s);
	else if (shared && shared < queues && shared < processors)
		doctor_tell(d, DOCTOR_WARNING, DOCTOR_QUEUES,
			    doctor_text("%s gives packets to %u of its %u receive queues", name,
					shared, queues)
				    .s,
			    "the processors of the other queues steer nothing",
			    doctor_text("ethtool -X %s equal %u", name, queues).s);
	else
		doctor_ok(d, DOCTOR_QUEUES,
			  doctor_text("%s has %u receive queues for %u processors", name, queues,
				      processors)
				  .s);
}

static void check_vlan(struct doctor *d, const char *name)
{
	uint32_t flags;

	if (!has_vlans(name) || !ask_ethtool(name, ETHTOOL_GFLAGS, &flags))
		return;
	if (flags & ETH_FLAG_RXVLAN)
		doctor_tell(d, DOCTOR_WARNING, DOCTOR_VLAN,
			    doctor_text("%s has VLANs, and takes their tags off at once", name).s,
			    "the program does not see them, and frames leave without",
			    doctor_text("ethtool -K %s rxvlan off", name).s);
	else
		doctor_ok(d, DOCTOR_VLAN, doctor_text("%s leaves VLAN tags on", name).s);
}

static void check_offload(struct doctor *d, const char *name, bool generic)
{
	uint32_t flags, gro;
	bool lro = ask_ethtool(name, ETHTOOL_GFLAGS, &flags) && (flags & ETH_FLAG_LRO);

	(void)ask_ethtool(name, ETHTOOL_GGRO, &gro); /* not said: none */
	if (lro)
		doctor_tell(d, DOCTOR_WARNING, DOCTOR_OFFLOAD,
			    doctor_text("%s puts packets together (LRO)", name).s,
			    "what was put together cannot be sent on as it came",
			    doctor_text("ethtool -K %s lro off", name).s);
	if (generic && gro)
		doctor_tell(
			d, DOCTOR_WARNING, DOCTOR_OFFLOAD,
			doctor_text("%s puts packets together (GRO) before generic XDP", name).s,
			"the program sees them as one, which may be too big for its way",
			doctor_text("ethtool -K %s gro off", name).s);
	if (!lro && !(generic && gro))
		doctor_ok(d, DOCTOR_OFFLOAD,
			  doctor_text("%s puts no packets together before the program", name).s);
}

static void check_rp_filter(struct doctor *d, const char *name)
{
	bool proxied = false;
	int filter = read_rp_filter(name);

	for (size_t i = 0; i < d->snap->service_count; i++)
		proxied |= service_is_proxied(&d->snap->services[i]);
	if (filter == 1 && proxied)
		doctor_tell(d, DOCTOR_WARNING, DOCTOR_RP_FILTER,
			    doctor_text("%s is strict about sources (rp_filter 1)", name).s,
			    "packets for proxied services are dropped where the way back to their "
			    "source is by another interface",
			    doctor_text("sysctl -w net.ipv4.conf.%s.rp_filter=2", name).s);
	else if (filter >= 0)
		doctor_ok(d, DOCTOR_RP_FILTER,
			  doctor_text("%s drops nothing that is for a service (rp_filter %d)", name,
				      filter)
				  .s);
}

static const struct attachment *find_attachment(const struct attachment *list, size_t count,
						const char *name)
{
	for (size_t i = 0; i < count; i++)
		if (!strcmp(list[i].ifname, name))
			return &list[i];
	return NULL;
}

static void check_xdp(struct doctor *d, const char *name, const struct attachment *a)
{
	if (!a)
		doctor_tell(d, DOCTOR_ERROR, DOCTOR_XDP,
			    doctor_text("no program of ours is attached to %s", name).s,
			    "nothing is steered that comes in there",
			    doctor_text("shunt-load probe -i %s; the log says why", name).s);
	else if (a->mode == ATTACH_GENERIC)
		doctor_tell(d, DOCTOR_WARNING, DOCTOR_XDP,
			    doctor_text("%s has XDP in generic mode", name).s,
			    "packets are steered several times slower than in native mode",
			    "node.xdp_mode: native, where the driver has it (shunt-load probe)");
	else
		doctor_ok(d, DOCTOR_XDP, doctor_text("%s has XDP in native mode", name).s);
}

static void check_interface(struct doctor *d, const char *name, const struct attachment *a)
{
	struct ifreq req;
	int err = ask_device(name, SIOCGIFFLAGS, NULL, &req);

	if (err || !(req.ifr_flags & IFF_UP) || !(req.ifr_flags & IFF_RUNNING)) {
		doctor_tell(d, DOCTOR_ERROR, DOCTOR_INTERFACE,
			    doctor_text("%s %s", name,
					err			    ? "does not exist"
					: !(req.ifr_flags & IFF_UP) ? "is down"
								    : "has no carrier")
				    .s,
			    "no packets come in there",
			    err ? "node.interfaces names what there is"
				: doctor_text("ip link set %s up; cable, switch", name).s);
		if (err)
			return;
	} else {
		doctor_ok(d, DOCTOR_INTERFACE, doctor_text("%s is up", name).s);
	}
	check_xdp(d, name, a);
	check_queues(d, name);
	check_vlan(d, name);
	check_offload(d, name, a && a->mode == ATTACH_GENERIC);
	check_rp_filter(d, name);
}

static void check_interfaces(struct doctor *d)
{
	struct attachment *list = NULL;
	size_t count = 0;

	if (d->env->l4 && loader_attachments(l4_loader(d->env->l4), &list, &count))
		count = 0; /* then none is attached, which is told */
	for (size_t i = 0; i < d->snap->node.interface_count; i++) {
		const char *name = d->snap->node.interfaces[i];

		check_interface(d, name, find_attachment(list, count, name));
	}
	free(list);
}

/* ---- ways to backends ---- */

static bool is_steered(const struct snapshot *snap, const struct pool *p, bool *ret_small_mss)
{
	bool steered = false;

	*ret_small_mss = true;
	for (size_t i = 0; i < snap->service_count; i++) {
		const struct service *s = &snap->services[i];

		if (s->mode != SERVICE_L4 || (s->pool != p && !service_routes_to(s, p)))
			continue;
		steered = true;
		*ret_small_mss &= s->mss != 0;
	}
	return steered;
}

static void check_next_hops(struct doctor *d, const struct pool *p)
{
	size_t good = 0;

	for (size_t i = 0; i < p->backend_count; i++) {
		const struct backend *b = &p->backends[i];
		const char *word = l4_next_hop(d->env->l4, b);

		if (!word)
			continue;
		if (!strcmp(word, "reflect") || !strcmp(word, "resolved")) {
			good++;
			continue;
		}
		doctor_tell(d, b->admin == ADMIN_DISABLED ? DOCTOR_WARNING : DOCTOR_ERROR,
			    DOCTOR_NEIGHBOUR,
			    doctor_text("the way to %s/%s: %s", p->name, b->name, word).s,
			    "its packets are dropped",
			    "ip route get ADDRESS; ip neigh: is it there and up?");
	}
	if (good)
		doctor_ok(d, DOCTOR_NEIGHBOUR,
			  doctor_text("%s: the ways to %zu backends are known", p->name, good).s);
}

/* The longest header in front of packets to p; 0: none. */
static unsigned tunnel_len(const struct pool *p)
{
	unsigned longest = 0;

	for (size_t i = 0; i < p->backend_count; i++) {
		const struct backend *b = &p->backends[i];
		unsigned len = b->ep.addr.family == AF_INET ? 20 : 40;

		if (!forward_is_tunnel(b->forward))
			continue;
		len += b->forward == FORWARD_GUE ? GUE_LEN : 0;
		longest = len > longest ? len : longest;
	}
	return longest;
}

/* The smallest of the node's interfaces, and whose that is. */
static unsigned smallest_mtu(const struct snapshot *snap, const char **ret_name)
{
	unsigned smallest = 0;
	struct ifreq req;

	for (size_t i = 0; i < snap->node.interface_count; i++) {
		const char *name = snap->node.interfaces[i];

		if (ask_device(name, SIOCGIFMTU, NULL, &req))
			continue;
		if (!smallest || (unsigned)req.ifr_mtu < smallest) {
			smallest = (unsigned)req.ifr_mtu;
			*ret_name = name;
		}
	}
	return smallest;
}

static void check_mtu(struct doctor *d, const struct pool *p, bool small_mss)
{
	const char *name = "";
	unsigned len = tunnel_len(p), mtu = smallest_mtu(d->snap, &name);

	if (!len || !mtu)
		return;
	if (p->tunnel_mtu && p->tunnel_mtu < mtu)
		mtu = p->tunnel_mtu;
	if (mtu >= CLIENT_MTU + len || small_mss)
		doctor_ok(d, DOCTOR_MTU,
			  doctor_text("%s: MTU %u, with %u bytes of tunnel header%s", p->name, mtu,
				      len,
				      mtu < CLIENT_MTU + len ? "; the MSS is made smaller" : "")
				  .s);
	else
		doctor_tell(d, DOCTOR_WARNING, DOCTOR_MTU,
			    doctor_text("%s: clients' packets of %u bytes and %u of tunnel header "
					"do not fit MTU %u",
					p->name, CLIENT_MTU, len, mtu)
				    .s,
			    "they are dropped (too-big), and their senders told: connections hang "
			    "where that is filtered",
			    doctor_text("ip link set %s mtu %u, on the whole way; or mss: auto of "
					"its services",
					name, CLIENT_MTU + len)
				    .s);
}

static void check_ways(struct doctor *d)
{
	bool small_mss;

	for (size_t i = 0; i < d->snap->pool_count; i++) {
		const struct pool *p = &d->snap->pools[i];

		if (!is_steered(d->snap, p, &small_mss))
			continue;
		check_next_hops(d, p);
		check_mtu(d, p, small_mss);
	}
}

/* ---- tables ---- */

struct table_use {
	const char *name, *key; /* of node.limits */
	uint64_t used, max;
};

static void count_rows(struct doctor *d, struct table_use *services, struct table_use *backends,
		       struct table_use *slots)
{
	bool ignored;

	for (size_t i = 0; i < d->snap->service_count; i++) {
		const struct service *s = &d->snap->services[i];

		if (s->mode != SERVICE_L4)
			continue;
		services->used++;
		slots->used += s->ring_size;
		for (size_t k = 0; k < s->source_route_count; k++)
			slots->used += s->ring_size;
	}
	for (size_t i = 0; i < d->snap->pool_count; i++)
		if (is_steered(d->snap, &d->snap->pools[i], &ignored))
			backends->used += d->snap->pools[i].backend_count;
	backends->used += reload_lingering(d->env->reload);
}

static bool check_table(struct doctor *d, const struct table_use *t)
{
	if (t->used * 100 < t->max * NEARLY_FULL_PERCENT)
		return true;
	doctor_tell(
		d, t->used >= t->max ? DOCTOR_ERROR : DOCTOR_WARNING, DOCTOR_TABLES,
		doctor_text("%llu %s, and room for %llu", (unsigned long long)t->used, t->name,
			    (unsigned long long)t->max)
			.s,
		"what does not fit is refused or dropped",
		doctor_text("more in node.limits.%s; then start shuntd with new tables", t->key).s);
	return false;
}

/* Packets that found no room in the tables of flows, since the tables were made. */
static bool check_flows(struct doctor *d)
{
	uint64_t untracked = 0, limited = 0;

	for (size_t i = 0; i < d->snap->service_count; i++) {
		struct shunt_svc_stats stats = {0};

		if (d->snap->services[i].mode != SERVICE_L4 ||
		    l4_service_stats(d->env->l4, d->snap->services[i].name, &stats))
			continue;
		untracked += stats.count[SHUNT_COUNT_UNTRACKED];
		limited += stats.count[SHUNT_COUNT_INSERT_LIMITED];
	}
	if (!untracked && !limited)
		return true;
	doctor_tell(d, DOCTOR_WARNING, DOCTOR_TABLES,
		    doctor_text("%llu packets found no room for an entry of their flow, %llu were "
				"over the limit of new entries",
				(unsigned long long)untracked, (unsigned long long)limited)
			    .s,
		    "such flows may change their backend when backends change",
		    "more in node.limits.flows, or shorter idle times; is it a flood?");
	return false;
}

static void check_tables(struct doctor *d)
{
	const struct nat_use *nat = l4_nat_use(d->env->l4);
	struct loader_sizes sizes = {0};
	struct table_use services = {"services", "services", 0, 0};
	struct table_use backends = {"backends", "backends", 0, 0};
	struct table_use slots = {"slots of rings", "ring_slots", 0, 0};
	struct table_use flows = {"NAT flows", "nat", 0, 0};
	bool good;

	maps_sizes(l4_loader(d->env->l4), &sizes);
	services.max = sizes.services;
	backends.max = sizes.backends - 1;
	slots.max = sizes.ring_slots;
	flows.max = 2 * (uint64_t)sizes.nat;
	flows.used = nat ? nat->flows[0] + nat->flows[1] : 0;
	count_rows(d, &services, &backends, &slots);
	good = check_table(d, &services);
	good &= check_table(d, &backends);
	good &= check_table(d, &slots);
	good &= check_table(d, &flows);
	good &= check_flows(d);
	if (good)
		doctor_ok(d, DOCTOR_TABLES,
			  doctor_text("there is room: %llu of %llu services, %llu of %llu backends",
				      (unsigned long long)services.used,
				      (unsigned long long)services.max,
				      (unsigned long long)backends.used,
				      (unsigned long long)backends.max)
				  .s);
}

void doctor_net(struct doctor *d)
{
	if (d->env->l4) {
		check_tables(d);
		check_ways(d);
	}
	check_interfaces(d);
}
