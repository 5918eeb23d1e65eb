/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The steering program for tests in another language: one JSON object a line in, one out.
 *
 *	{"do": "update", "map": "sh_services", "key": "HEX", "value": "HEX"}	-> {}
 *	{"do": "lookup", "map": "sh_verdicts", "key": "HEX"}	-> {"value": "HEX"}, null: not there
 *	{"do": "run", "frame": "HEX", "ifindex": 3}	-> {"action": 2, "frame": "HEX"}
 *	{"do": "describe"}	-> {"maps": {"sh_services": [KEY SIZE, VALUE SIZE], ...}}
 *
 * ifindex: the interface that the frame came in by, of this network namespace; 0 or not there: lo.
 * Rows of a table with a row for each processor are all of them. What goes wrong is
 * {"error": "TEXT"}. The program has its own tables, is attached to nothing, and has new head room
 * poisoned (bpf/pkt.h). Ends with its input.
 */
#include <errno.h>
#include <linux/bpf.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <bpf/bpf.h>
#include <bpf/libbpf.h>
#include <jansson.h>

#include "bpf/abi.h"
#include "tests/bpf/steer_xdp.skel.h"

#define FRAME_MAX 4096
#define HEX_MAX	  (2 * 65536)

#define SEED0 0x0123456789abcdefULL
#define SEED1 0xfedcba9876543210ULL

struct bytes {
	size_t len;
	uint8_t data[65536];
};

/* False: it is not a text of hexadecimal digits, two a byte. */
static bool take_hex(const json_t *text, struct bytes *ret_bytes)
{
	const char *s = json_string_value(text);
	size_t len = s != NULL ? strlen(s) : 1;

	if (len % 2 != 0 || len > HEX_MAX)
		return false;
	ret_bytes->len = len / 2;
	for (size_t i = 0; i < len / 2; i++) {
		char digits[3] = {s[2 * i], s[2 * i + 1], 0}, *end;

		ret_bytes->data[i] = (uint8_t)strtoul(digits, &end, 16);
		if (*end != 0)
			return false;
	}
	return true;
}

static json_t *give_hex(const uint8_t *data, size_t len)
{
	static char text[HEX_MAX + 1];

	for (size_t i = 0; i < len; i++)
		snprintf(text + 2 * i, 3, "%02x", data[i]);
	return json_stringn(text, 2 * len);
}

static json_t *failed(const char *what, int err)
{
	return json_pack("{s:s+}", "error", what, err < 0 ? strerror(-err) : "");
}

static bool is_per_cpu(const struct bpf_map *map)
{
	return bpf_map__type(map) == BPF_MAP_TYPE_PERCPU_ARRAY;
}

static json_t *do_update(const struct bpf_map *map, const struct bytes *key, const json_t *request)
{
	static struct bytes value;
	int err;

	if (!take_hex(json_object_get(request, "value"), &value) ||
	    value.len != bpf_map__value_size(map) || is_per_cpu(map))
		return failed("value: not of the map's size", 0);
	err = bpf_map_update_elem(bpf_map__fd(map), key->data, value.data, BPF_ANY);
	return err < 0 ? failed("update: ", err) : json_object();
}

static json_t *do_lookup(const struct bpf_map *map, const struct bytes *key)
{
	static struct bytes value;
	size_t len = bpf_map__value_size(map);
	int err;

	if (is_per_cpu(map))
		len = (len + 7) / 8 * 8 * (size_t)libbpf_num_possible_cpus();
	if (len > sizeof(value.data))
		return failed("lookup: a value too large", 0);
	err = bpf_map_lookup_elem(bpf_map__fd(map), key->data, value.data);
	if (err == -ENOENT)
		return json_pack("{s:n}", "value");
	return err < 0 ? failed("lookup: ", err)
		       : json_pack("{s:o}", "value", give_hex(value.data, len));
}

static json_t *with_map(const struct steer_xdp_bpf *skel, const json_t *request, bool update)
{
	static struct bytes key;
	const char *name = json_string_value(json_object_get(request, "map"));
	const struct bpf_map *map =
		name != NULL ? bpf_object__find_map_by_name(skel->obj, name) : NULL;

	if (map == NULL)
		return failed("there is no such map", 0);
	if (!take_hex(json_object_get(request, "key"), &key) || key.len != bpf_map__key_size(map))
		return failed("key: not of the map's size", 0);
	return update ? do_update(map, &key, request) : do_lookup(map, &key);
}

static json_t *do_run(const struct steer_xdp_bpf *skel, const json_t *request)
{
	static struct bytes in, out;
	struct xdp_md ctx = {
		.ingress_ifindex =
			(uint32_t)json_integer_value(json_object_get(request, "ifindex")),
	};
	LIBBPF_OPTS(bpf_test_run_opts, opts, .data_in = in.data, .data_out = out.data,
		    .data_size_out = sizeof(out.data), .repeat = 1);
	int err;

	if (!take_hex(json_object_get(request, "frame"), &in) || in.len > FRAME_MAX)
		return failed("frame: not one", 0);
	opts.data_size_in = (uint32_t)in.len;
	if (ctx.ingress_ifindex != 0) {
		ctx.data_end = (uint32_t)in.len;
		opts.ctx_in = &ctx;
		opts.ctx_size_in = sizeof(ctx);
	}
	err = bpf_prog_test_run_opts(bpf_program__fd(skel->progs.steer_xdp), &opts);
	if (err < 0)
		return failed("run: ", err);
	return json_pack("{s:I, s:o}", "action", (json_int_t)opts.retval, "frame",
			 give_hex(out.data, opts.data_size_out));
}

static json_t *do_describe(const struct steer_xdp_bpf *skel)
{
	json_t *maps = json_object();
	const struct bpf_map *map;

	bpf_object__for_each_map(map, skel->obj)
	{
		json_object_set_new(maps, bpf_map__name(map),
				    json_pack("[I, I]", (json_int_t)bpf_map__key_size(map),
					      (json_int_t)bpf_map__value_size(map)));
	}
	return json_pack("{s:o}", "maps", maps);
}

static json_t *answer(const struct steer_xdp_bpf *skel, const json_t *request)
{
	const char *what = json_string_value(json_object_get(request, "do"));

	if (what != NULL && strcmp(what, "run") == 0)
		return do_run(skel, request);
	if (what != NULL && strcmp(what, "update") == 0)
		return with_map(skel, request, true);
	if (what != NULL && strcmp(what, "lookup") == 0)
		return with_map(skel, request, false);
	if (what != NULL && strcmp(what, "describe") == 0)
		return do_describe(skel);
	return failed("do: expected run, update, lookup or describe", 0);
}

static struct steer_xdp_bpf *load(void)
{
	struct steer_xdp_bpf *skel = steer_xdp_bpf__open();

	if (skel == NULL)
		return NULL;
	skel->rodata->settings.hash_seed[0] = SEED0;
	skel->rodata->settings.hash_seed[1] = SEED1;
	if (steer_xdp_bpf__load(skel) == 0)
		return skel;
	steer_xdp_bpf__destroy(skel);
	return NULL;
}

int main(void)
{
	static char line[HEX_MAX + 1024];
	struct steer_xdp_bpf *skel = load();

	if (skel == NULL) {
		fprintf(stderr, "runner: cannot load the program\n");
		return EXIT_FAILURE;
	}
	while (fgets(line, sizeof(line), stdin) != NULL) {
		json_t *request = json_loads(line, 0, NULL);
		json_t *reply = answer(skel, request);

		json_dumpf(reply, stdout, JSON_COMPACT);
		putchar('\n');
		fflush(stdout);
		json_decref(reply);
		json_decref(request);
	}
	steer_xdp_bpf__destroy(skel);
	return EXIT_SUCCESS;
}
