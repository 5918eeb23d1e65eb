/* SPDX-License-Identifier: BSD-2-Clause */
/* Checks through a tunnel: sockets, what is under way, results. see via.h. */
#include "health/via.h"

#include <arpa/inet.h>
#include <errno.h>
#include <ifaddrs.h>
#include <linux/filter.h>
#include <linux/if_ether.h>
#include <linux/if_packet.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>
#include <sys/socket.h>
#include <unistd.h>

#include "core/clock.h"
#include "core/list.h"
#include "health/via_packet.h"

#define TICK_MS	    10 /* how exact the end of a wait is */
#define TOKENS	    65536
#define FAMILIES    2
#define HEARD_MAX   128 /* bytes of an answer that are looked at */
#define HEARD_BURST 256 /* answers in one turn of the loop */

/* Above the ports that Linux gives to connections by itself. */
#define OWN_PORT_LOW 61000
#define OWN_PORTS    4000

struct via_check {
	struct via *via;
	struct list link;
	uint64_t started_ns, until_ms;
	unsigned timeout_ms;
	size_t count, answered;
	struct question {
		struct via_question q;
		bool answered;
	} questions[VIA_VIPS_MAX];
	void (*on_result)(void *ctx, const struct probe_result *result);
	void *ctx;
};

struct via {
	uv_loop_t *loop;
	uv_timer_t tick;	   /* runs while anything is under way */
	uv_poll_t polls[FAMILIES]; /* of heard */
	int heard[FAMILIES];	   /* [0] IPv4 [1] IPv6; -1: not open */
	int sent[FAMILIES];	   /* likewise, by the family of what is sent */
	bool is_open;		   /* all of them */
	uint16_t mark;		   /* upper half of all tokens: others' packets have it by chance */
	uint16_t next;		   /* lower half of the next */
	struct list under_way;
	struct via_check **by_token; /* TOKENS, by the lower half; NULL: not open */
	unsigned handles;
	void (*on_closed)(void *ctx);
	void *ctx;
};

static int slot_of(uint8_t family)
{
	return family == AF_INET6;
}

/* ---- sockets ---- */

#define TAKE 0xffff
#define DROP 0

/* What has our mark where an answer has it. Offsets are from the IP header, jumps from the next line. */
static int listen_ipv4(int fd, uint16_t mark)
{
	struct sock_filter lines[] = {
		BPF_STMT(BPF_LD | BPF_H | BPF_ABS, 6),
		BPF_JUMP(BPF_JMP | BPF_JSET | BPF_K, 0x3fff, 9, 0), /* fragment */
		BPF_STMT(BPF_LDX | BPF_B | BPF_MSH, 0),
		BPF_STMT(BPF_LD | BPF_B | BPF_ABS, 9),
		BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, IPPROTO_ICMP, 3, 0),
		BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, IPPROTO_TCP, 0, 5),
		BPF_STMT(BPF_LD | BPF_H | BPF_IND, 8), /* acknowledged */
		BPF_JUMP(BPF_JMP | BPF_JA, 1, 0, 0),
		BPF_STMT(BPF_LD | BPF_H | BPF_IND, 4), /* identifier */
		BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, mark, 0, 1),
		BPF_STMT(BPF_RET | BPF_K, TAKE),
		BPF_STMT(BPF_RET | BPF_K, DROP),
	};
	struct sock_fprog prog = {.len = sizeof(lines) / sizeof(lines[0]), .filter = lines};

	return setsockopt(fd, SOL_SOCKET, SO_ATTACH_FILTER, &prog, sizeof(prog));
}

static int listen_ipv6(int fd, uint16_t mark)
{
	struct sock_filter lines[] = {
		BPF_STMT(BPF_LD | BPF_B | BPF_ABS, 6),
		BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, IPPROTO_ICMPV6, 3, 0),
		BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, IPPROTO_TCP, 0, 5),
		BPF_STMT(BPF_LD | BPF_H | BPF_ABS, 40 + 8),
		BPF_JUMP(BPF_JMP | BPF_JA, 1, 0, 0),
		BPF_STMT(BPF_LD | BPF_H | BPF_ABS, 40 + 4),
		BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, mark, 0, 1),
		BPF_STMT(BPF_RET | BPF_K, TAKE),
		BPF_STMT(BPF_RET | BPF_K, DROP),
	};
	struct sock_fprog prog = {.len = sizeof(lines) / sizeof(lines[0]), .filter = lines};

	return setsockopt(fd, SOL_SOCKET, SO_ATTACH_FILTER, &prog, sizeof(prog));
}

/* Hears nothing before its filter stands. -1: errno. */
static int open_heard(int slot, uint16_t mark)
{
	struct sockaddr_ll any = {.sll_family = AF_PACKET,
				  .sll_protocol = htons(slot ? ETH_P_IPV6 : ETH_P_IP)};
	int fd = socket(AF_PACKET, SOCK_DGRAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);

	if (fd < 0)
		return -1;
	if ((slot ? listen_ipv6(fd, mark) : listen_ipv4(fd, mark)) < 0 ||
	    bind(fd, (struct sockaddr *)&any, sizeof(any)) < 0) {
		(void)close(fd);
		return -1;
	}
	return fd;
}

/* Its packets have their IP headers already. */
static int open_sent(int slot)
{
	return socket(slot ? AF_INET6 : AF_INET, SOCK_RAW | SOCK_CLOEXEC | SOCK_NONBLOCK,
		      IPPROTO_RAW);
}

static void close_fd(int *fd)
{
	if (*fd >= 0)
		(void)close(*fd);
	*fd = -1;
}

static void close_sockets(struct via *t)
{
	for (int i = 0; i < FAMILIES; i++) {
		close_fd(&t->heard[i]);
		close_fd(&t->sent[i]);
	}
}

static void on_heard(uv_poll_t *poll, int status, int events);

/* 0, or -errno: another time perhaps. */
static int open_sockets(struct via *t)
{
	int err = 0;

	if (!t->by_token)
		t->by_token = calloc(TOKENS, sizeof(struct via_check *));
	if (!t->by_token)
		return -ENOMEM;
	for (int i = 0; i < FAMILIES && !err; i++) {
		t->heard[i] = open_heard(i, t->mark);
		if (t->heard[i] >= 0)
			t->sent[i] = open_sent(i);
		if (t->heard[i] < 0 || t->sent[i] < 0)
			err = -errno;
	}
	if (err) {
		close_sockets(t);
		return err;
	}
	for (int i = 0; i < FAMILIES; i++) {
		/* A socket just made, that no other handle has. */
		(void)uv_poll_init(t->loop, &t->polls[i], t->heard[i]);
		t->polls[i].data = t;
		t->handles++;
		(void)uv_poll_start(&t->polls[i], UV_READABLE, on_heard);
	}
	t->is_open = true;
	return 0;
}

static int send_packet(const struct via *t, const struct via_question *q, const uint8_t *packet,
		       size_t len)
{
	/* For l2 the route to the backend counts, not that to whom the packet is for: the kernel
	 * sends what has its header already to the address that it is told. */
	struct endpoint to = {.addr = q->backend};
	/* The outermost header's family is that of the service's address without a tunnel. */
	int fd = t->sent[slot_of(q->way == FORWARD_L2 ? q->vip.family : q->backend.family)];
	struct sockaddr_storage ss;
	socklen_t ss_len;

	endpoint_to_sockaddr(&to, &ss, &ss_len);
	return sendto(fd, packet, len, 0, (struct sockaddr *)&ss, ss_len) < 0 ? -errno : 0;
}

/* Which address of this host would a packet to another have? */
static bool own_address(const struct addr *to, struct addr *ret_own)
{
	struct endpoint ep = {.addr = *to, .port = 9}, own;
	struct sockaddr_storage ss;
	socklen_t len;
	int fd = socket(to->family, SOCK_DGRAM | SOCK_CLOEXEC, 0);
	bool good;

	if (fd < 0)
		return false;
	endpoint_to_sockaddr(&ep, &ss, &len);
	good = !connect(fd, (struct sockaddr *)&ss, len); /* which sends nothing */
	len = sizeof(ss);
	good = good && !getsockname(fd, (struct sockaddr *)&ss, &len) &&
	       !endpoint_from_sockaddr((struct sockaddr *)&ss, &own);
	(void)close(fd);
	if (good)
		*ret_own = own.addr;
	return good;
}

/* ---- a check ---- */

static void forget(struct via_check *c)
{
	struct via *t = c->via;

	for (size_t i = 0; i < c->count; i++)
		t->by_token[c->questions[i].q.token % TOKENS] = NULL;
	list_unlink(&c->link);
	if (list_empty(&t->under_way))
		(void)uv_timer_stop(&t->tick);
	free(c);
}

void via_cancel(struct via_check *check)
{
	if (check)
		forget(check);
}

static void finish(struct via_check *c, const struct probe_result *result)
{
	void (*on_result)(void *ctx, const struct probe_result *) = c->on_result;
	void *ctx = c->ctx;

	forget(c);
	on_result(ctx, result);
}

static const char *way_text(const struct via_question *q)
{
	return q->way == FORWARD_L2 ? "by its MAC address" : "through the tunnel";
}

/* Address and port, or address alone. */
static const char *vip_text(const struct via_question *q, char buf[ENDPOINT_STRLEN])
{
	struct endpoint ep = {.addr = q->vip, .port = q->port};

	return q->port ? endpoint_format(&ep, buf, ENDPOINT_STRLEN)
		       : addr_format(&q->vip, buf, ENDPOINT_STRLEN);
}

static void succeed(struct via_check *c)
{
	const struct via_question *q = &c->questions[0].q;
	double ms = (double)(clock_now_ns() - c->started_ns) / 1e6;
	struct probe_result result = {.ok = true};
	char buf[ENDPOINT_STRLEN];

	if (c->count == 1)
		(void)snprintf(result.text, sizeof(result.text), "%s answers %s in %.1f ms",
			       vip_text(q, buf), way_text(q), ms);
	else
		(void)snprintf(result.text, sizeof(result.text),
			       "%zu addresses answer %s in %.1f ms", c->count, way_text(q), ms);
	finish(c, &result);
}

static void fail_refused(struct via_check *c, const struct via_question *q)
{
	struct probe_result result = {.ok = false};
	char buf[ENDPOINT_STRLEN];

	(void)snprintf(result.text, sizeof(result.text), "%s refuses connections %s",
		       vip_text(q, buf), way_text(q));
	finish(c, &result);
}

static void fail_silent(struct via_check *c)
{
	const struct via_question *q = NULL;
	struct probe_result result = {.ok = false};
	char buf[ENDPOINT_STRLEN], more[32] = "";
	size_t missing = c->count - c->answered;

	for (size_t i = 0; i < c->count && !q; i++)
		if (!c->questions[i].answered)
			q = &c->questions[i].q;
	if (missing > 1)
		(void)snprintf(more, sizeof(more), ", %zu more", missing - 1);
	(void)snprintf(result.text, sizeof(result.text), "no answer %s from %s%s within %u ms",
		       way_text(q), vip_text(q, buf), more, c->timeout_ms);
	finish(c, &result);
}

static void on_tick(uv_timer_t *timer)
{
	struct via *t = timer->data;
	uint64_t now = clock_now_ms();

	list_for_each_safe (it, &t->under_way) {
		struct via_check *c = list_entry(it, struct via_check, link);

		if (now >= c->until_ms)
			fail_silent(c);
	}
}

/* ---- answers ---- */

/* What the backend holds for us half open need not wait for an end. */
static void reset(const struct via *t, const struct via_question *q)
{
	uint8_t packet[VIA_PACKET_MAX];

	if (q->port)
		(void)send_packet(t, q, packet, via_packet_reset(q, packet));
}

static void hear(struct via *t, const uint8_t *data, size_t len)
{
	struct via_check *c = t->by_token[via_packet_token(data, len) % TOKENS];

	for (size_t i = 0; c && i < c->count; i++) {
		struct question *question = &c->questions[i];
		enum via_answer answer = via_packet_read(data, len, &question->q);

		if (answer == VIA_ANSWER_NONE)
			continue;
		if (answer == VIA_ANSWER_REFUSED) {
			fail_refused(c, &question->q);
			return;
		}
		reset(t, &question->q);
		if (question->answered)
			return;
		question->answered = true;
		if (++c->answered == c->count)
			succeed(c);
		return;
	}
}

static void on_heard(uv_poll_t *poll, int status, int events)
{
	struct via *t = poll->data;
	int fd = t->heard[poll == &t->polls[1]];
	uint8_t data[HEARD_MAX];

	(void)status; /* an error is there to be read: an interface went away */
	(void)events;
	for (int i = 0; i < HEARD_BURST; i++) {
		ssize_t len = recv(fd, data, sizeof(data), 0);

		if (len >= 0)
			hear(t, data, (size_t)len);
		else if (errno != ENETDOWN && errno != EINTR)
			return;
	}
}

/* ---- beginning ---- */

/* False: all are taken. */
static bool take_token(struct via *t, struct via_check *c, uint32_t *ret_token)
{
	for (int i = 0; i < TOKENS; i++) {
		uint16_t low = t->next++;

		if (t->by_token[low])
			continue;
		t->by_token[low] = c;
		*ret_token = (uint32_t)t->mark << 16 | low;
		return true;
	}
	return false;
}

__attribute__((format(printf, 3, 4))) static int say(struct probe_result *result, int err,
						     const char *fmt, ...)
{
	va_list ap;

	result->ok = false;
	va_start(ap, fmt);
	(void)vsnprintf(result->text, sizeof(result->text), fmt, ap);
	va_end(ap);
	return err;
}

/* A global address of an interface, of a family and not vip itself. */
static bool interface_address(const char *name, const struct addr *vip, struct addr *ret_addr)
{
	struct ifaddrs *list = NULL;
	struct endpoint ep;
	bool found = false;

	if (!name || getifaddrs(&list) < 0)
		return false;
	for (const struct ifaddrs *i = list; i && !found; i = i->ifa_next) {
		if (!i->ifa_addr || i->ifa_addr->sa_family != vip->family ||
		    strcmp(i->ifa_name, name) != 0 || endpoint_from_sockaddr(i->ifa_addr, &ep))
			continue;
		if (vip->family == AF_INET6 && IN6_IS_ADDR_LINKLOCAL(&ep.addr.v6))
			continue;
		found = addr_cmp(&ep.addr, vip) != 0;
		if (found)
			*ret_addr = ep.addr;
	}
	freeifaddrs(list);
	return found;
}

/* The address that an answer comes to. */
static bool find_own(const struct via_question *q, const struct node *node, struct addr *ret_own)
{
	if (q->backend.family == q->vip.family)
		return own_address(&q->backend, ret_own);
	return interface_address(node->interface_count ? node->interfaces[0] : NULL, &q->vip,
				 ret_own);
}

static int add_question(struct via *t, struct via_check *c, const struct via_request *request,
			const struct endpoint *vip, struct probe_result *ret_result)
{
	const struct backend *b = request->backend;
	const struct addr *source = &request->node->tunnel_source[slot_of(b->ep.addr.family)];
	struct via_question *q = &c->questions[c->count].q;

	q->way = b->forward;
	q->backend = b->ep.addr;
	q->gue_port = b->pool->gue_port;
	q->vip = vip->addr;
	q->port = vip->port;
	q->outer_src = *source;
	if (!source->family && !own_address(&q->backend, &q->outer_src))
		return say(ret_result, -EHOSTUNREACH, "no route to the backend");
	if (!find_own(q, request->node, &q->own)) {
		ret_result->local = true;
		return say(ret_result, -EADDRNOTAVAIL, "this host has no %s address to ask from",
			   q->vip.family == AF_INET ? "IPv4" : "IPv6");
	}
	if (!take_token(t, c, &q->token)) {
		ret_result->local = true;
		return say(ret_result, -EBUSY, "too many checks at a time");
	}
	q->own_port = (uint16_t)(OWN_PORT_LOW + q->token % OWN_PORTS);
	c->count++;
	return 0;
}

static int send_questions(const struct via *t, const struct via_check *c,
			  struct probe_result *ret_result)
{
	uint8_t packet[VIA_PACKET_MAX];

	for (size_t i = 0; i < c->count; i++) {
		const struct via_question *q = &c->questions[i].q;
		int err = send_packet(t, q, packet, via_packet_ask(q, packet));

		if (err) {
			ret_result->local = err == -ENOBUFS || err == -EAGAIN || err == -ENOMEM;
			return say(ret_result, err, "%s: %s", way_text(q), strerror(-err));
		}
	}
	return 0;
}

static int begin(struct via *t, struct via_check *c, const struct via_request *request,
		 struct probe_result *ret_result)
{
	for (size_t i = 0; i < request->vips->count; i++) {
		/* A frame has no second header that could be of another family. */
		const struct endpoint *vip = &request->vips->list[i];
		int err;

		if (request->backend->forward == FORWARD_L2 &&
		    vip->addr.family != request->backend->ep.addr.family)
			continue;
		err = add_question(t, c, request, vip, ret_result);
		if (err)
			return err;
	}
	if (!c->count) {
		ret_result->local = true;
		return say(ret_result, -ENOENT, "no service has an address to ask for");
	}
	return send_questions(t, c, ret_result);
}

int via_ask(struct via *t, const struct via_request *request, struct via_check **ret_check,
	    struct probe_result *ret_result)
{
	struct via_check *c;
	int err = t->is_open ? 0 : open_sockets(t);

	*ret_result = (struct probe_result){.local = err != 0};
	if (err)
		return say(ret_result, err, "checks through tunnels: %s", strerror(-err));
	c = calloc(1, sizeof(*c));
	if (!c) {
		ret_result->local = true;
		return say(ret_result, -ENOMEM, "out of memory");
	}
	c->via = t;
	c->started_ns = clock_now_ns();
	c->timeout_ms = request->timeout_ms;
	c->until_ms = clock_now_ms() + request->timeout_ms;
	c->on_result = request->on_result;
	c->ctx = request->ctx;
	list_init(&c->link);
	err = begin(t, c, request, ret_result);
	if (err) {
		forget(c);
		return err;
	}
	list_append(&t->under_way, &c->link);
	if (!uv_is_active((uv_handle_t *)&t->tick))
		(void)uv_timer_start(&t->tick, on_tick, TICK_MS, TICK_MS);
	*ret_check = c;
	return 0;
}

/* ---- all of it ---- */

int via_new(uv_loop_t *loop, struct via **ret_via)
{
	struct via *t = calloc(1, sizeof(*t));

	if (!t)
		return -ENOMEM;
	t->loop = loop;
	for (int i = 0; i < FAMILIES; i++)
		t->heard[i] = t->sent[i] = -1;
	list_init(&t->under_way);
	if (getrandom(&t->mark, sizeof(t->mark), GRND_NONBLOCK) != sizeof(t->mark))
		t->mark = (uint16_t)clock_now_ns();
	(void)uv_timer_init(loop, &t->tick);
	t->tick.data = t;
	t->handles = 1;
	*ret_via = t;
	return 0;
}

static void on_handle_closed(uv_handle_t *handle)
{
	struct via *t = handle->data;

	if (--t->handles > 0)
		return;
	close_sockets(t);
	t->on_closed(t->ctx);
	free(t->by_token);
	free(t);
}

void via_close(struct via *t, void (*on_closed)(void *ctx), void *ctx)
{
	t->on_closed = on_closed;
	t->ctx = ctx;
	for (int i = 0; t->is_open && i < FAMILIES; i++)
		uv_close((uv_handle_t *)&t->polls[i], on_handle_closed);
	uv_close((uv_handle_t *)&t->tick, on_handle_closed);
}
