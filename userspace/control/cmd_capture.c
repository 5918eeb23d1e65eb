/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Packets before and after the steering program (loader/capture.h). It is begun beside the loop, since
 * the kernel's verifier takes its time; read piece by piece, as whoever asked for it can take it.
 */
#include <errno.h>
#include <net/if.h>
#include <netinet/in.h>
#include <stdlib.h>
#include <string.h>

#include "control/body.h"
#include "control/capture_json.h"
#include "control/cmd.h"
#include "control/json_build.h"
#include "control/reply.h"
#include "l4/l4.h"
#include "loader/maps.h"

#define PACKETS_DEFAULT 1000
#define PACKETS_MAX	1000000
#define SECONDS_DEFAULT 60
#define SECONDS_MAX	86400
#define BYTES_DEFAULT	(64U << 20)
#define BYTES_MAX	(4ULL << 30)
#define SNAP_MIN	64

/* Of one answer. */
#define READ_PACKETS 256
#define READ_BYTES   (1U << 20)

/* What is asked for, and its work. Owner of itself until it is answered. */
struct wish {
	uv_work_t work;
	struct commands_env *env;
	struct request *rq;
	struct capture_settings settings;
	char interface[IF_NAMESIZE], service[SHUNT_NAME_MAX];
	uint64_t seconds;
	bool headers;
	struct loader *loader;
	struct capture *capture;
	int err;
	struct diag diag;
};

static void wish_free(struct wish *w)
{
	diag_deinit(&w->diag);
	free(w);
}

/* ---- what is asked ---- */

static const char *take_prefix(const json_t *value, struct capture_prefix *ret_prefix,
			       const char *wrong)
{
	const char *text = json_string_value(value);
	struct addr addr;
	unsigned len;

	if (!text || addr_parse_prefix(text, true, &addr, &len))
		return wrong;
	ret_prefix->family = addr.family == AF_INET ? 4 : 6;
	memcpy(ret_prefix->addr, addr.bytes, addr.family == AF_INET ? 4 : 16);
	for (unsigned i = 0; i < 16; i++) {
		unsigned bits = len > 8 * i ? len - 8 * i : 0;

		((uint8_t *)ret_prefix->mask)[i] =
			(uint8_t)(bits >= 8 ? 0xff : 0xff00 >> bits & 0xff);
	}
	return NULL;
}

static const char *take_word(struct wish *w, const char *key, const char *text)
{
	static const char *const protocols[] = {"tcp", "udp", "icmp"};
	static const uint8_t numbers[] = {IPPROTO_TCP, IPPROTO_UDP, IPPROTO_ICMP};
	static const char *const which[] = {
		[CAPTURE_ACTED] = "acted", [CAPTURE_DROPS] = "drops", [CAPTURE_ALL] = "all"};

	for (size_t i = 0; text && i < 3; i++) {
		if (!strcmp(key, "protocol") && !strcmp(text, protocols[i])) {
			w->settings.proto = numbers[i];
			return NULL;
		}
		if (!strcmp(key, "which") && !strcmp(text, which[i])) {
			w->settings.which = (uint8_t)i;
			return NULL;
		}
	}
	return key[0] == 'p' ? "protocol: expected tcp, udp or icmp"
			     : "which: expected acted, drops or all";
}

static bool in_range(const json_t *value, json_int_t low, json_int_t high, uint64_t *ret_number)
{
	json_int_t n = json_integer_value(value);

	if (!json_is_integer(value) || n < low || n > high)
		return false;
	*ret_number = (uint64_t)n;
	return true;
}

static const char *take_number(struct wish *w, const char *key, const json_t *value)
{
	uint64_t n;

	if (!strcmp(key, "packets")) {
		if (!in_range(value, 1, PACKETS_MAX, &n))
			return "packets: expected 1 to 1000000";
		w->settings.packets = n;
		return NULL;
	}
	if (!strcmp(key, "seconds"))
		return in_range(value, 1, SECONDS_MAX, &w->seconds)
			       ? NULL
			       : "seconds: expected 1 to 86400";
	if (!strcmp(key, "bytes")) {
		if (!in_range(value, 1, BYTES_MAX, &n))
			return "bytes: expected 1 to 4294967296";
		w->settings.bytes = n;
		return NULL;
	}
	if (!strcmp(key, "port")) {
		if (!in_range(value, 1, 65535, &n))
			return "port: expected 1 to 65535";
		w->settings.port = (uint16_t)n;
		return NULL;
	}
	if (strcmp(key, "snap") != 0)
		return "unknown field: expected service, interface, source, destination, "
		       "protocol, port, which, packets, seconds, bytes, snap and headers";
	if (!in_range(value, SNAP_MIN, CAPTURE_SNAP_MAX, &n))
		return "snap: expected 64 to 8192";
	w->settings.snap = (uint32_t)n;
	return NULL;
}

/* A body_field. */
static const char *take_field(void *ctx, const char *key, const json_t *value)
{
	struct wish *w = ctx;

	if (!key)
		return NULL;
	if (!strcmp(key, "interface"))
		return body_copy_text(value, w->interface, sizeof(w->interface))
			       ? NULL
			       : "interface: expected a name of 1 to 15 bytes";
	if (!strcmp(key, "service"))
		return body_copy_text(value, w->service, sizeof(w->service))
			       ? NULL
			       : "service: expected a name of 1 to 63 bytes";
	if (!strcmp(key, "source"))
		return take_prefix(value, &w->settings.source,
				   "source: expected an address, or a prefix without host bits");
	if (!strcmp(key, "destination"))
		return take_prefix(
			value, &w->settings.destination,
			"destination: expected an address, or a prefix without host bits");
	if (!strcmp(key, "protocol") || !strcmp(key, "which"))
		return take_word(w, key, json_string_value(value));
	if (!strcmp(key, "headers")) {
		w->headers = json_is_true(value);
		return json_is_boolean(value) ? NULL : "headers: expected true or false";
	}
	return take_number(w, key, value);
}

/* False: it was answered what is not there. */
static bool find_interface(struct wish *w)
{
	if (w->interface[0])
		w->settings.ifindex = if_nametoindex(w->interface);
	if (!w->interface[0] || w->settings.ifindex)
		return true;
	reply_error(w->rq, REPLY_NOT_FOUND, NULL, "no such interface: %s", w->interface);
	return false;
}

static bool find_service(struct wish *w)
{
	struct shunt_svc_meta meta;
	struct loader_sizes sizes;

	if (!w->service[0])
		return true;
	maps_sizes(w->loader, &sizes);
	for (uint32_t row = 0; row < sizes.services; row++) {
		if (maps_service_meta_get(w->loader, row, &meta) ||
		    strcmp(meta.name, w->service) != 0)
			continue;
		w->settings.service = row + 1;
		return true;
	}
	reply_error(w->rq, REPLY_NOT_FOUND, NULL, "no such service: %s", w->service);
	return false;
}

/* ---- the beginning ---- */

static void on_work(uv_work_t *work)
{
	struct wish *w = work->data;

	w->err = capture_open(w->loader, &w->settings, &w->capture, &w->diag);
}

static json_t *begun_json(const struct wish *w)
{
	json_t *o = json_object();
	bool failed = !o;

	json_put(o, "id", json_string(w->env->captures->id), &failed);
	json_put_int(o, "packets", w->settings.packets, &failed);
	json_put_int(o, "bytes", w->settings.bytes, &failed);
	json_put_int(o, "seconds", w->seconds, &failed);
	json_put_int(o, "snap", w->settings.snap, &failed);
	json_put_int(o, "lease_ms", CAPTURES_LEASE_MS, &failed);
	return json_finish(o, failed);
}

static void on_done(uv_work_t *work, int status)
{
	struct wish *w = work->data;
	struct captures *c = w->env->captures;

	(void)status; /* is never cancelled */
	c->state = CAPTURES_NONE;
	if (!w->err && !w->env->stopping) {
		c->headers = w->headers;
		c->pid = (long)w->rq->peer.pid;
		c->service_row = w->settings.service;
		memcpy(c->service, w->service, sizeof(c->service));
		w->err = captures_begin(c, w->capture, w->loader, w->seconds * 1000);
		w->capture = NULL;
	}
	if (w->env->stopping)
		reply_error(w->rq, REPLY_BUSY, NULL, "shuntd is stopping");
	else if (w->err)
		reply_error(w->rq, REPLY_FAILED, &w->diag, "%s",
			    w->diag.count ? w->diag.items[0].text : strerror(-w->err));
	else
		reply_json(w->rq, 200, begun_json(w));
	capture_close(w->capture);
	wish_free(w);
}

void cmd_capture_begin(struct commands_env *env, struct request *rq, const struct route_args *args)
{
	struct captures *c = env->captures;
	struct wish *w = calloc(1, sizeof(*w));

	(void)args;
	if (!w) {
		reply_error(rq, REPLY_NO_MEMORY, NULL, "shuntd is out of memory");
		return;
	}
	w->env = env;
	w->rq = rq;
	w->work.data = w;
	w->seconds = SECONDS_DEFAULT;
	w->settings.packets = PACKETS_DEFAULT;
	w->settings.bytes = BYTES_DEFAULT;
	w->settings.snap = CAPTURE_SNAP_MAX;
	diag_init(&w->diag);
	if (env->l4)
		w->loader = l4_loader(env->l4);
	if (!env->l4)
		reply_error(rq, REPLY_CONFLICT, NULL,
			    "nothing looks at packets: node.interfaces is empty");
	else if (captures_is_busy(c))
		reply_error(rq, REPLY_CONFLICT, NULL,
			    "another capture is under way, of process %ld", c->pid);
	else if (!body_take(rq, take_field, w) || !find_interface(w) || !find_service(w))
		; /* was answered */
	else if (uv_queue_work(env->loop, &w->work, on_work, on_done))
		reply_error(rq, REPLY_NO_MEMORY, NULL, "shuntd is out of memory");
	else {
		captures_forget(c);
		c->state = CAPTURES_OPENING;
		c->pid = (long)rq->peer.pid;
		return;
	}
	wish_free(w);
}

/* ---- reading, and the end ---- */

struct reading {
	struct capture_names names;
	json_t *packets;
	bool failed;
};

static void on_packet(void *ctx, const struct capture_record *record, const uint8_t *before,
		      const uint8_t *after)
{
	struct reading *r = ctx;

	json_push(r->packets, capture_json(&r->names, record, before, after), &r->failed);
}

/* False: it was answered that there is none. */
static bool find(struct captures *c, struct request *rq, const struct route_args *args)
{
	if (captures_find(c, args->name[0]))
		return true;
	reply_error(rq, REPLY_NOT_FOUND, NULL, "there is no such capture, or it has ended");
	return false;
}

static void put_state(json_t *o, const struct captures *c, const struct capture_totals *totals,
		      bool *failed)
{
	bool running = c->state == CAPTURES_RUNNING;

	json_put(o, "running", json_boolean(running), failed);
	json_put(o, "ended", running ? json_null() : json_string(c->why), failed);
	json_put_int(o, "captured", totals->taken, failed);
	json_put_int(o, "lost", totals->lost, failed);
}

void cmd_capture_read(struct commands_env *env, struct request *rq, const struct route_args *args)
{
	struct captures *c = env->captures;
	struct reading r = {.names = {.snap = reload_current(env->reload)}};
	struct capture_totals totals;
	json_t *o;
	int count;

	if (!find(c, rq, args))
		return;
	r.names.loader = env->l4 ? l4_loader(env->l4) : NULL;
	r.names.epoch_ns = c->epoch_ns;
	r.names.headers = c->headers;
	r.packets = json_array();
	o = json_object();
	r.failed = !r.packets || !o;
	capture_totals(c->capture, &totals);
	put_state(o, c, &totals, &r.failed);
	count = captures_read(c, READ_PACKETS, READ_BYTES, on_packet, &r);
	if (count < 0) {
		reply_error(rq, REPLY_FAILED, NULL, "cannot read the capture: %s",
			    strerror(-count));
		json_decref(r.packets);
		json_decref(o);
		return;
	}
	json_put(o, "packets", r.packets, &r.failed);
	reply_json(rq, 200, json_finish(o, r.failed));
}

void cmd_capture_end(struct commands_env *env, struct request *rq, const struct route_args *args)
{
	struct captures *c = env->captures;
	struct capture_totals totals;
	json_t *o;
	bool failed;

	if (!find(c, rq, args))
		return;
	captures_end(c, "it was ended");
	capture_totals(c->capture, &totals);
	o = json_object();
	failed = !o;
	put_state(o, c, &totals, &failed);
	reply_json(rq, 200, json_finish(o, failed));
}
