/* SPDX-License-Identifier: BSD-2-Clause */
#include "loader/capture.h"

#include <bpf/bpf.h>
#include <bpf/libbpf.h>
#include <errno.h>
#include <linux/bpf.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "loader/messages.h"
#include "loader/state.h"
#include "skel/capture.skel.h"

#define TARGETS_MAX 2 /* the program alone, and the same as a component of a dispatcher */

#define SECTION_BEFORE "capture/before"
#define SECTION_AFTER  "capture/after"

struct capture {
	struct capture_bpf *skels[TARGETS_MAX]; /* all but the first have its tables */
	int links[2 * TARGETS_MAX];
	size_t count, link_count;
	uint32_t prog_id, ext_id; /* of the loader, as they were */
	struct capture_settings settings;
	const struct capture_totals *totals; /* mapped; the kernel writes it */
	struct ring_buffer *ring;
	/* Of one capture_read(). */
	capture_cb cb;
	void *cb_ctx;
	size_t packets_left, bytes_left;
	int read;
};

/*
 * The function that a program begins with, by its number among the types of that program. libbpf
 * would look for it by its name in those types, which to have them of the kernel takes CAP_SYS_ADMIN;
 * what the kernel tells of a program says it too.
 */
struct target {
	int fd;
	uint32_t function;
};

static int find_target(int fd, struct target *ret_target)
{
	struct bpf_func_info first = {0};
	struct bpf_prog_info info = {
		.nr_func_info = 1,
		.func_info_rec_size = sizeof(first),
		.func_info = (uintptr_t)&first,
	};
	uint32_t len = sizeof(info);
	int err = bpf_obj_get_info_by_fd(fd, &info, &len);

	if (err < 0)
		return err;
	if (info.nr_func_info == 0 || first.insn_off != 0 || first.type_id == 0)
		return -EOPNOTSUPP;
	*ret_target = (struct target){fd, first.type_id};
	return 0;
}

/* ---- loading: libbpf asks for the target at the last moment ---- */

/* Of the one capture that is being loaded. */
static struct target loading;

static int name_target(struct bpf_program *prog, struct bpf_prog_load_opts *opts, long cookie)
{
	(void)prog;
	(void)cookie;
	opts->attach_prog_fd = (uint32_t)loading.fd;
	opts->attach_btf_id = loading.function;
	return 0;
}

void capture_init(void)
{
	LIBBPF_OPTS(libbpf_prog_handler_opts, opts, .prog_prepare_load_fn = name_target);

	/* What fails here is met as a program of no type. */
	(void)libbpf_register_prog_handler(SECTION_BEFORE, BPF_PROG_TYPE_TRACING, BPF_TRACE_FENTRY,
					   &opts);
	(void)libbpf_register_prog_handler(SECTION_AFTER, BPF_PROG_TYPE_TRACING, BPF_TRACE_FEXIT,
					   &opts);
}

static int lend_own_maps(struct capture_bpf *to, const struct capture_bpf *from)
{
	int err = bpf_map__reuse_fd(to->maps.cap_room, bpf_map__fd(from->maps.cap_room));

	if (err == 0)
		err = bpf_map__reuse_fd(to->maps.cap_totals, bpf_map__fd(from->maps.cap_totals));
	if (err == 0)
		err = bpf_map__reuse_fd(to->maps.cap_ring, bpf_map__fd(from->maps.cap_ring));
	return err;
}

static int attach(struct capture *c, const struct bpf_program *prog, enum bpf_attach_type type)
{
	int fd = bpf_link_create(bpf_program__fd(prog), 0, type, NULL);

	if (fd < 0)
		return fd;
	c->links[c->link_count++] = fd;
	return 0;
}

/* Nothing is captured before both are there: the second begins it. */
static int attach_both(struct capture *c, const struct capture_bpf *skel)
{
	int err = attach(c, skel->progs.capture_after, BPF_TRACE_FEXIT);

	return err < 0 ? err : attach(c, skel->progs.capture_before, BPF_TRACE_FENTRY);
}

static int look_at(struct capture *c, const struct loader *l, int fd)
{
	struct capture_bpf *skel;
	int err = find_target(fd, &loading);

	if (err < 0)
		return err;
	skel = capture_bpf__open();
	if (skel == NULL)
		return -errno;
	c->skels[c->count++] = skel;
	memcpy((void *)&skel->rodata->settings, &c->settings, sizeof(c->settings));
	err = loader_lend_maps(l, skel->obj);
	if (err == 0 && c->count > 1)
		err = lend_own_maps(skel, c->skels[0]);
	return err < 0 ? err : bpf_object__load(skel->obj);
}

static int say_failed(int err, struct diag *d)
{
	if (err == -EPERM) {
		diag_error(d, NULL,
			   "the kernel does not let this process look at the steering program "
			   "(capabilities CAP_BPF and CAP_PERFMON, or a lock-down)");
	} else {
		diag_error(d, NULL, "the steering program cannot be looked at: %s", strerror(-err));
		messages_to_diag(d, "libbpf", 12);
	}
	return err;
}

/* ---- reading ---- */

static int on_record(void *ctx, void *data, size_t len)
{
	const struct capture_record *r = data;
	struct capture *c = ctx;
	const uint8_t *bytes = (const uint8_t *)(r + 1);
	size_t kept;

	if (len < sizeof(*r))
		return 0;
	kept = (size_t)r->before_kept + r->after_kept;
	if (kept > len - sizeof(*r))
		return 0;
	c->cb(c->cb_ctx, r, bytes, bytes + r->before_kept);
	c->read++;
	c->packets_left--;
	c->bytes_left -= kept < c->bytes_left ? kept : c->bytes_left;
	return c->packets_left && c->bytes_left ? 0 : -ECANCELED; /* it is taken all the same */
}

int capture_read(struct capture *c, size_t packets, size_t bytes, capture_cb cb, void *ctx)
{
	int err;

	c->cb = cb;
	c->cb_ctx = ctx;
	c->packets_left = packets;
	c->bytes_left = bytes;
	c->read = 0;
	err = packets && bytes ? ring_buffer__consume(c->ring) : 0;
	return err < 0 && err != -ECANCELED ? err : c->read;
}

/* ---- start and end ---- */

static int open_tables(struct capture *c)
{
	const struct capture_bpf *skel = c->skels[0];
	void *at = mmap(NULL, (size_t)sysconf(_SC_PAGESIZE), PROT_READ, MAP_SHARED,
			bpf_map__fd(skel->maps.cap_totals), 0);

	if (at == MAP_FAILED)
		return -errno;
	c->totals = at;
	c->ring = ring_buffer__new(bpf_map__fd(skel->maps.cap_ring), on_record, c, NULL);
	return c->ring == NULL ? -errno : 0;
}

static int open_all(struct capture *c, const struct loader *l)
{
	int err = look_at(c, l, l->prog_fd);

	if (err == 0 && l->ext_fd >= 0)
		err = look_at(c, l, l->ext_fd);
	if (err == 0)
		err = open_tables(c);
	for (size_t i = 0; i < c->count && err == 0; i++)
		err = attach_both(c, c->skels[i]);
	return err;
}

int capture_open(const struct loader *l, const struct capture_settings *settings,
		 struct capture **ret_capture, struct diag *d)
{
	struct capture *c = calloc(1, sizeof(*c));
	int err;

	if (c == NULL) {
		diag_error(d, NULL, "out of memory");
		return -ENOMEM;
	}
	c->settings = *settings;
	c->prog_id = l->record.prog_id;
	c->ext_id = l->record.ext_id;
	messages_clear();
	err = open_all(c, l);
	if (err < 0) {
		capture_close(c);
		return say_failed(err, d);
	}
	*ret_capture = c;
	return 0;
}

void capture_stop(struct capture *c)
{
	while (c != NULL && c->link_count > 0)
		close(c->links[--c->link_count]);
}

void capture_close(struct capture *c)
{
	if (c == NULL)
		return;
	capture_stop(c);
	ring_buffer__free(c->ring);
	if (c->totals != NULL)
		munmap((void *)c->totals, (size_t)sysconf(_SC_PAGESIZE));
	for (size_t i = 0; i < c->count; i++)
		capture_bpf__destroy(c->skels[i]);
	free(c);
}

bool capture_is_current(const struct capture *c, const struct loader *l)
{
	return c->prog_id == l->record.prog_id && c->ext_id == l->record.ext_id;
}

static uint64_t at_most(uint64_t value, uint64_t limit)
{
	return value < limit ? value : limit;
}

void capture_totals(const struct capture *c, struct capture_totals *ret_totals)
{
	const volatile struct capture_totals *t = c->totals;

	*ret_totals = (struct capture_totals){.taken = at_most(t->taken, c->settings.packets),
					      .bytes = t->bytes,
					      .lost = t->lost};
}

bool capture_is_full(const struct capture *c)
{
	const volatile struct capture_totals *t = c->totals;

	return t->taken >= c->settings.packets || t->bytes >= c->settings.bytes;
}
