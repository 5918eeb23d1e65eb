/* SPDX-License-Identifier: BSD-2-Clause */
#include "loader/report.h"

#include <errno.h>
#include <inttypes.h>
#include <jansson.h>
#include <stdio.h>
#include <stdlib.h>

#include "loader/maps.h"
#include "loader/maps_nat.h"

struct status {
	struct loader_info info;
	struct attachment *attachments;
	size_t attachment_count;
	struct loader_sizes sizes, used;
	uint64_t memory;
};

static int count_services(struct loader *l, uint32_t rows, struct loader_sizes *used)
{
	struct maps_service_row *list;
	size_t count;
	int err = maps_service_list(l, &list, &count);

	if (err < 0)
		return err;
	free(list);
	used->services = (uint32_t)count;
	for (uint32_t i = 0; i < rows; i++) {
		struct shunt_ring ring;

		err = maps_ring_get(l, i, &ring);
		if (err < 0)
			return err;
		used->ring_slots += ring.size;
	}
	return 0;
}

static int count_backends(struct loader *l, uint32_t rows, struct loader_sizes *used)
{
	for (uint32_t i = 1; i < rows; i++) {
		struct shunt_backend row;
		int err = maps_backend_get(l, i, &row);

		if (err < 0)
			return err;
		used->backends += row.id != 0;
	}
	return 0;
}

static int read_status(struct loader *l, struct status *st)
{
	uint64_t flows = 0, pending = 0, nat = 0;
	int err;

	loader_describe(l, &st->info);
	maps_sizes(l, &st->sizes);
	st->memory = maps_memory(l);
	err = loader_attachments(l, &st->attachments, &st->attachment_count);
	if (err == 0)
		err = count_services(l, st->sizes.services, &st->used);
	if (err == 0)
		err = count_backends(l, st->sizes.backends, &st->used);
	if (err == 0)
		err = maps_flow_count(l, &flows, &pending);
	if (err == 0)
		err = maps_nat_count(l, &nat);
	st->used.flows = (uint32_t)flows;
	st->used.pending = (uint32_t)pending;
	st->used.nat = (uint32_t)nat;
	return err;
}

static const char *mode_name(enum attach_mode mode)
{
	return mode == ATTACH_NATIVE ? "native" : "generic";
}

static const char *kind_name(enum attach_kind kind)
{
	return kind == ATTACH_DISPATCHER ? "dispatcher" : "single";
}

static json_t *attachments_json(const struct status *st)
{
	json_t *list = json_array();

	for (size_t i = 0; i < st->attachment_count; i++) {
		const struct attachment *a = &st->attachments[i];

		json_array_append_new(
			list, json_pack("{s:s, s:i, s:s, s:s, s:I}", "name", a->ifname, "ifindex",
					a->ifindex, "mode", mode_name(a->mode), "kind",
					kind_name(a->kind), "program_id", (json_int_t)a->prog_id));
	}
	return list;
}

static json_t *table_json(uint32_t used, uint32_t size)
{
	return json_pack("{s:I, s:I}", "entries", (json_int_t)used, "size", (json_int_t)size);
}

static json_t *hex_json(uint64_t value, int digits)
{
	char text[17];

	snprintf(text, sizeof(text), "%0*" PRIx64, digits, value);
	return json_string(text);
}

static json_t *status_json(const struct status *st)
{
	const struct loader_info *i = &st->info;

	return json_pack("{s:s, s:i, s:o, s:{s:I, s:I, s:s, s:o, s:b}, s:o, s:{s:o, s:o, s:o, s:o, "
			 "s:o, s:o}, "
			 "s:I, s:I}",
			 "pin_directory", i->dir, "abi_version", SHUNT_ABI_VERSION,
			 "seed_fingerprint", hex_json(i->seed_fingerprint, 8), "program", "id",
			 (json_int_t)i->prog_id, "component_id", (json_int_t)i->ext_id, "tag",
			 i->tag, "build", hex_json(i->build, 16), "current",
			 i->build == i->own_build, "interfaces", attachments_json(st), "tables",
			 "services", table_json(st->used.services, st->sizes.services), "backends",
			 table_json(st->used.backends, st->sizes.backends - 1), "ring_slots",
			 table_json(st->used.ring_slots, st->sizes.ring_slots), "flows",
			 table_json(st->used.flows, 2 * st->sizes.flows), "pending_flows",
			 table_json(st->used.pending, 2 * st->sizes.pending), "nat_flows",
			 table_json(st->used.nat, 2 * st->sizes.nat), "memory_bytes",
			 (json_int_t)st->memory, "user_pid", (json_int_t)i->user_pid);
}

static int print_json(json_t *root)
{
	int err = root == NULL || json_dumpf(root, stdout, JSON_INDENT(2)) < 0 ? -ENOMEM : 0;

	putchar('\n');
	json_decref(root);
	return err;
}

static void print_table(const char *name, uint32_t used, uint32_t size)
{
	printf("  %-12s %10u of %u\n", name, used, size);
}

static void print_status(const struct status *st)
{
	const struct loader_info *i = &st->info;

	printf("pinned at    %s (ABI version %d)\n", i->dir, SHUNT_ABI_VERSION);
	if (i->prog_id == 0)
		printf("program      none, or not known\n");
	else
		printf("program      id %u, tag %s, build %016" PRIx64 "%s\n", i->prog_id, i->tag,
		       i->build,
		       i->build == i->own_build ? "" : " (not the build of this shunt-load)");
	printf("hash seed    fingerprint %08x\n", i->seed_fingerprint);
	if (i->user_pid != 0)
		printf("in use by    pid %d\n", i->user_pid);
	printf("interfaces%s\n", st->attachment_count == 0 ? "   none" : "");
	for (size_t k = 0; k < st->attachment_count; k++) {
		const struct attachment *a = &st->attachments[k];

		printf("  %-12s %s, %s, program %u\n", a->ifname, mode_name(a->mode),
		       a->kind == ATTACH_DISPATCHER ? "in a dispatcher" : "single program",
		       a->prog_id);
	}
	printf("tables       %" PRIu64 " MiB\n", (st->memory + (1U << 20) - 1) >> 20);
	print_table("services", st->used.services, st->sizes.services);
	print_table("backends", st->used.backends, st->sizes.backends - 1);
	print_table("ring slots", st->used.ring_slots, st->sizes.ring_slots);
	print_table("flows", st->used.flows, 2 * st->sizes.flows);
	print_table("pending", st->used.pending, 2 * st->sizes.pending);
	print_table("nat", st->used.nat, 2 * st->sizes.nat);
}

/* NULL: the program is not loaded. */
static json_t *sockets_json(const struct sockets_info *s)
{
	if (s == NULL)
		return json_null();
	return json_pack("{s:I, s:I, s:I, s:I, s:i}", "program_id", (json_int_t)s->prog_id,
			 "link_id", (json_int_t)s->link_id, "network_namespace",
			 (json_int_t)s->netns, "keys", (json_int_t)s->keys, "user_pid",
			 s->user_pid);
}

static void print_sockets(const struct sockets_info *s)
{
	if (s == NULL)
		return;
	if (s->netns == 0)
		printf("sockets      attached nowhere");
	else
		printf("sockets      program %u, in network namespace %u", s->prog_id, s->netns);
	printf(", %u keys\n", s->keys);
}

int report_sockets(const struct sockets_info *sockets, bool json)
{
	if (json)
		return print_json(json_pack("{s:o}", "sockets", sockets_json(sockets)));
	print_sockets(sockets);
	return 0;
}

static int print_status_json(const struct status *st, const struct sockets_info *sockets)
{
	json_t *root = status_json(st);

	if (root != NULL && json_object_set_new(root, "sockets", sockets_json(sockets)) != 0) {
		json_decref(root);
		root = NULL;
	}
	return print_json(root);
}

int report_status(struct loader *l, const struct sockets_info *sockets, bool json)
{
	struct status st = {0};
	int err = read_status(l, &st);

	if (err == 0 && json) {
		err = print_status_json(&st, sockets);
	} else if (err == 0) {
		print_status(&st);
		print_sockets(sockets);
	}
	free(st.attachments);
	return err;
}

static json_t *probe_json(const struct probe_item *items, size_t count)
{
	json_t *list = json_array();

	for (size_t i = 0; i < count; i++)
		json_array_append_new(list, json_pack("{s:s, s:b, s:b, s:s}", "name", items[i].name,
						      "ok", items[i].ok, "required",
						      items[i].required, "text", items[i].text));
	return list;
}

int report_probe(const struct probe_item *items, size_t count, bool json)
{
	if (json)
		return print_json(probe_json(items, count));
	for (size_t i = 0; i < count; i++) {
		const struct probe_item *it = &items[i];

		printf("%-8s %-16s %s\n",
		       it->ok	      ? "ok"
		       : it->required ? "MISSING"
				      : "no",
		       it->name, it->text);
	}
	return 0;
}
