// SPDX-License-Identifier: BSD-2-Clause
/* Ways by which the kernel relays, without the relay's thread: see ways.h and sockmap.bpf.c. */
#include <errno.h>
#include <netinet/in.h>
#include <stdio.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>

#include <bpf/bpf.h>
#include <bpf/libbpf.h>

#include "bench/proxy/tool.h"
#include "bench/relay/sockmap.skel.h"
#include "bench/relay/ways.h"

_Static_assert(sizeof(((struct sockmap_bpf__bss *)0)->left) / sizeof(uint64_t) >= LANES_MAX,
	       "a place in the maps for each lane");

static struct sockmap_bpf *skel;
static struct ring_buffer *ring;
static struct relay *current; /* whose bodies are told to be over */

static int on_over(void *ctx, void *data, size_t len);

static int on_message(enum libbpf_print_level level, const char *format, va_list args)
{
	(void)level, (void)format, (void)args;
	return 0; /* what it comes to is said by lacks() */
}

const char *sockmap_lacks(void)
{
	static char text[96];
	int program, err;

	if (skel)
		return NULL;
	libbpf_set_print(on_message);
	skel = sockmap_bpf__open_and_load();
	if (!skel) {
		snprintf(text, sizeof(text), "its program cannot be loaded: %s", strerror(errno));
		return text;
	}
	program = bpf_program__fd(skel->progs.relay_verdict);
	err = bpf_prog_attach(program, bpf_map__fd(skel->maps.from), BPF_SK_SKB_STREAM_VERDICT, 0);
	if (err == 0) {
		ring = ring_buffer__new(bpf_map__fd(skel->maps.over), on_over, NULL, NULL);
		err = ring ? 0 : -errno;
	}
	if (err == 0)
		return NULL;
	snprintf(text, sizeof(text), "its program cannot be attached: %s", strerror(-err));
	sockmap_bpf__destroy(skel);
	skel = NULL;
	return text;
}

/* ---- the maps ------------------------------------------------------------------------------ */

static uint32_t own_port(int fd)
{
	struct sockaddr_in own;
	socklen_t len = sizeof(own);

	if (getsockname(fd, (struct sockaddr *)&own, &len) < 0)
		die("getsockname");
	return ntohs(own.sin_port); /* as the program sees it */
}

static void put_lane(const struct lane *l)
{
	uint32_t port = own_port(l->from);

	if (bpf_map_update_elem(bpf_map__fd(skel->maps.lanes), &port, &l->number, BPF_ANY) < 0)
		die("a lane into the map");
	skel->bss->left[l->number] = 0;
}

static void put(const struct bpf_map *map, const struct lane *l, int fd)
{
	uint64_t value = (uint64_t)fd;

	if (bpf_map_update_elem(bpf_map__fd(map), &l->number, &value, BPF_ANY) < 0)
		die("a socket into the map");
}

static void take_out(const struct bpf_map *map, const struct lane *l)
{
	if (bpf_map_delete_elem(bpf_map__fd(map), &l->number) < 0 && errno != EINVAL &&
	    errno != ENOENT)
		die("a socket out of the map");
}

/* From now on the kernel relays. What has come before lies where the program is not asked about it
 * until more comes; setting this has the kernel look once more. */
static void begin(const struct lane *l)
{
	int one = 1;

	put(skel->maps.from, l, l->from);
	if (setsockopt(l->from, SOL_SOCKET, SO_RCVLOWAT, &one, sizeof(one)) < 0)
		die("SO_RCVLOWAT");
}

/* All bytes have arrived, so that none are lost. */
void sockmap_close(struct relay *r, struct lane *l)
{
	uint32_t port = own_port(l->from);

	(void)r;
	take_out(skel->maps.from, l);
	take_out(skel->maps.to, l);
	(void)bpf_map_delete_elem(bpf_map__fd(skel->maps.lanes), &port);
}

/* ---- a connection -------------------------------------------------------------------------- */

void tunnel_open(struct relay *r, struct lane *l)
{
	put_lane(l);
	put(skel->maps.to, l, l->to);
	begin(l);
	watch_from(r, l, EPOLLRDHUP); /* else the thread is woken for what it does not get */
}

void tunnel_on_event(struct relay *r, struct lane *l, uint32_t events)
{
	(void)r, (void)l, (void)events;
	die("a connection ended");
}

/* ---- a body -------------------------------------------------------------------------------- */

/* The sink's socket stays in: what the kernel still has for it is lost with its place. */
void body_open(struct relay *r, struct lane *l)
{
	put_lane(l);
	put(skel->maps.to, l, l->to);
	watch_from(r, l, EPOLLIN | EPOLLONESHOT);
}

/* It begins. */
void body_on_event(struct relay *r, struct lane *l, uint32_t events)
{
	if (events & (EPOLLHUP | EPOLLERR))
		die("a connection broke");
	skel->bss->left[l->number] = r->body;
	begin(l);
}

static int on_over(void *ctx, void *data, size_t len)
{
	struct lane *l;
	uint32_t number;

	(void)ctx, (void)len;
	memcpy(&number, data, sizeof(number));
	l = &current->lanes[number];
	take_out(skel->maps.from, l);
	epoll_watch(current->epoll, EPOLL_CTL_MOD, l->from, EPOLLIN | EPOLLONESHOT, l);
	next_may_come(current, l);
	return 0;
}

int sockmap_ring(void)
{
	return bpf_map__fd(skel->maps.over);
}

void sockmap_on_ring(struct relay *r)
{
	current = r;
	if (ring_buffer__consume(ring) < 0)
		die("the ring");
}
