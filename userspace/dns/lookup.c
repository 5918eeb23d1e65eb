/* SPDX-License-Identifier: BSD-2-Clause */
/* c-ares in a libuv loop: see lookup.h. A channel lives for one lookup, so that its ports are new ones each
 * time, and changes of /etc/resolv.conf are seen. */
#include "dns/lookup.h"

#include <ares.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "core/clock.h"
#include "core/list.h"
#include "dns/answer.h"

#define TRIES	    3
#define TRY_MIN_MS  100
#define TRY_MAX_MS  2000
#define EDNS_BYTES  1232 /* goes through any path in one piece */
#define WHY_MAX	    160
#define SERVERS_MAX 1024

struct dns_lookup {
	uv_loop_t *loop;
	uv_timer_t timer;
	ares_channel channel; /* NULL: it has ended */
	struct list sockets;
	unsigned handles; /* not closed yet */
	unsigned pending; /* queries */
	uint64_t deadline_ms;
	bool families[2];
	bool is_srv;
	bool unknown[2];
	bool failed;
	unsigned services; /* SRV records that were followed */
	struct dns_host *hosts;
	size_t count, room;
	uint32_t ttl_s, negative_s; /* of records; of there being none */
	char why[WHY_MAX];
	dns_lookup_cb cb; /* NULL: it was told, or is not to be */
	void *ctx;
};

/* A descriptor of the channel's. */
struct lookup_socket {
	struct list node;
	uv_poll_t poll;
	struct dns_lookup *lookup;
	ares_socket_t fd;
};

struct query {
	struct dns_lookup *lookup;
	enum dns_type type;
	struct dns_host as; /* port, priority and weight of what it finds */
	char name[DNS_NAME_SIZE];
};

int dns_start(void)
{
	return ares_library_init(ARES_LIB_INIT_ALL) ? -ENOMEM : 0;
}

void dns_stop(void)
{
	ares_library_cleanup();
}

/* ---- the end ---- */

static void free_when_closed(struct dns_lookup *l)
{
	if (--l->handles > 0)
		return;
	free(l->hosts);
	free(l);
}

static void on_timer_closed(uv_handle_t *handle)
{
	free_when_closed(handle->data);
}

static void on_socket_closed(uv_handle_t *handle)
{
	struct lookup_socket *s = handle->data;
	struct dns_lookup *l = s->lookup;

	free(s);
	free_when_closed(l);
}

/* Not within a callback of the channel's. */
static void end(struct dns_lookup *l)
{
	ares_channel channel = l->channel;

	l->channel = NULL;
	ares_destroy(channel); /* its queries call back, its sockets are closed */
	uv_close((uv_handle_t *)&l->timer, on_timer_closed);
}

void dns_lookup_cancel(struct dns_lookup *l)
{
	l->cb = NULL;
	end(l);
}

/* Half of an answer is one only where it names somebody. */
static bool is_failed(const struct dns_lookup *l)
{
	bool any = l->unknown[0] || l->unknown[1], all = l->unknown[0] && l->unknown[1];

	return l->failed || all || (any && !l->count);
}

static void tell(struct dns_lookup *l)
{
	bool failed = is_failed(l);
	struct dns_result r = {.status = failed ? DNS_FAILED : DNS_ANSWERED,
			       .hosts = l->hosts,
			       .count = failed ? 0 : l->count,
			       .ttl_s = l->count ? l->ttl_s : l->negative_s,
			       .unknown = {l->unknown[0], l->unknown[1]},
			       .why = l->why[0] ? l->why : NULL};
	dns_lookup_cb cb = l->cb;

	l->cb = NULL;
	if (cb)
		cb(l->ctx, &r);
}

/* ---- time ---- */

static void set_timer(struct dns_lookup *l);

static void on_timer(uv_timer_t *timer)
{
	struct dns_lookup *l = timer->data;

	if (l->pending && clock_now_ms() >= l->deadline_ms)
		ares_cancel(l->channel); /* all that is open calls back */
	else if (l->pending)
		ares_process_fd(l->channel, ARES_SOCKET_BAD, ARES_SOCKET_BAD);
	if (l->pending) {
		set_timer(l);
		return;
	}
	tell(l);
	end(l);
}

/* Whatever comes first: a try that is over, or all of it. At once when there is nothing left to wait for. */
static void set_timer(struct dns_lookup *l)
{
	struct timeval most = {.tv_sec = 60}, next = most;
	uint64_t now = clock_now_ms(), wait_ms = 0;

	if (l->pending) {
		(void)ares_timeout(l->channel, &most, &next);
		wait_ms = (uint64_t)next.tv_sec * 1000 + (uint64_t)next.tv_usec / 1000 + 1;
		if (now + wait_ms > l->deadline_ms)
			wait_ms = l->deadline_ms > now ? l->deadline_ms - now : 0;
	}
	(void)uv_timer_start(&l->timer, on_timer, wait_ms, 0); /* fails when closing */
}

/* ---- sockets ---- */

static void on_ready(uv_poll_t *poll, int status, int events)
{
	struct lookup_socket *s = poll->data;
	struct dns_lookup *l = s->lookup;
	ares_socket_t fd = s->fd;

	if (!l->channel)
		return;
	/* An error is found by whoever reads. */
	ares_process_fd(l->channel, status || events & UV_READABLE ? fd : ARES_SOCKET_BAD,
			status || events & UV_WRITABLE ? fd : ARES_SOCKET_BAD);
	set_timer(l);
}

static struct lookup_socket *find_socket(struct dns_lookup *l, ares_socket_t fd)
{
	list_for_each (it, &l->sockets) {
		struct lookup_socket *s = list_entry(it, struct lookup_socket, node);

		if (s->fd == fd)
			return s;
	}
	return NULL;
}

static struct lookup_socket *add_socket(struct dns_lookup *l, ares_socket_t fd)
{
	struct lookup_socket *s = calloc(1, sizeof(*s));

	if (!s || uv_poll_init(l->loop, &s->poll, fd)) {
		free(s);
		return NULL; /* its queries run into their time */
	}
	s->poll.data = s;
	s->lookup = l;
	s->fd = fd;
	list_append(&l->sockets, &s->node);
	l->handles++;
	return s;
}

static void on_socket_state(void *ctx, ares_socket_t fd, int readable, int writable)
{
	struct dns_lookup *l = ctx;
	struct lookup_socket *s = find_socket(l, fd);

	if (!readable && !writable) {
		if (!s)
			return;
		list_unlink(&s->node);
		uv_close((uv_handle_t *)&s->poll, on_socket_closed);
		return;
	}
	if (!s)
		s = add_socket(l, fd);
	if (s)
		(void)uv_poll_start(&s->poll,
				    (readable ? UV_READABLE : 0) | (writable ? UV_WRITABLE : 0),
				    on_ready); /* cannot fail */
}

/* ---- questions ---- */

static void fail(struct dns_lookup *l, const struct query *q, const char *why)
{
	if (!l->is_srv && q->type != DNS_SRV && l->families[0] && l->families[1])
		l->unknown[q->type == DNS_AAAA] = true;
	else
		l->failed = true;
	(void)snprintf(l->why, sizeof(l->why), "%.100s: %s", q->name, why); /* cut is fine */
}

static int add_host(struct dns_lookup *l, const struct dns_host *host)
{
	struct dns_host *hosts;
	size_t room = l->room ? l->room * 2 : 16;

	if (l->count == DNS_HOSTS_MAX)
		return -E2BIG;
	if (l->count == l->room) {
		hosts = realloc(l->hosts, room * sizeof(*hosts));
		if (!hosts)
			return -ENOMEM;
		l->hosts = hosts;
		l->room = room;
	}
	l->hosts[l->count++] = *host;
	return 0;
}

static int ask(struct dns_lookup *l, const char *name, enum dns_type type,
	       const struct dns_host *as);

static int ask_addresses(struct dns_lookup *l, const char *name, const struct dns_host *as)
{
	int err = l->families[0] ? ask(l, name, DNS_A, as) : 0;

	if (!err && l->families[1])
		err = ask(l, name, DNS_AAAA, as);
	return err;
}

static int on_record(void *ctx, const struct dns_record *record)
{
	const struct query *q = ctx;
	struct dns_host host = q->as;

	if (q->type != DNS_SRV) {
		host.addr = record->addr;
		return add_host(q->lookup, &host);
	}
	host.port = record->port;
	host.priority = record->priority;
	host.weight = record->weight;
	if (!record->target[0] || !record->port)
		return 0; /* "decidedly not available" (RFC 2782) */
	if (q->lookup->services++ == DNS_SERVICE_MAX)
		return -E2BIG;
	return ask_addresses(q->lookup, record->target, &host);
}

static void on_answer(void *ctx, int status, int timeouts, unsigned char *packet, int len)
{
	struct query *q = ctx;
	struct dns_lookup *l = q->lookup;
	uint32_t negative;
	int err = 0;

	(void)timeouts;
	if (!l->channel) { /* it has ended */
		free(q);
		return;
	}
	if (status == ARES_SUCCESS)
		err = dns_answer_read(packet, (size_t)len, q->name, q->type, on_record, q,
				      &l->ttl_s);
	else if (status == ARES_ENODATA || status == ARES_ENOTFOUND)
		l->negative_s = packet && dns_answer_negative(packet, (size_t)len, &negative)
					? negative
					: l->negative_s;
	else
		fail(l, q, status == ARES_ECANCELLED ? "no answer in time" : ares_strerror(status));
	if (err)
		fail(l, q,
		     err == -E2BIG     ? "too many records"
		     : err == -EBADMSG ? "a malformed answer"
				       : strerror(-err));
	if (err) /* what it began to say is not believed either */
		l->failed = true;
	l->pending--;
	free(q);
}

static int ask(struct dns_lookup *l, const char *name, enum dns_type type,
	       const struct dns_host *as)
{
	struct query *q = calloc(1, sizeof(*q));

	if (!q)
		return -ENOMEM;
	q->lookup = l;
	q->type = type;
	if (as)
		q->as = *as;
	(void)snprintf(q->name, sizeof(q->name), "%s", name); /* no name is longer */
	l->pending++;
	ares_query(l->channel, q->name, DNS_CLASS_IN, (int)type, on_answer, q);
	return 0;
}

/* ---- the start ---- */

static int set_servers(struct dns_lookup *l, const struct dns_question *q)
{
	char list[SERVERS_MAX] = "", text[ENDPOINT_STRLEN];
	size_t len = 0;

	for (size_t i = 0; i < q->resolver_count && len < sizeof(list); i++)
		len += (size_t)snprintf(list + len, sizeof(list) - len, "%s%s", i ? "," : "",
					endpoint_format(&q->resolvers[i], text, sizeof(text)));
	if (!len)
		return 0;
	return ares_set_servers_ports_csv(l->channel, list) ? -EINVAL : 0;
}

static int open_channel(struct dns_lookup *l, const struct dns_question *q)
{
	unsigned try_ms = q->timeout_ms / TRIES;
	struct ares_options o = {.flags = ARES_FLAG_EDNS,
				 .tries = TRIES,
				 .ednspsz = EDNS_BYTES,
				 .sock_state_cb = on_socket_state,
				 .sock_state_cb_data = l};

	o.timeout = (int)(try_ms < TRY_MIN_MS	? TRY_MIN_MS
			  : try_ms > TRY_MAX_MS ? TRY_MAX_MS
						: try_ms);
	if (ares_init_options(&l->channel, &o,
			      ARES_OPT_FLAGS | ARES_OPT_TRIES | ARES_OPT_EDNSPSZ |
				      ARES_OPT_TIMEOUTMS | ARES_OPT_SOCK_STATE_CB))
		return -ENOMEM;
	return set_servers(l, q);
}

int dns_lookup_start(uv_loop_t *loop, const struct dns_question *q, dns_lookup_cb cb, void *ctx,
		     struct dns_lookup **ret_lookup)
{
	struct dns_lookup *l = calloc(1, sizeof(*l));
	int err;

	if (!l)
		return -ENOMEM;
	l->loop = loop;
	list_init(&l->sockets);
	l->ttl_s = l->negative_s = UINT32_MAX;
	l->is_srv = q->is_srv;
	l->families[0] = q->families[0];
	l->families[1] = q->families[1];
	l->deadline_ms = clock_now_ms() + q->timeout_ms;
	err = open_channel(l, q);
	if (err) {
		if (l->channel)
			ares_destroy(l->channel);
		free(l);
		return err;
	}
	(void)uv_timer_init(loop, &l->timer); /* cannot fail */
	l->timer.data = l;
	l->handles = 1;
	err = q->is_srv ? ask(l, q->name, DNS_SRV, NULL) : ask_addresses(l, q->name, NULL);
	if (err) {
		dns_lookup_cancel(l);
		return err;
	}
	l->cb = cb;
	l->ctx = ctx;
	set_timer(l);
	*ret_lookup = l;
	return 0;
}
