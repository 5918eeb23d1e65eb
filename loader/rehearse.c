/* SPDX-License-Identifier: BSD-2-Clause */
#include "loader/rehearse.h"

#include <bpf/bpf.h>
#include <bpf/libbpf.h>
#include <errno.h>
#include <linux/bpf.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>

#include "bpf/hash.h"
#include "loader/maps.h"
#include "loader/maps_flows.h"
#include "loader/messages.h"
#include "loader/rehearse_int.h"
#include "skel/steer_xdp.skel.h"

#define REHEARSE_ALIGN 2 /* of a frame, as NET_IP_ALIGN */

/* Room of tables that only hold what packets of the rehearsal need. */
#define OWN_ENTRIES 4096

/* All that the program writes to; of how many rows: */
enum own_size {
	OWN_NOT, /* it only reads: the live one */
	OWN_WHOLE,
	OWN_SERVICES,
	OWN_BACKENDS,
	OWN_STAMPS,
	OWN_FEW,
};

static const enum own_size own_sizes[LOADER_MAP_COUNT] = {
	[LOADER_MAP_STAMPS] = OWN_STAMPS,      [LOADER_MAP_SVC_INSERTS] = OWN_SERVICES,
	[LOADER_MAP_FLOW4] = OWN_FEW,	       [LOADER_MAP_FLOW6] = OWN_FEW,
	[LOADER_MAP_PEND4] = OWN_FEW,	       [LOADER_MAP_PEND6] = OWN_FEW,
	[LOADER_MAP_FLOW_GENS] = OWN_WHOLE,    [LOADER_MAP_SVC_STATS] = OWN_SERVICES,
	[LOADER_MAP_BE_STATS] = OWN_BACKENDS,  [LOADER_MAP_VERDICTS] = OWN_WHOLE,
	[LOADER_MAP_NAT_FWD4] = OWN_FEW,       [LOADER_MAP_NAT_FWD6] = OWN_FEW,
	[LOADER_MAP_NAT_REV4] = OWN_FEW,       [LOADER_MAP_NAT_REV6] = OWN_FEW,
	[LOADER_MAP_NAT_SHARES] = OWN_WHOLE,   [LOADER_MAP_FRAGS4] = OWN_FEW,
	[LOADER_MAP_FRAGS6] = OWN_FEW,	       [LOADER_MAP_ICMP_RATE] = OWN_WHOLE,
	[LOADER_MAP_SVC_FLOOD] = OWN_SERVICES, [LOADER_MAP_SOURCES] = OWN_FEW,
	[LOADER_MAP_EVENTS] = OWN_WHOLE,       [LOADER_MAP_EXACT] = OWN_WHOLE,
	[LOADER_MAP_EXACT_ROWS] = OWN_WHOLE, /* a row of it is each processor's room */
};

/* ---- opening ---- */

static uint32_t rows_of(const struct rehearsal *r, enum loader_map map)
{
	switch (own_sizes[map]) {
	case OWN_SERVICES: return r->services;
	case OWN_BACKENDS: return r->backends;
	case OWN_STAMPS: return r->stamps;
	case OWN_FEW: return OWN_ENTRIES;
	case OWN_NOT:
	case OWN_WHOLE: break;
	}
	return 0; /* as the object has it */
}

/* How many rows of each kind are in use, counted from the first; one at least. */
static void measure(struct rehearsal *r)
{
	const struct shunt_ring *rings = r->l->mapped[LOADER_MAP_SVC_RINGS];
	struct shunt_svc_meta svc;
	struct shunt_be_meta be;

	r->services = r->backends = r->stamps = 1;
	for (uint32_t i = 0; i < r->l->map_entries[LOADER_MAP_SVC_META]; i++) {
		if (!bpf_map_lookup_elem(r->l->map_fds[LOADER_MAP_SVC_META], &i, &svc) &&
		    svc.name[0] != '\0')
			r->services = i + 1;
		if (rings[i].base + rings[i].size > r->stamps)
			r->stamps = rings[i].base + rings[i].size;
	}
	for (uint32_t i = 0; i < r->l->map_entries[LOADER_MAP_BE_META]; i++) {
		if (!bpf_map_lookup_elem(r->l->map_fds[LOADER_MAP_BE_META], &i, &be) &&
		    be.pool[0] != '\0')
			r->backends = i + 1;
	}
}

/* A table of its own that is mapped starts as the live one is. */
static int copy_mapped(const struct rehearsal *r, enum loader_map map, size_t len)
{
	void *own = mmap(NULL, len, PROT_READ | PROT_WRITE, MAP_SHARED, r->fds[map], 0);

	if (own == MAP_FAILED)
		return -errno;
	memcpy(own, r->l->mapped[map], len);
	munmap(own, len);
	return 0;
}

static int prepare_maps(struct rehearsal *r)
{
	int err = 0;

	for (enum loader_map map = 0; map < LOADER_MAP_COUNT && err == 0; map++) {
		struct bpf_map *m = loader_object_map(r->skel, map);

		if (m == NULL)
			err = -ENOENT;
		else if (own_sizes[map] == OWN_NOT)
			err = bpf_map__reuse_fd(m, r->l->map_fds[map]);
		else if (rows_of(r, map) != 0)
			err = bpf_map__set_max_entries(m, rows_of(r, map));
	}
	return err;
}

static int copy_tables(struct rehearsal *r)
{
	int err;

	for (enum loader_map map = 0; map < LOADER_MAP_COUNT; map++)
		r->fds[map] = own_sizes[map] == OWN_NOT
				      ? -1
				      : bpf_map__fd(loader_object_map(r->skel, map));
	err = copy_mapped(r, LOADER_MAP_STAMPS, r->stamps * sizeof(struct shunt_stamp));
	if (err == 0)
		err = copy_mapped(r, LOADER_MAP_NAT_SHARES,
				  (SHUNT_NAT_COMMON + 1) * sizeof(struct shunt_nat_share));
	if (err == 0)
		err = copy_mapped(r, LOADER_MAP_EXACT_ROWS,
				  SHUNT_EXACT_ROWS * sizeof(struct shunt_exact_row));
	if (err == 0)
		err = copy_mapped(r, LOADER_MAP_EXACT,
				  SHUNT_EXACT_BUCKETS * sizeof(struct shunt_exact_bucket));
	return err;
}

static int load(struct rehearsal *r)
{
	int err;

	r->skel = steer_xdp_bpf__open();
	if (r->skel == NULL)
		return -errno;
	r->skel->rodata->settings.abi_version = SHUNT_ABI_VERSION;
	r->skel->rodata->settings.hash_seed[0] = r->l->seed[0];
	r->skel->rodata->settings.hash_seed[1] = r->l->seed[1];
	err = prepare_maps(r);
	if (err == 0)
		err = bpf_object__load(r->skel->obj);
	return err < 0 ? err : copy_tables(r);
}

int rehearse_open(const struct loader *l, struct rehearsal **ret_r, struct diag *d)
{
	size_t row = sizeof(struct shunt_svc_stats); /* the largest of those with one a processor */
	struct rehearsal *r = calloc(1, sizeof(*r));
	int err = r == NULL ? -ENOMEM : 0;

	if (err == 0) {
		r->l = l;
		r->processors = maps_processors();
		r->row = calloc(r->processors, row);
		err = r->row == NULL ? -ENOMEM : 0;
	}
	if (err == 0) {
		measure(r);
		messages_clear();
		err = load(r);
	}
	if (err < 0) {
		diag_error(d, NULL, "cannot load the steering program once more: %s",
			   strerror(-err));
		messages_to_diag(d, "libbpf", 4);
		rehearse_close(r);
		return err;
	}
	*ret_r = r;
	return 0;
}

void rehearse_close(struct rehearsal *r)
{
	if (r == NULL)
		return;
	steer_xdp_bpf__destroy(r->skel);
	free(r->row);
	free(r);
}

/* ---- what the packet was counted as ---- */

/* Sum a row over the processors and clear it. False: it is all zero. */
static bool take_row(struct rehearsal *r, enum loader_map map, uint32_t row, uint64_t *ret_sum,
		     size_t count)
{
	bool any = false;

	memset(ret_sum, 0, count * sizeof(*ret_sum));
	if (bpf_map_lookup_elem(r->fds[map], &row, r->row))
		return false;
	for (size_t i = 0; i < r->processors * count; i++) {
		ret_sum[i % count] += r->row[i];
		any = any || r->row[i] != 0;
	}
	if (any) {
		memset(r->row, 0, r->processors * count * sizeof(*r->row));
		(void)bpf_map_update_elem(r->fds[map], &row, r->row, BPF_ANY);
	}
	return any;
}

static void take_verdict(struct rehearsal *r, struct rehearse_result *res)
{
	uint64_t n;

	res->verdict = SHUNT_VERDICT_COUNT;
	for (uint32_t v = 0; v < SHUNT_VERDICT_COUNT; v++) {
		if (take_row(r, LOADER_MAP_VERDICTS, v, &n, 1))
			res->verdict = v;
	}
}

static void take_service(struct rehearsal *r, struct rehearse_result *res)
{
	size_t count = sizeof(res->stats) / sizeof(uint64_t);
	struct shunt_svc_stats stats;
	struct shunt_svc_meta meta;

	for (uint32_t row = 0; row < r->services; row++) {
		if (!take_row(r, LOADER_MAP_SVC_STATS, row, (uint64_t *)&stats, count))
			continue;
		res->has_service = true;
		res->service = row;
		res->stats = stats;
		if (!bpf_map_lookup_elem(r->l->map_fds[LOADER_MAP_SVC_META], &row, &meta))
			memcpy(res->service_name, meta.name, sizeof(meta.name));
	}
}

static void take_backend(struct rehearsal *r, struct rehearse_result *res)
{
	struct shunt_be_stats stats;

	for (uint32_t row = 0; row < r->backends; row++) {
		if (!take_row(r, LOADER_MAP_BE_STATS, row, (uint64_t *)&stats,
			      sizeof(stats) / sizeof(uint64_t)))
			continue;
		(void)bpf_map_lookup_elem(r->l->map_fds[LOADER_MAP_BE_META], &row,
					  &res->backend_meta);
		if (!bpf_map_lookup_elem(r->l->map_fds[LOADER_MAP_BACKENDS], &row,
					 &res->backend_row))
			res->backend = res->backend_row.id;
	}
}

/* ---- the slot, as select.h finds it ---- */

static bool find_record(const struct rehearsal *r, uint32_t row, struct shunt_service *ret_record)
{
	struct shunt_vip_key key, *before = NULL;

	while (!bpf_map_get_next_key(r->l->map_fds[LOADER_MAP_SERVICES], before, &key)) {
		before = &key;
		if (!bpf_map_lookup_elem(r->l->map_fds[LOADER_MAP_SERVICES], &key, ret_record) &&
		    ret_record->index == row)
			return true;
	}
	return false;
}

static uint32_t ring_row_of(const struct rehearsal *r, const struct rehearse_flow *f,
			    const struct shunt_service *svc)
{
	struct shunt_lpm_key key = {
		.prefixlen = SHUNT_LPM_SCOPE_BITS + (f->family == 4 ? 32 : 128),
		.scope = SHUNT_LPM_SCOPE(svc->index, f->family),
	};
	struct shunt_route route;

	memcpy(key.addr, &f->key, f->family == 4 ? 4 : 16); /* both keys begin with the source */
	if (!svc->routed || bpf_map_lookup_elem(r->l->map_fds[LOADER_MAP_ROUTES], &key, &route))
		return svc->index;
	return route.index;
}

static void find_slot(const struct rehearsal *r, const struct rehearse_flow *f,
		      struct rehearse_result *res)
{
	const uint64_t *seed = r->l->seed;
	const struct shunt_slot *slots = r->l->mapped[LOADER_MAP_RINGS];
	const struct shunt_service *svc = &res->record;
	struct shunt_ring ring;
	uint64_t hash;

	if (!res->has_service || !find_record(r, res->service, &res->record) || !f->has_ports ||
	    svc->action != SHUNT_ACTION_STEER)
		return;
	if (svc->affinity == SHUNT_AFFINITY_FLOW)
		hash = f->family == 4 ? hash_flow4(&f->key.v4, seed[0], seed[1])
				      : hash_flow6(&f->key.v6, seed[0], seed[1]);
	else
		hash = f->family == 4 ? hash_affinity4(&f->key.v4, svc->affinity, seed[0], seed[1])
				      : hash_affinity6(&f->key.v6, svc->affinity, seed[0], seed[1]);
	res->ring_row = ring_row_of(r, f, svc);
	if (maps_ring_get(r->l, res->ring_row, &ring) || ring.size == 0)
		return;
	res->has_slot = true;
	res->ring_size = ring.size;
	res->slot_at = hash_to_slot(hash, ring.size);
	res->slot = slots[ring.base + res->slot_at];
}

/* ---- the run ---- */

static enum rehearse_action action_of(uint32_t xdp)
{
	switch (xdp) {
	case XDP_DROP: return REHEARSE_DROP;
	case XDP_PASS: return REHEARSE_PASS;
	case XDP_TX:
	case XDP_REDIRECT: return REHEARSE_SEND;
	default: return REHEARSE_ERROR;
	}
}

/* The parser is the kernel's, where what is behind the Ethernet header is aligned. */
static bool find_flow(const uint8_t *frame, size_t len, struct rehearse_flow *ret_flow)
{
	_Alignas(8) uint8_t room[REHEARSE_ALIGN + REHEARSE_FRAME_MAX];

	memcpy(room + REHEARSE_ALIGN, frame, len);
	return rehearse_flow_of(room + REHEARSE_ALIGN, len, ret_flow);
}

int rehearse_packet(struct rehearsal *r, const uint8_t *frame, size_t len, uint32_t ifindex,
		    struct rehearse_result *res)
{
	struct xdp_md ctx = {.data_end = (uint32_t)len, .ingress_ifindex = ifindex};
	LIBBPF_OPTS(bpf_test_run_opts, opts, .data_in = frame, .data_size_in = (uint32_t)len,
		    .data_out = res->out, .data_size_out = sizeof(res->out), .repeat = 1);
	struct rehearse_flow flow;
	bool known;
	uint32_t ignored;
	int err;

	memset(res, 0, offsetof(struct rehearse_result, out));
	if (len > REHEARSE_FRAME_MAX)
		return -EINVAL;
	known = find_flow(frame, len, &flow);
	if (known) {
		rehearse_copy(r, &flow);
		res->before = rehearse_entry_of(r, &flow, &res->before_backend);
	}
	if (ifindex != 0) {
		opts.ctx_in = &ctx;
		opts.ctx_size_in = sizeof(ctx);
	}
	err = bpf_prog_test_run_opts(bpf_program__fd(r->skel->progs.steer_xdp), &opts);
	if (err < 0)
		return err;
	res->action = action_of(opts.retval);
	res->out_len = opts.data_size_out;
	take_verdict(r, res);
	take_service(r, res);
	take_backend(r, res);
	if (known) {
		res->after = rehearse_entry_of(r, &flow, &ignored);
		find_slot(r, &flow, res);
	}
	return 0;
}
