/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * What it costs to find a route in tables of growing size: by the index, and by a plain scan over
 * the same table and requests, in the same run. Prints nanoseconds a request; ends with status 1 if
 * the index needs more than the goal or finds another route than the scan.
 * --quick: small tables, without a look at the goal.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "core/diag.h"
#include "route/table.h"

#define GOAL_NS	      2000.0
#define REQUESTS      4096 /* others each time, so that no cache has the answer */
#define PATHS_A_HOST  10
#define TEXT_MAX      96
#define RUNS	      5 /* the best one counts: the others were disturbed */
#define SCAN_REQUESTS 128

struct shape {
	const char *name;
	unsigned hosts; /* of the routes; 0: one for each ten routes */
	bool suffixes;	/* every other host is one */
	bool misses;	/* requests that no route is for */
};

static const struct shape shapes[] = {
	{"hosts-and-prefixes", 0, false, false},
	{"suffixes-and-prefixes", 0, true, false},
	{"one-host-all-prefixes", 1, false, false},
	{"no-route-fits", 0, true, true},
};

struct bench {
	struct route_mem mem;
	struct route_scope scope;
	struct diag diag;
	struct route_room *room;
	struct route_table table;
	struct route_input *requests;
	uint64_t random;
};

static void *must(void *p)
{
	if (!p) {
		fprintf(stderr, "out of memory\n");
		exit(2);
	}
	return p;
}

static unsigned draw(struct bench *b, unsigned below)
{
	b->random = b->random * UINT64_C(6364136223846793005) + 1442695040888963407;
	return (unsigned)(b->random >> 33) % below;
}

static struct slice text_of(struct bench *b, const char *text)
{
	return (struct slice){must(arena_strdup(&b->mem.arena, text)), strlen(text)};
}

static unsigned host_count(const struct shape *s, unsigned routes)
{
	return s->hosts ? s->hosts : (routes + PATHS_A_HOST - 1) / PATHS_A_HOST;
}

static bool is_suffix(const struct shape *s, unsigned host)
{
	return s->suffixes && host % 2;
}

static void path_text(unsigned path, char buf[TEXT_MAX])
{
	snprintf(buf, TEXT_MAX, "/team-%u/service-%u/v%u", path % 17, path, path % 3);
}

static void build(struct bench *b, const struct shape *s, unsigned count)
{
	struct route *routes = must(arena_array(&b->mem.arena, count, sizeof(*routes)));
	unsigned hosts = host_count(s, count);

	for (unsigned i = 0; i < count; i++) {
		struct host_pattern *host = must(arena_alloc(&b->mem.arena, sizeof(*host)));
		char text[TEXT_MAX];

		snprintf(text, sizeof(text), "%sshop-%u.region-%u.example.com",
			 is_suffix(s, i % hosts) ? "*." : "", i % hosts, i % hosts % 7);
		if (host_pattern_parse(&b->mem, text_of(b, text), host))
			must(NULL);
		routes[i].match.hosts = host;
		routes[i].match.host_count = 1;
		path_text(i / hosts, text);
		if (path_rule_compile(&b->scope, PATH_PREFIX, text_of(b, text), NULL,
				      &routes[i].match.path))
			must(NULL);
	}
	if (route_table_build(&b->mem, routes, count, &b->table))
		must(NULL);
}

static void make_requests(struct bench *b, const struct shape *s, unsigned count)
{
	unsigned hosts = host_count(s, count);

	b->requests = must(arena_array(&b->mem.arena, REQUESTS, sizeof(*b->requests)));
	for (unsigned i = 0; i < REQUESTS; i++) {
		struct route_input *in = &b->requests[i];
		unsigned route = draw(b, count), host = route % hosts;
		char text[TEXT_MAX];

		snprintf(text, sizeof(text), "%sshop-%u.region-%u.example.com",
			 is_suffix(s, host) ? "www." : "", host, host % 7);
		in->host = text_of(b, text);
		path_text(s->misses ? count + route : route / hosts, text);
		snprintf(text + strlen(text), TEXT_MAX - strlen(text), "/items/%u", i);
		in->path = text_of(b, text);
		in->method = SLICE("GET");
		in->scheme = SLICE("https");
		in->room = b->room;
	}
}

typedef void (*find)(const struct route_table *t, const struct route_input *in,
		     struct route_found *ret_found);

static double measure(struct bench *b, find how, unsigned requests)
{
	double best = 1e18;

	for (unsigned run = 0; run < RUNS; run++) {
		struct timespec from, to;
		struct route_found found;
		double ns;

		clock_gettime(CLOCK_MONOTONIC, &from);
		for (unsigned i = 0; i < requests; i++) {
			how(&b->table, &b->requests[i], &found);
			__asm__ volatile("" : : "r"(found.route) : "memory");
		}
		clock_gettime(CLOCK_MONOTONIC, &to);
		ns = (double)(to.tv_sec - from.tv_sec) * 1e9 + (double)(to.tv_nsec - from.tv_nsec);
		best = ns / requests < best ? ns / requests : best;
	}
	return best;
}

static bool agree(const struct bench *b, bool expect_route)
{
	for (unsigned i = 0; i < SCAN_REQUESTS; i++) {
		struct route_found found, scanned;

		route_table_find(&b->table, &b->requests[i], &found);
		route_table_scan(&b->table, &b->requests[i], &scanned);
		if (found.route != scanned.route || !found.route == expect_route)
			return false;
	}
	return true;
}

static bool run(const struct shape *s, unsigned count, double goal_ns)
{
	struct bench b = {.random = 1};
	bool good;
	double index, scan;

	route_mem_init(&b.mem);
	diag_init(&b.diag);
	b.scope = (struct route_scope){.mem = &b.mem, .diag = &b.diag};
	b.room = must(route_room_new(0));
	build(&b, s, count);
	make_requests(&b, s, count);
	good = agree(&b, !s->misses);
	index = measure(&b, route_table_find, REQUESTS);
	scan = measure(&b, route_table_scan, SCAN_REQUESTS);
	printf("%-22s %6u routes: index %7.0f ns, scan %9.0f ns%s\n", s->name, count, index, scan,
	       !good		 ? "  the two do not agree"
	       : index > goal_ns ? "  above the goal"
				 : "");
	route_room_free(b.room);
	route_mem_deinit(&b.mem);
	diag_deinit(&b.diag);
	return good && index <= goal_ns;
}

int main(int argc, char **argv)
{
	static const unsigned counts[] = {10, 100, 1000, 10000};
	bool quick = argc > 1 && !strcmp(argv[1], "--quick"), good = true;

	for (size_t i = 0; i < sizeof(shapes) / sizeof(shapes[0]); i++)
		for (size_t k = 0; k < (quick ? 2 : sizeof(counts) / sizeof(counts[0])); k++)
			good = run(&shapes[i], counts[k], quick ? 1e18 : GOAL_NS) && good;
	return good ? 0 : 1;
}
