/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * On and off interfaces. The kernel is asked each time where the program is; nothing is remembered.
 * Ours is a program over our pinned maps, whatever its age: foreign programs are never touched.
 */
#include <bpf/bpf.h>
#include <bpf/libbpf.h>
#include <errno.h>
#include <linux/capability.h>
#include <linux/if_link.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include <xdp/libxdp.h>

#include "core/log.h"
#include "loader/dispatcher.h"
#include "loader/ifaces.h"
#include "loader/loader.h"
#include "loader/messages.h"
#include "loader/pins.h"
#include "loader/privileges.h"
#include "loader/state.h"
#include "skel/steer_xdp.skel.h"

#define DISPATCHER_MAX 10 /* components that libxdp puts into one dispatcher */

/* An interface that runs a program of ours; more than one while an exchange is under way. */
struct place {
	struct iface iface;
	enum attach_kind kind;
	uint32_t ids[DISPATCHER_MAX];
	size_t count;
};

static enum attach_mode place_mode(const struct place *p)
{
	return p->iface.generic ? ATTACH_GENERIC : ATTACH_NATIVE;
}

static enum xdp_attach_mode libxdp_mode(enum attach_mode mode)
{
	return mode == ATTACH_GENERIC ? XDP_MODE_SKB : XDP_MODE_NATIVE;
}

static uint32_t kernel_mode(enum attach_mode mode)
{
	return mode == ATTACH_GENERIC ? XDP_FLAGS_SKB_MODE : XDP_FLAGS_DRV_MODE;
}

static void find_components(const struct loader *l, struct place *place)
{
	struct xdp_multiprog *mp = xdp_multiprog__get_from_ifindex(place->iface.index);
	struct xdp_program *prog = NULL;

	if (libxdp_get_error(mp) != 0)
		return;
	if (!xdp_multiprog__is_legacy(mp)) {
		while ((prog = xdp_multiprog__next_prog(prog, mp)) != NULL) {
			uint32_t id = xdp_program__id(prog);

			if (place->count < DISPATCHER_MAX && loader_owns_program(l, id))
				place->ids[place->count++] = id;
		}
	}
	xdp_multiprog__close(mp);
}

/* What of ours runs on an interface? False: nothing. */
static bool find_place(const struct loader *l, const struct iface *iface, struct place *ret_place)
{
	struct place place = {.iface = *iface};

	if (iface->prog_id == 0)
		return false;
	if (loader_owns_program(l, iface->prog_id)) {
		place.kind = ATTACH_SINGLE;
		place.ids[place.count++] = iface->prog_id;
	} else {
		place.kind = ATTACH_DISPATCHER;
		find_components(l, &place);
	}
	if (place.count > 0)
		*ret_place = place;
	return place.count > 0;
}

static int list_places(const struct loader *l, struct place **ret_places, size_t *ret_count)
{
	struct iface *ifaces;
	struct place *places;
	size_t iface_count, count = 0;
	int err = ifaces_list(&ifaces, &iface_count);

	if (err < 0)
		return err;
	places = calloc(iface_count + 1, sizeof(*places));
	for (size_t i = 0; i < iface_count && places != NULL; i++)
		count += find_place(l, &ifaces[i], &places[count]);
	free(ifaces);
	if (places == NULL)
		return -ENOMEM;
	*ret_places = places;
	*ret_count = count;
	return 0;
}

/* The present program of a place's kind; 0: not loaded. */
static uint32_t current_id(const struct loader *l, enum attach_kind kind)
{
	return kind == ATTACH_SINGLE ? l->record.prog_id : l->record.ext_id;
}

static bool place_is_current(const struct loader *l, const struct place *p)
{
	return p->count == 1 && p->ids[0] == current_id(l, p->kind);
}

int loader_attachments(struct loader *l, struct attachment **ret_list, size_t *ret_count)
{
	struct attachment *list;
	struct place *places;
	size_t count;
	int err = list_places(l, &places, &count);

	if (err < 0)
		return err;
	list = calloc(count + 1, sizeof(*list));
	for (size_t i = 0; i < count && list != NULL; i++) {
		list[i].ifindex = places[i].iface.index;
		list[i].mode = place_mode(&places[i]);
		list[i].kind = places[i].kind;
		list[i].prog_id = places[i].ids[0];
		memcpy(list[i].ifname, places[i].iface.name, sizeof(list[i].ifname));
	}
	free(places);
	if (list == NULL)
		return -ENOMEM;
	*ret_list = list;
	*ret_count = count;
	return 0;
}

/* ---- one program alone, by a pinned link ------------------------------------------------------ */

/* ifindex to look for (0: links whose interface is gone); the open link, and where it is pinned. */
struct link_search {
	uint32_t ifindex;
	int fd;
	char path[PATH_MAX];
};

static int match_link(void *ctx, const char *dir, const char *name)
{
	struct link_search *s = ctx;
	struct bpf_link_info info = {0};
	uint32_t len = sizeof(info);
	char path[PATH_MAX];
	int n = snprintf(path, sizeof(path), "%s/%s", dir, name), fd;

	if (n < 0 || (size_t)n >= sizeof(path) || strncmp(name, PIN_LINK, strlen(PIN_LINK)) != 0)
		return 0;
	fd = bpf_obj_get(path);
	if (fd < 0)
		return 0;
	if (bpf_obj_get_info_by_fd(fd, &info, &len) < 0 || info.type != BPF_LINK_TYPE_XDP ||
	    info.xdp.ifindex != s->ifindex) {
		close(fd);
		return 0;
	}
	s->fd = fd;
	memcpy(s->path, path, sizeof(path));
	return 1;
}

static bool find_link(const struct loader *l, int ifindex, struct link_search *ret_search)
{
	*ret_search = (struct link_search){.ifindex = (uint32_t)ifindex, .fd = -1};
	return pins_each(l->dir, match_link, ret_search) == 1;
}

/* Links of interfaces that do not exist any more hold nothing but their name. */
static void remove_dead_links(const struct loader *l)
{
	struct link_search dead;

	while (find_link(l, 0, &dead)) {
		close(dead.fd);
		if (unlink(dead.path) < 0)
			return;
	}
}

/* Names of pins may have no dot, names of interfaces may have no colon. */
static int link_path(const struct loader *l, const struct iface *iface, char *buf, size_t len)
{
	char name[64];

	snprintf(name, sizeof(name), PIN_LINK "%d-%s", iface->index, iface->name);
	for (char *p = name; *p != '\0'; p++) {
		if (*p == '.')
			*p = ':';
	}
	return loader_pin_path(l, name, buf, len);
}

static int attach_single(struct loader *l, const struct iface *iface, enum attach_mode mode)
{
	struct bpf_link_create_opts opts = {.sz = sizeof(opts), .flags = kernel_mode(mode)};
	char path[PATH_MAX];
	int err = link_path(l, iface, path, sizeof(path));
	int fd;

	if (err < 0)
		return err;
	remove_dead_links(l);
	fd = bpf_link_create(l->prog_fd, iface->index, BPF_XDP, &opts);
	if (fd < 0)
		return fd;
	err = bpf_obj_pin(fd, path);
	if (err == -EEXIST) {
		/* Left of an interface of the same name and number in another namespace. */
		unlink(path);
		err = bpf_obj_pin(fd, path);
	}
	close(fd);
	return err;
}

static int detach_single(struct loader *l, const struct place *p)
{
	struct bpf_xdp_attach_opts opts = {.sz = sizeof(opts)};
	struct link_search link;
	int err, fd;

	if (find_link(l, p->iface.index, &link)) {
		err = bpf_link_detach(link.fd);
		close(link.fd);
		if (err == 0 && unlink(link.path) < 0)
			err = -errno;
		return err;
	}
	fd = bpf_prog_get_fd_by_id(p->ids[0]);
	if (fd < 0)
		return fd;
	opts.old_prog_fd = fd;
	err = bpf_xdp_detach(p->iface.index, kernel_mode(place_mode(p)) | XDP_FLAGS_REPLACE, &opts);
	close(fd);
	return err;
}

static int move_single(struct loader *l, const struct place *p)
{
	struct bpf_xdp_attach_opts opts = {.sz = sizeof(opts)};
	struct link_search link;
	int err, fd;

	if (find_link(l, p->iface.index, &link)) {
		err = bpf_link_update(link.fd, l->prog_fd, NULL);
		close(link.fd);
		return err;
	}
	fd = bpf_prog_get_fd_by_id(p->ids[0]);
	if (fd < 0)
		return fd;
	opts.old_prog_fd = fd;
	err = bpf_xdp_attach(p->iface.index, l->prog_fd,
			     kernel_mode(place_mode(p)) | XDP_FLAGS_REPLACE, &opts);
	close(fd);
	return err;
}

/* ---- one of several programs, in a dispatcher -------------------------------------------------- */

/* Keep the component that the first attachment loaded: the next interfaces get the same. */
static int keep_extension(struct loader *l, const struct xdp_program *prog)
{
	int err;

	if (l->ext_fd >= 0)
		return 0;
	l->ext_fd = dup(xdp_program__fd(prog));
	if (l->ext_fd < 0)
		return -errno;
	err = loader_pin_over(l, l->ext_fd, PIN_EXT);
	if (err < 0)
		return err;
	l->record.ext_id = xdp_program__id(prog);
	return loader_record_write(l);
}

/* A program of ours, on its way into or out of the dispatcher of an interface. */
struct component {
	struct loader *l;
	int ifindex;
	enum attach_mode mode;
	uint32_t id; /* to leave */
};

/* libxdp loads the program as the extension of a dispatcher's function when it attaches it first. */
static int attach_component(void *ctx)
{
	struct component *c = ctx;
	struct loader *l = c->l;
	struct xdp_program_opts opts = {.sz = sizeof(opts)};
	struct steer_xdp_bpf *skel = NULL;
	struct xdp_program *prog;
	int err = 0;

	if (l->ext_fd < 0) {
		err = loader_open_object(l, &skel);
		if (err < 0)
			return err;
		opts.obj = skel->obj;
		opts.prog_name = bpf_program__name(skel->progs.steer_xdp);
	} else {
		opts.fd = l->ext_fd;
	}
	prog = xdp_program__create(&opts);
	err = (int)libxdp_get_error(prog);
	if (err == 0)
		err = xdp_program__attach(prog, c->ifindex, libxdp_mode(c->mode), 0);
	if (err == 0)
		err = keep_extension(l, prog);
	if (libxdp_get_error(prog) == 0)
		xdp_program__close(prog);
	steer_xdp_bpf__destroy(skel);
	return err;
}

static int detach_component(void *ctx)
{
	struct component *c = ctx;
	struct xdp_program *prog = xdp_program__from_id(c->id);
	int err = (int)libxdp_get_error(prog);

	if (err != 0)
		return err;
	err = xdp_program__detach(prog, c->ifindex, libxdp_mode(c->mode), 0);
	xdp_program__close(prog);
	return err;
}

/* All programs of ours but one. */
static int detach_components(struct loader *l, const struct place *p, uint32_t keep)
{
	struct component c = {.l = l, .ifindex = p->iface.index, .mode = place_mode(p)};
	int err = 0;

	for (size_t i = 0; i < p->count && err == 0; i++) {
		c.id = p->ids[i];
		if (c.id != keep)
			err = dispatcher_call(detach_component, &c);
	}
	return err;
}

/* The new one joins before the old ones leave: no packet goes by without one of them. */
static int move_component(struct loader *l, const struct place *p)
{
	struct component c = {.l = l, .ifindex = p->iface.index, .mode = place_mode(p)};
	bool there = false;
	int err = 0;

	for (size_t i = 0; i < p->count; i++)
		there = there || (p->ids[i] == l->record.ext_id && l->record.ext_id != 0);
	if (!there)
		err = dispatcher_call(attach_component, &c);
	return err < 0 ? err : detach_components(l, p, l->record.ext_id);
}

/* ---- the calls --------------------------------------------------------------------------------- */

static bool use_dispatcher(struct loader *l)
{
	char why[160] = "";

	if (l->dispatcher < 0) {
		l->dispatcher = dispatcher_is_supported(why, sizeof(why));
		if (l->dispatcher == 0)
			log_debug("loader: no dispatcher, one program alone reason=\"%s\"", why);
	}
	return l->dispatcher == 1;
}

static void name_of_program(uint32_t id, char *buf, size_t len)
{
	struct bpf_prog_info info = {0};
	uint32_t info_len = sizeof(info);
	int fd = bpf_prog_get_fd_by_id(id);

	snprintf(buf, len, "with the id %u", id);
	if (fd < 0)
		return;
	if (bpf_obj_get_info_by_fd(fd, &info, &info_len) == 0 && info.name[0] != '\0')
		snprintf(buf, len, "%s (id %u)", info.name, id);
	close(fd);
}

/* The link interface gives no reasons, the older one does: ask it for the driver's. */
static void ask_driver(const struct loader *l, const struct iface *iface, enum attach_mode mode)
{
	uint32_t flags = kernel_mode(mode) | XDP_FLAGS_UPDATE_IF_NOEXIST;

	if (messages_kernel_text() == NULL &&
	    bpf_xdp_attach(iface->index, l->prog_fd, flags, NULL) == 0)
		(void)bpf_xdp_detach(iface->index, flags, NULL);
}

static int say_attach_failed(const struct loader *l, const struct iface *iface,
			     enum attach_mode mode, int err, struct diag *d)
{
	const char *reason;
	char other[64];

	if (iface->prog_id != 0) {
		name_of_program(iface->prog_id, other, sizeof(other));
		if (!capability_held(CAP_SYS_ADMIN)) {
			diag_error(
				d, NULL,
				"cannot attach to %s: the XDP program %s is there already, and to "
				"look at it takes the capability CAP_SYS_ADMIN",
				iface->name, other);
			return -EPERM;
		}
		diag_error(d, NULL,
			   "cannot attach to %s: the XDP program %s is there already, and %s",
			   iface->name, other,
			   l->dispatcher == 1 ? "does not share the interface (it was attached "
						"without libxdp's dispatcher, or in another mode)"
					      : "this kernel runs one program alone");
		return -EBUSY;
	}
	ask_driver(l, iface, mode);
	reason = messages_kernel_text();
	if (err == -EOPNOTSUPP && mode == ATTACH_NATIVE) {
		diag_error(d, NULL,
			   "cannot attach to %s: its driver has no native XDP%s%s: set "
			   "node.xdp_mode: generic (`--mode generic`), which is slower",
			   iface->name, reason != NULL ? ", it says " : "",
			   reason != NULL ? reason : "");
		return err;
	}
	diag_error(d, NULL, "cannot attach to %s (MTU %u) in %s mode: %s%s%s", iface->name,
		   iface->mtu, mode == ATTACH_NATIVE ? "native" : "generic", strerror(-err),
		   reason != NULL ? ": " : "", reason != NULL ? reason : "");
	return err;
}

/* libxdp puts the program on the interface alone where it finds, late, that there can be no
 * dispatcher: that attachment would not outlive an exchange without a gap, a link does. */
static int attach_any(struct loader *l, const struct iface *iface, enum attach_mode mode)
{
	struct component c = {.l = l, .ifindex = iface->index, .mode = mode};
	struct iface now;
	struct place place;
	int err;

	if (!use_dispatcher(l))
		return attach_single(l, iface, mode);
	err = dispatcher_call(attach_component, &c);
	if (err < 0)
		return err;
	err = ifaces_find(iface->name, &now);
	if (err < 0 || !find_place(l, &now, &place) || place.kind == ATTACH_DISPATCHER)
		return err;
	l->dispatcher = 0;
	err = detach_single(l, &place);
	return err < 0 ? err : attach_single(l, iface, mode);
}

static int find_iface(const char *ifname, struct iface *ret_iface, struct diag *d)
{
	int err = ifaces_find(ifname, ret_iface);

	if (err == -ENODEV)
		diag_error(d, NULL, "interface %s does not exist", ifname);
	else if (err < 0)
		diag_error(d, NULL, "cannot list the interfaces: %s", strerror(-err));
	return err;
}

int loader_attach(struct loader *l, const char *ifname, enum attach_mode mode, struct diag *d)
{
	struct iface iface;
	struct place place;
	int err = find_iface(ifname, &iface, d);

	if (err < 0)
		return err;
	if (find_place(l, &iface, &place)) {
		if (place_mode(&place) == mode && place_is_current(l, &place))
			return 0;
		/* An interface has one mode at a time: a change of it has a gap. */
		err = loader_detach(l, ifname, d);
		if (err == 0)
			err = find_iface(ifname, &iface, d);
		if (err < 0)
			return err;
	}
	messages_clear();
	err = attach_any(l, &iface, mode);
	return err < 0 ? say_attach_failed(l, &iface, mode, err, d) : 0;
}

int loader_detach(struct loader *l, const char *ifname, struct diag *d)
{
	struct iface iface;
	struct place place;
	int err = find_iface(ifname, &iface, d);

	if (err < 0)
		return err;
	if (!find_place(l, &iface, &place))
		return 0;
	messages_clear();
	err = place.kind == ATTACH_SINGLE ? detach_single(l, &place)
					  : detach_components(l, &place, 0);
	if (err < 0) {
		diag_error(d, NULL, "cannot detach from %s: %s", ifname, strerror(-err));
		messages_to_diag(d, "libxdp", 4);
	}
	return err;
}

int loader_move_all(struct loader *l, struct diag *d)
{
	struct place *places;
	size_t count;
	int err = list_places(l, &places, &count);

	if (err < 0) {
		diag_error(d, NULL, "cannot list the interfaces: %s", strerror(-err));
		return err;
	}
	for (size_t i = 0; i < count && err == 0; i++) {
		const struct place *p = &places[i];

		if (place_is_current(l, p))
			continue;
		messages_clear();
		err = p->kind == ATTACH_SINGLE ? move_single(l, p) : move_component(l, p);
		if (err < 0) {
			diag_error(d, NULL, "cannot exchange the program on %s: %s", p->iface.name,
				   strerror(-err));
			messages_to_diag(d, "libxdp", 4);
		}
	}
	free(places);
	return err;
}
