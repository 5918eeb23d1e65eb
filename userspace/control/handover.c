/* SPDX-License-Identifier: BSD-2-Clause */
/* From and to JSON in a file without a name: see handover.h. Times are of the monotonic clock, which is
 * the same for both processes. */
#include "control/handover.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "conf/discover.h"
#include "conf/found.h"
#include "conf/runtime.h"
#include "control/handover_wire.h"
#include "control/json_build.h"
#include "core/log.h"

#define DOCUMENT_NAME "(upgrade)"

/* ---- bytes as text ---- */

static json_t *hex_json(const unsigned char *bytes, size_t len)
{
	char text[2 * TLS_SECRET_LEN + 1] = "";

	for (size_t i = 0; i < len && i < TLS_SECRET_LEN; i++)
		(void)snprintf(text + 2 * i, 3, "%02x", bytes[i]);
	return json_string(text);
}

static bool read_hex(const json_t *o, const char *key, unsigned char *bytes, size_t len)
{
	const char *text = json_string_value(json_object_get(o, key));
	unsigned byte;

	if (!text || strlen(text) != 2 * len)
		return false;
	for (size_t i = 0; i < len; i++) {
		if (sscanf(text + 2 * i, "%2x", &byte) != 1)
			return false;
		bytes[i] = (unsigned char)byte;
	}
	return true;
}

static uint64_t read_int(const json_t *o, const char *key)
{
	return (uint64_t)json_integer_value(json_object_get(o, key));
}

static const char *read_text(const json_t *o, const char *key)
{
	const char *text = json_string_value(json_object_get(o, key));

	return text ? text : "";
}

/* ---- who goes ---- */

static json_t *tickets_json(const struct tls_ticket_state *t)
{
	json_t *o = json_object();
	bool failed = !o;

	json_put_int(o, "start_ms", t->start_ms, &failed);
	json_put_int(o, "rotation_ms", t->rotation_ms, &failed);
	json_put_int(o, "epoch", t->epoch, &failed);
	json_put(o, "chain", hex_json(t->chain, sizeof(t->chain)), &failed);
	json_put(o, "secret", hex_json(t->secrets[0], sizeof(t->secrets[0])), &failed);
	json_put(o, "former_secret", hex_json(t->secrets[1], sizeof(t->secrets[1])), &failed);
	json_put(o, "label", hex_json(t->label, sizeof(t->label)), &failed);
	return json_finish(o, failed);
}

static json_t *backend_json(const struct backend_rt *rt)
{
	char address[ENDPOINT_STRLEN];
	json_t *o = json_object();
	bool failed = !o;

	json_put(o, "pool", json_text(rt->pool), &failed);
	json_put(o, "name", json_text(rt->name), &failed);
	json_put(o, "address", json_string(endpoint_format(&rt->ep, address, sizeof(address))),
		 &failed);
	json_put_int(o, "health", (uint64_t)atomic_load(&rt->health), &failed);
	json_put_int(o, "up_since_ms", atomic_load(&rt->up_since_ms), &failed);
	json_put(o, "text", json_text(rt->health_text), &failed);
	json_put_int(o, "checked_ms", rt->health_checked_ms, &failed);
	json_put_int(o, "changed_ms", rt->health_changed_ms, &failed);
	json_put_int(o, "run", rt->health_run, &failed);
	json_put_int(o, "checks", rt->health_checks, &failed);
	json_put_int(o, "failures", rt->health_failures, &failed);
	json_put_int(o, "transitions", rt->health_transitions, &failed);
	return json_finish(o, failed);
}

static json_t *health_json(const struct snapshot *snap)
{
	json_t *list = json_array();
	bool failed = !list;

	for (size_t i = 0; i < snap->pool_count; i++)
		for (size_t k = 0; k < snap->pools[i].backend_count; k++)
			json_push(list, backend_json(snap->pools[i].backends[k].rt), &failed);
	return json_finish(list, failed);
}

/* Sets are not in the document. */
static json_t *found_json(const struct found *all)
{
	json_t *list = json_array();
	bool failed = !list;

	for (size_t i = 0; i < found_count(all) && !failed; i++) {
		const struct found_set *set = found_get(all, found_pool(all, i));
		char *text = set ? found_set_text(set) : NULL;

		if (set)
			json_push(list,
				  text ? json_pack("{s:s, s:s, s:s, s:s}", "pool",
						   found_pool(all, i), "kind",
						   discover_kind_name(set->kind), "source",
						   set->source, "text", text)
				       : NULL,
				  &failed);
		free(text);
	}
	return json_finish(list, failed);
}

static json_t *groups_json(const struct legacy *legacy)
{
	json_t *list = json_array();
	bool failed = !list;

	for (size_t i = 0; i < legacy->count; i++)
		json_push(list,
			  json_pack("{s:s, s:I}", "name", legacy->groups[i].name, "count",
				    (json_int_t)legacy->groups[i].count),
			  &failed);
	return json_finish(list, failed);
}

static json_t *source_json(const struct handover_source *from, const struct legacy *legacy)
{
	char *document = tree_emit(from->snap->document);
	json_t *o = json_object();
	bool failed = !o || !document;

	json_put(o, "document", document ? json_string(document) : NULL, &failed);
	json_put_int(o, "generation", from->snap->generation, &failed);
	json_put_int(o, "pid", (uint64_t)getpid(), &failed);
	json_put(o, "version", json_string(SHUNT_VERSION), &failed);
	json_put(o, "control", json_string(from->control_path), &failed);
	json_put(o, "has_admin", json_boolean(from->admin_fd >= 0), &failed);
	json_put(o, "admin", from->admin_path ? json_string(from->admin_path) : json_null(),
		 &failed);
	json_put(o, "tickets", tickets_json(&legacy->tickets), &failed);
	json_put(o, "groups", groups_json(legacy), &failed);
	json_put(o, "found", found_json(runtime_found(from->runtime)), &failed);
	json_put(o, "health", health_json(from->snap), &failed);
	free(document);
	return json_finish(o, failed);
}

/* The state in a file of memory alone: a descriptor, or -errno. */
static int make_file(const struct handover_source *from, const struct legacy *legacy)
{
	json_t *o = source_json(from, legacy);
	int fd;

	if (!o)
		return -ENOMEM;
	fd = memfd_create("shunt-handover", MFD_CLOEXEC);
	if (fd < 0) {
		fd = -errno;
	} else if (json_dumpfd(o, fd, JSON_COMPACT) || lseek(fd, 0, SEEK_SET) < 0) {
		close(fd);
		fd = -EIO;
	}
	json_decref(o);
	return fd;
}

static int send_file(int sock, const char *what, const struct handover_source *from,
		     const struct legacy *legacy)
{
	int fd = make_file(from, legacy), err;

	if (fd < 0)
		return fd;
	err = handover_send(sock, what, &fd, 1);
	close(fd);
	return err;
}

int handover_send_check(int sock, const struct handover_source *from)
{
	struct legacy legacy;
	int err = workers_legacy(from->workers, &legacy);

	if (err)
		return err;
	err = send_file(sock, HANDOVER_CHECK, from, &legacy);
	free(legacy.groups); /* the rest is borrowed */
	return err;
}

/* In the order in which handover_give_sockets() takes them. */
static int send_sockets(int sock, const struct handover_source *from, const struct legacy *legacy)
{
	int fds[HANDOVER_FDS_MAX], err = 0;
	size_t n = 0;

	fds[n++] = from->control_fd;
	if (from->admin_fd >= 0)
		fds[n++] = from->admin_fd;
	for (size_t i = 0; i < legacy->count; i++) {
		for (size_t k = 0; k < legacy->groups[i].count && !err; k++) {
			fds[n++] = legacy->groups[i].fds[k];
			if (n < HANDOVER_FDS_MAX)
				continue;
			err = handover_send(sock, HANDOVER_SOCKETS, fds, n);
			n = 0;
		}
	}
	return err || !n ? err : handover_send(sock, HANDOVER_SOCKETS, fds, n);
}

int handover_send_state(int sock, const struct handover_source *from)
{
	struct legacy legacy;
	int err = workers_legacy(from->workers, &legacy);

	if (err)
		return err;
	err = send_file(sock, HANDOVER_STATE, from, &legacy);
	if (!err)
		err = send_sockets(sock, from, &legacy);
	free(legacy.groups); /* the rest is borrowed */
	return err;
}

/* ---- who comes ---- */

static bool read_tickets(const json_t *o, struct tls_ticket_state *t)
{
	t->start_ms = read_int(o, "start_ms");
	t->rotation_ms = read_int(o, "rotation_ms");
	t->epoch = read_int(o, "epoch");
	return read_hex(o, "chain", t->chain, sizeof(t->chain)) &&
	       read_hex(o, "secret", t->secrets[0], sizeof(t->secrets[0])) &&
	       read_hex(o, "former_secret", t->secrets[1], sizeof(t->secrets[1])) &&
	       read_hex(o, "label", t->label, sizeof(t->label));
}

/* Groups whose descriptors are still to come. */
static int read_groups(const json_t *list, struct legacy *legacy, size_t *ret_count)
{
	size_t i;
	json_t *g;

	legacy->groups = calloc(json_array_size(list) + 1, sizeof(*legacy->groups));
	if (!legacy->groups)
		return -ENOMEM;
	json_array_foreach (list, i, g) {
		struct legacy_group *group = &legacy->groups[i];
		size_t count = (size_t)read_int(g, "count");

		(void)snprintf(group->name, sizeof(group->name), "%s", read_text(g, "name"));
		group->fds = calloc(count + 1, sizeof(*group->fds));
		if (!group->fds)
			return -ENOMEM;
		legacy->count++;
		group->count = count;
		for (size_t k = 0; k < count; k++)
			group->fds[k] = -1;
		*ret_count += count;
	}
	return 0;
}

static int read_state(const json_t *o, struct handover_state *h, size_t *ret_count, struct diag *d)
{
	const char *document = read_text(o, "document");
	const json_t *admin = json_object_get(o, "admin");
	bool has_admin = json_is_true(json_object_get(o, "has_admin"));
	int err;

	h->generation = read_int(o, "generation");
	h->pid = (long)read_int(o, "pid");
	(void)snprintf(h->version, sizeof(h->version), "%s", read_text(o, "version"));
	h->health = json_incref(json_object_get(o, "health"));
	h->found = json_incref(json_object_get(o, "found"));
	h->control_path = strdup(read_text(o, "control"));
	h->admin_path = json_is_string(admin) ? strdup(json_string_value(admin)) : NULL;
	*ret_count = has_admin ? 2 : 1;
	err = read_groups(json_object_get(o, "groups"), &h->legacy, ret_count);
	if (err || !h->control_path)
		return -ENOMEM;
	if (!read_tickets(json_object_get(o, "tickets"), &h->legacy.tickets))
		return -EINVAL;
	h->admin_fd = has_admin ? 0 : -1; /* handover_give_sockets() has it */
	h->document = tree_parse(DOCUMENT_NAME, document, strlen(document), d);
	return h->document ? 0 : -EINVAL;
}

int handover_read(int fd, struct handover_state *ret_handover, size_t *ret_count, struct diag *d)
{
	struct handover_state h = {.control_fd = -1, .admin_fd = -1};
	size_t errors = d->errors;
	json_error_t problem;
	json_t *o = json_loadfd(fd, 0, &problem);
	int err = o ? read_state(o, &h, ret_count, d) : -EINVAL;

	json_decref(o);
	if (ftruncate(fd, 0) < 0) /* there are keys in it */
		log_warning("handover: a file with keys stays until it is closed error=\"%s\"",
			    strerror(errno));
	close(fd);
	if (err && d->errors == errors)
		diag_error(d, NULL, "cannot read what is handed over: %s", strerror(-err));
	if (err) {
		h.admin_fd = -1;
		handover_deinit(&h);
		return err;
	}
	*ret_handover = h;
	return 0;
}

int handover_give_sockets(struct handover_state *h, const int *fds, size_t count)
{
	bool has_admin = h->admin_fd >= 0;
	size_t n = 0;

	h->admin_fd = -1;
	if (count > n)
		h->control_fd = fds[n++];
	if (has_admin && count > n)
		h->admin_fd = fds[n++];
	for (size_t i = 0; i < h->legacy.count; i++)
		for (size_t k = 0; k < h->legacy.groups[i].count && n < count; k++)
			h->legacy.groups[i].fds[k] = fds[n++];
	return n == count ? 0 : -EINVAL;
}

/* As if it had been kept in a file. */
static struct found_set *read_set(const json_t *o, enum discover_kind kind)
{
	const char *text = read_text(o, "text");
	int fd = memfd_create("shunt-found", MFD_CLOEXEC);
	struct found_set *set = NULL;
	char path[64];
	struct diag d;

	if (fd < 0)
		return NULL;
	diag_init(&d);
	(void)snprintf(path, sizeof(path), "/proc/self/fd/%d", fd);
	if (write(fd, text, strlen(text)) == (ssize_t)strlen(text))
		set = found_set_load(path, kind, read_text(o, "source"), &d);
	diag_deinit(&d);
	close(fd);
	return set;
}

void handover_apply_found(const struct handover_state *h, struct runtime *rt)
{
	size_t i;
	json_t *o;

	json_array_foreach (h->found, i, o) {
		const char *pool = read_text(o, "pool");
		bool is_dns = !strcmp(read_text(o, "kind"), discover_kind_name(DISCOVER_DNS));
		struct found_set *set = read_set(o, is_dns ? DISCOVER_DNS : DISCOVER_FILE);
		struct found_set *former = NULL;

		if (set && found_put(runtime_found(rt), pool, set, &former))
			former = set;
		if (!set)
			log_warning("main: what was found is not taken over pool=%s", pool);
		found_set_free(former);
	}
}

static bool is_of(const json_t *b, const struct backend_rt *rt)
{
	char address[ENDPOINT_STRLEN];

	return !strcmp(read_text(b, "name"), rt->name) && !strcmp(read_text(b, "pool"), rt->pool) &&
	       !strcmp(read_text(b, "address"), endpoint_format(&rt->ep, address, sizeof(address)));
}

static void apply_one(const json_t *b, struct backend_rt *rt)
{
	uint64_t health = read_int(b, "health");

	if (health <= HEALTH_DOWN)
		(void)backend_rt_set_health(rt, (enum health_state)health);
	atomic_store(&rt->up_since_ms, read_int(b, "up_since_ms"));
	(void)snprintf(rt->health_text, sizeof(rt->health_text), "%s", read_text(b, "text"));
	rt->health_checked_ms = read_int(b, "checked_ms");
	rt->health_changed_ms = read_int(b, "changed_ms");
	rt->health_run = (unsigned)read_int(b, "run");
	rt->health_checks = read_int(b, "checks");
	rt->health_failures = read_int(b, "failures");
	rt->health_transitions = read_int(b, "transitions");
}

void handover_apply_health(const struct handover_state *h, struct snapshot *snap)
{
	size_t at = 0; /* one document, one order */

	for (size_t i = 0; i < snap->pool_count; i++) {
		for (size_t k = 0; k < snap->pools[i].backend_count; k++) {
			const json_t *b = json_array_get(h->health, at++);

			if (is_of(b, snap->pools[i].backends[k].rt))
				apply_one(b, snap->pools[i].backends[k].rt);
		}
	}
}

void handover_deinit(struct handover_state *h)
{
	tree_free(h->document);
	if (h->control_fd >= 0)
		close(h->control_fd);
	if (h->admin_fd >= 0)
		close(h->admin_fd);
	free(h->control_path);
	free(h->admin_path);
	legacy_deinit(&h->legacy);
	json_decref(h->health);
	json_decref(h->found);
	*h = (struct handover_state){.control_fd = -1, .admin_fd = -1};
}
