/* SPDX-License-Identifier: BSD-2-Clause */
#include "loader/decap_ctl.h"

#include <errno.h>
#include <linux/if_link.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <bpf/bpf.h>
#include <bpf/libbpf.h>

#include "core/log.h"
#include "loader/decap_maps.h"
#include "loader/decap_pin.h"
#include "skel/decap.skel.h"

/* Our place among an interface's TC filters. */
#define TC_PRIORITY 50
#define TC_HANDLE   1

static char last_message[256];

static int on_libbpf(enum libbpf_print_level level, const char *fmt, va_list ap)
{
	char text[256];
	size_t len;

	vsnprintf(text, sizeof(text), fmt, ap);
	len = strlen(text);
	while (len && text[len - 1] == '\n')
		text[--len] = 0;
	if (level == LIBBPF_WARN)
		snprintf(last_message, sizeof(last_message), "%s", text);
	if (level != LIBBPF_DEBUG)
		log_debug("decap: %s", text);
	return 0;
}

void decap_init_logging(void)
{
	libbpf_set_print(on_libbpf);
}

const char *decap_how_name(enum decap_how how)
{
	static const char *const names[] = {
		[DECAP_XDP_NATIVE] = "xdp-native",
		[DECAP_XDP_GENERIC] = "xdp-generic",
		[DECAP_TC] = "tc",
	};

	return names[how];
}

/* One interface with what is pinned and attached there. Descriptors: -1 where there is none. */
struct place {
	struct decap_pins pins;
	const char *ifname;
	unsigned ifindex; /* 0: no such interface */
	int prog_fd, link_fd, services_fd, counters_fd, settings_fd;
	uint32_t prog_id;
	bool attached; /* the pinned program is on this interface now */
	enum decap_how how;
};

static void close_fd(int *fd)
{
	if (*fd >= 0)
		close(*fd);
	*fd = -1;
}

static void place_close(struct place *p)
{
	close_fd(&p->prog_fd);
	close_fd(&p->link_fd);
	close_fd(&p->services_fd);
	close_fd(&p->counters_fd);
	close_fd(&p->settings_fd);
}

static void find_tc(struct place *p)
{
	LIBBPF_OPTS(bpf_tc_hook, hook, .ifindex = (int)p->ifindex, .attach_point = BPF_TC_INGRESS);
	LIBBPF_OPTS(bpf_tc_opts, opts, .handle = TC_HANDLE, .priority = TC_PRIORITY);

	p->how = DECAP_TC;
	p->attached = p->ifindex && !bpf_tc_query(&hook, &opts) && opts.prog_id == p->prog_id;
}

static void find_xdp(struct place *p)
{
	LIBBPF_OPTS(bpf_xdp_query_opts, query);
	struct bpf_link_info info = {};
	uint32_t len = sizeof(info);

	p->how = DECAP_XDP_NATIVE;
	p->link_fd = decap_pins_get(&p->pins, DECAP_PIN_LINK);
	if (p->link_fd < 0 || !p->ifindex || bpf_obj_get_info_by_fd(p->link_fd, &info, &len))
		return;
	p->attached = info.xdp.ifindex == p->ifindex;
	if (p->attached && !bpf_xdp_query((int)p->ifindex, 0, &query) &&
	    query.attach_mode == XDP_ATTACHED_SKB)
		p->how = DECAP_XDP_GENERIC;
}

/* What is there. Nothing pinned, or only in part (a run that was killed): prog_fd stays -1. */
static int place_open(struct place *p, const char *pin_path, const char *ifname, struct diag *d)
{
	struct bpf_prog_info info = {};
	uint32_t len = sizeof(info);
	int err;

	*p = (struct place){
		.ifname = ifname,
		.ifindex = if_nametoindex(ifname),
		.prog_fd = -1,
		.link_fd = -1,
		.services_fd = -1,
		.counters_fd = -1,
		.settings_fd = -1,
	};
	err = decap_pins_init(&p->pins, pin_path, ifname, d);
	if (err)
		return err;
	p->prog_fd = decap_pins_get(&p->pins, DECAP_PIN_PROG);
	p->services_fd = decap_pins_get(&p->pins, DECAP_PIN_SERVICES);
	p->counters_fd = decap_pins_get(&p->pins, DECAP_PIN_COUNTERS);
	p->settings_fd = decap_pins_get(&p->pins, DECAP_PIN_SETTINGS);
	if (p->prog_fd == -EPERM || p->prog_fd == -EACCES) {
		diag_error(d, NULL, "cannot open what is pinned in %s (this needs root)",
			   p->pins.dir);
		return p->prog_fd;
	}
	if (p->prog_fd < 0 || p->services_fd < 0 || p->counters_fd < 0 ||
	    bpf_obj_get_info_by_fd(p->prog_fd, &info, &len)) {
		place_close(p);
		return 0;
	}
	p->prog_id = info.id;
	if (info.type == BPF_PROG_TYPE_XDP)
		find_xdp(p);
	else
		find_tc(p);
	return 0;
}

static int place_detach(struct place *p, struct diag *d)
{
	LIBBPF_OPTS(bpf_tc_hook, hook, .ifindex = (int)p->ifindex, .attach_point = BPF_TC_INGRESS);
	LIBBPF_OPTS(bpf_tc_opts, opts, .handle = TC_HANDLE, .priority = TC_PRIORITY);
	int err = 0;

	if (p->attached)
		err = p->how == DECAP_TC ? bpf_tc_detach(&hook, &opts)
					 : bpf_link_detach(p->link_fd);
	if (err) {
		err = err == -1 ? -errno : err;
		diag_error(d, NULL, "cannot take the program off %s: %s", p->ifname,
			   strerror(-err));
		return err;
	}
	decap_pins_remove(&p->pins);
	return 0;
}

static void explain_load(int err, struct diag *d)
{
	if (err == -EPERM || err == -EACCES)
		diag_error(d, NULL,
			   "cannot load the program: %s (this needs root, or CAP_BPF and "
			   "CAP_NET_ADMIN)",
			   strerror(-err));
	else
		diag_error(d, NULL, "cannot load the program: %s (%s)", strerror(-err),
			   last_message);
}

/* A table of a former run fits this build's program? */
static bool fits(int fd, const struct bpf_map *map)
{
	struct bpf_map_info info = {};
	uint32_t len = sizeof(info);

	return !bpf_obj_get_info_by_fd(fd, &info, &len) && info.type == bpf_map__type(map) &&
	       info.key_size == bpf_map__key_size(map) &&
	       info.value_size == bpf_map__value_size(map) &&
	       info.max_entries == bpf_map__max_entries(map);
}

static int reuse_tables(const struct place *p, struct decap_bpf *skel, struct diag *d)
{
	int err;

	if (!fits(p->services_fd, skel->maps.dc_services) ||
	    !fits(p->counters_fd, skel->maps.dc_counters) ||
	    !fits(p->settings_fd, skel->maps.dc_settings)) {
		diag_error(d, NULL,
			   "another version of shunt-decap is attached to %s: detach it first",
			   p->ifname);
		return -EINVAL;
	}
	err = bpf_map__reuse_fd(skel->maps.dc_services, p->services_fd);
	if (!err)
		err = bpf_map__reuse_fd(skel->maps.dc_counters, p->counters_fd);
	if (!err)
		err = bpf_map__reuse_fd(skel->maps.dc_settings, p->settings_fd);
	if (err)
		diag_error(d, NULL, "cannot use the tables in %s: %s", p->pins.dir, strerror(-err));
	return err;
}

/* Load one of the two programs, over the tables that are there. */
static int load(const struct place *p, enum decap_how how, struct decap_bpf **ret_skel,
		struct diag *d)
{
	struct decap_bpf *skel = decap_bpf__open();
	int err = 0;

	if (!skel) {
		err = -errno;
		explain_load(err, d);
		return err;
	}
	bpf_program__set_autoload(skel->progs.decap_xdp, how != DECAP_TC);
	bpf_program__set_autoload(skel->progs.decap_tc, how == DECAP_TC);
	if (p->attached)
		err = reuse_tables(p, skel, d);
	if (err)
		goto out;
	err = decap_bpf__load(skel);
	if (err)
		explain_load(err, d);
out:
	if (err)
		decap_bpf__destroy(skel);
	else
		*ret_skel = skel;
	return err;
}

static void explain_xdp(const struct place *p, int err, struct diag *d)
{
	switch (err) {
	case -EOPNOTSUPP:
		diag_error(d, NULL,
			   "the driver of %s has no native XDP: use --tc, or --mode generic",
			   p->ifname);
		break;
	case -EBUSY:
	case -EEXIST:
		diag_error(d, NULL, "%s has another XDP program: use --tc, which works beside it",
			   p->ifname);
		break;
	default:
		diag_error(d, NULL,
			   "cannot attach to %s: %s (the driver may allow XDP only with a smaller "
			   "MTU or fewer queues: --tc has no such limits)",
			   p->ifname, strerror(-err));
	}
}

static int hook_xdp(struct place *p, int prog_fd, enum decap_how how, struct diag *d)
{
	LIBBPF_OPTS(bpf_link_create_opts, opts,
		    .flags = how == DECAP_XDP_GENERIC ? XDP_FLAGS_SKB_MODE : XDP_FLAGS_DRV_MODE);
	int err = 0;

	if (p->attached) {
		if (bpf_link_update(p->link_fd, prog_fd, NULL))
			err = -errno;
	} else {
		p->link_fd = bpf_link_create(prog_fd, (int)p->ifindex, BPF_XDP, &opts);
		if (p->link_fd < 0)
			err = p->link_fd;
	}
	if (err)
		explain_xdp(p, err, d);
	return err;
}

static int hook_tc(const struct place *p, int prog_fd, struct diag *d)
{
	LIBBPF_OPTS(bpf_tc_hook, hook, .ifindex = (int)p->ifindex, .attach_point = BPF_TC_INGRESS);
	LIBBPF_OPTS(bpf_tc_opts, opts, .handle = TC_HANDLE, .priority = TC_PRIORITY,
		    .prog_fd = prog_fd, .flags = p->attached ? BPF_TC_F_REPLACE : 0);
	int err = bpf_tc_hook_create(&hook);

	if (!err || err == -EEXIST)
		err = bpf_tc_attach(&hook, &opts);
	if (err == -EEXIST)
		diag_error(d, NULL, "%s has another TC filter with priority %d and handle %d",
			   p->ifname, TC_PRIORITY, TC_HANDLE);
	else if (err)
		diag_error(d, NULL, "cannot attach to %s: %s (%s)", p->ifname, strerror(-err),
			   last_message);
	return err;
}

/* The program last: what has one pinned is complete. */
static int pin_all(struct place *p, const struct decap_bpf *skel, int prog_fd, struct diag *d)
{
	int err = 0;

	if (!p->attached) {
		err = decap_pins_put(&p->pins, DECAP_PIN_SERVICES,
				     bpf_map__fd(skel->maps.dc_services));
		if (!err)
			err = decap_pins_put(&p->pins, DECAP_PIN_COUNTERS,
					     bpf_map__fd(skel->maps.dc_counters));
		if (!err)
			err = decap_pins_put(&p->pins, DECAP_PIN_SETTINGS,
					     bpf_map__fd(skel->maps.dc_settings));
		if (!err && p->link_fd >= 0)
			err = decap_pins_put(&p->pins, DECAP_PIN_LINK, p->link_fd);
	}
	if (!err)
		err = decap_pins_put(&p->pins, DECAP_PIN_PROG, prog_fd);
	if (err)
		diag_error(d, NULL, "cannot pin to %s: %s", p->pins.dir, strerror(-err));
	return err;
}

/* Addresses, then the hook, then the pins. p->attached is still what it was before. */
static int install(struct place *p, const struct decap_opts *o, struct decap_bpf *skel,
		   struct diag *d)
{
	int prog_fd =
		bpf_program__fd(o->how == DECAP_TC ? skel->progs.decap_tc : skel->progs.decap_xdp);
	int err = decap_maps_set_services(bpf_map__fd(skel->maps.dc_services), o->services,
					  o->service_count);

	if (!err)
		err = decap_maps_set_gue_port(bpf_map__fd(skel->maps.dc_settings), o->gue_port);
	if (err) {
		diag_error(d, NULL, "cannot write the tables: %s", strerror(-err));
		return err;
	}
	err = o->how == DECAP_TC ? hook_tc(p, prog_fd, d) : hook_xdp(p, prog_fd, o->how, d);
	if (err)
		return err;
	err = pin_all(p, skel, prog_fd, d);
	if (err && !p->attached) {
		p->attached = true;
		p->how = o->how;
		(void)place_detach(p, d); /* d says so if that fails too */
		p->attached = false;
	}
	return err;
}

static int check_place(const struct place *p, const struct decap_opts *o, struct diag *d)
{
	if (!p->ifindex) {
		diag_error(d, NULL, "there is no interface %s", o->ifname);
		return -ENODEV;
	}
	if (p->attached && p->how != o->how) {
		diag_error(d, NULL, "attached to %s by %s, not %s: detach it first", o->ifname,
			   decap_how_name(p->how), decap_how_name(o->how));
		return -EBUSY;
	}
	return 0;
}

int decap_attach(const struct decap_opts *o, bool *ret_updated, struct diag *d)
{
	struct decap_bpf *skel = NULL;
	struct place p;
	int err = place_open(&p, o->pin_path, o->ifname, d);

	if (!err)
		err = check_place(&p, o, d);
	if (err)
		goto out;
	if (!p.attached) {
		place_close(&p);
		decap_pins_remove(&p.pins); /* of an interface that had this name */
		err = decap_pins_create(&p.pins, d);
	}
	if (!err)
		err = load(&p, o->how, &skel, d);
	if (!err)
		err = install(&p, o, skel, d);
	if (!err)
		*ret_updated = p.attached;
	else if (!p.attached)
		decap_pins_remove(&p.pins);
out:
	decap_bpf__destroy(skel);
	place_close(&p);
	return err;
}

int decap_detach(const char *pin_path, const char *ifname, bool *ret_found, struct diag *d)
{
	struct place p;
	int err = place_open(&p, pin_path, ifname, d);

	if (err)
		return err;
	*ret_found = p.prog_fd >= 0;
	if (!p.ifindex && p.prog_fd < 0) {
		diag_error(d, NULL, "there is no interface %s", ifname);
		err = -ENODEV;
	} else {
		err = place_detach(&p, d);
	}
	place_close(&p);
	return err;
}

struct list {
	const char *pin_path;
	struct decap_state *states;
	size_t count;
	struct diag *d;
};

static int state_read(const struct place *p, struct decap_state *state)
{
	int err;

	snprintf(state->ifname, sizeof(state->ifname), "%s", p->ifname);
	state->attached = p->attached;
	state->how = p->how;
	state->prog_id = p->prog_id;
	err = decap_maps_services(p->services_fd, &state->services, &state->service_count);
	if (!err)
		err = decap_maps_gue_port(p->settings_fd, &state->gue_port);
	return err ? err : decap_maps_counters(p->counters_fd, state->counters);
}

static int on_folder(const char *ifname, void *ctx)
{
	struct list *list = ctx;
	struct decap_state *grown;
	struct place p;
	int err = place_open(&p, list->pin_path, ifname, list->d);

	if (err || p.prog_fd < 0)
		return err;
	grown = reallocarray(list->states, list->count + 1, sizeof(*grown));
	if (grown) {
		list->states = grown;
		grown[list->count] = (struct decap_state){};
		err = state_read(&p, &grown[list->count++]);
	} else {
		err = -ENOMEM;
	}
	if (err)
		diag_error(list->d, NULL, "cannot read the tables of %s: %s", ifname,
			   strerror(-err));
	place_close(&p);
	return err;
}

int decap_list(const char *pin_path, struct decap_state **ret_states, size_t *ret_count,
	       struct diag *d)
{
	struct list list = {.pin_path = pin_path, .d = d};
	int err = decap_pins_each(pin_path, on_folder, &list);

	if (err) {
		if (!d->errors)
			diag_error(d, NULL, "cannot read %s: %s%s", pin_path, strerror(-err),
				   err == -EACCES ? " (this needs root)" : "");
		decap_states_free(list.states, list.count);
		return err;
	}
	*ret_states = list.states;
	*ret_count = list.count;
	return 0;
}

void decap_states_free(struct decap_state *states, size_t count)
{
	for (size_t i = 0; i < count; i++)
		free(states[i].services);
	free(states);
}
