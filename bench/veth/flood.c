/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * bench/veth/flood: send UDP datagrams of many flows out of an interface, as fast as one processor
 * can, from inside the kernel: a test run whose frames are real and are sent (live frames). What the
 * other end does with them it does on this processor too, before the next ones are sent.
 */
#include <arpa/inet.h>
#include <errno.h>
#include <getopt.h>
#include <linux/bpf.h>
#include <linux/if_ether.h>
#include <linux/ip.h>
#include <linux/ipv6.h>
#include <linux/udp.h>
#include <net/if.h>
#include <netinet/ether.h>
#include <sched.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include <bpf/bpf.h>
#include <bpf/libbpf.h>

#include "bench/veth/flood.h"
#include "bench/veth/flood.skel.h"

#define DEFAULT_FLOWS 1024U
#define DEFAULT_TTL   64
#define MAX_SECONDS   3600.0
#define NS_PER_S      1000000000ULL
/* As many as the ring of a veth end takes with room to spare. */
#define BATCH 64U
/* Packets of one test run: each run sets up its pages anew, which takes as long as some thousand. */
#define MIN_CHUNK     BATCH
#define DEFAULT_CHUNK 262144U
#define MAX_CHUNK     (1U << 30)

struct options {
	unsigned ifindex;
	struct ether_addr from, to;
	uint8_t family; /* 4 or 6, as the service's address */
	uint8_t source[sizeof(struct in6_addr)], dest[sizeof(struct in6_addr)];
	uint8_t source_family;
	uint16_t port;
	uint32_t flows;
	uint32_t chunk;
	uint64_t packets; /* 0: until the time is over */
	double seconds;
	int cpu; /* -1: wherever */
};

struct taken {
	double seconds, cpu;
};

static int usage(FILE *out, int status)
{
	fprintf(out,
		"usage: flood --interface IF --to MAC --source ADDR --service ADDR:PORT [OPTIONS]\n"
		"Send UDP datagrams, in IPv4 of %d and in IPv6 of %d bytes, and print\n"
		"\"sent PACKETS in SECONDS, PROCESSOR\", the seconds on the clock and those of "
		"this\n"
		"program on the processor.\n\n"
		"  --interface IF     where they go out; the other end needs an XDP program or "
		"GRO\n"
		"  --from MAC, --to MAC\n"
		"                     Ethernet addresses; from: 02:00:00:00:00:01 if not said\n"
		"  --source ADDR      of the first flow; each %u flows take the next one\n"
		"  --service ADDR:PORT, [ADDR]:PORT\n"
		"                     where they are sent to\n"
		"  --flows N          a power of two (%u)\n"
		"  --seconds S        how long (1)\n"
		"  --packets N        so many instead\n"
		"  --chunk N          ask for the time after so many (%u)\n"
		"  --cpu N            on this processor\n",
		FLOOD_LEN4, FLOOD_LEN6, 1U << FLOOD_PORT_BITS, DEFAULT_FLOWS, DEFAULT_CHUNK);
	return status;
}

static bool parse_count(const char *text, uint64_t min, uint64_t max, uint64_t *ret_value)
{
	char *end;

	errno = 0;
	*ret_value = strtoull(text, &end, 10);
	return !errno && end != text && !*end && *text != '-' && *ret_value >= min &&
	       *ret_value <= max;
}

static bool parse_seconds(const char *text, double *ret_seconds)
{
	char *end;

	*ret_seconds = strtod(text, &end);
	return end != text && !*end && *ret_seconds > 0 && *ret_seconds <= MAX_SECONDS;
}

static bool parse_address(const char *text, uint8_t *ret_addr, uint8_t *ret_family)
{
	*ret_family = strchr(text, ':') ? 6 : 4;
	return inet_pton(*ret_family == 4 ? AF_INET : AF_INET6, text, ret_addr) == 1;
}

static bool parse_service(const char *text, struct options *options)
{
	const char *colon = strrchr(text, ':'), *end = colon;
	char addr[INET6_ADDRSTRLEN];
	uint64_t port;

	if (!colon || !parse_count(colon + 1, 1, UINT16_MAX, &port))
		return false;
	if (*text == '[' && end[-1] == ']') {
		text++;
		end--;
	}
	if ((size_t)(end - text) >= sizeof(addr))
		return false;
	snprintf(addr, sizeof(addr), "%.*s", (int)(end - text), text);
	options->port = (uint16_t)port;
	return parse_address(addr, options->dest, &options->family);
}

static bool parse_option(int option, const char *value, struct options *options)
{
	uint64_t n = 0;
	bool ok = true;

	switch (option) {
	case 'i':
		options->ifindex = if_nametoindex(value);
		ok = options->ifindex;
		break;
	case 'f': ok = ether_aton_r(value, &options->from); break;
	case 't': ok = ether_aton_r(value, &options->to); break;
	case 's': ok = parse_address(value, options->source, &options->source_family); break;
	case 'd': ok = parse_service(value, options); break;
	case 'n':
		ok = parse_count(value, 1, FLOOD_MAX_FLOWS, &n) && !(n & (n - 1));
		options->flows = (uint32_t)n;
		break;
	case 'S': ok = parse_seconds(value, &options->seconds); break;
	case 'p': ok = parse_count(value, 1, UINT64_MAX, &options->packets); break;
	case 'c':
		ok = parse_count(value, MIN_CHUNK, MAX_CHUNK, &n);
		options->chunk = (uint32_t)n;
		break;
	case 'u':
		ok = parse_count(value, 0, CPU_SETSIZE - 1, &n);
		options->cpu = (int)n;
		break;
	default: return false;
	}
	if (!ok)
		fprintf(stderr, "flood: not possible: %s\n", value);
	return ok;
}

/* Of what stands in memory as the checksum wants it; an even number of bytes. */
static uint32_t sum_words(const void *data, size_t len)
{
	uint32_t sum = 0;
	uint16_t word;

	for (size_t i = 0; i < len; i += sizeof(word)) {
		memcpy(&word, (const uint8_t *)data + i, sizeof(word));
		sum += word;
	}
	return sum;
}

static struct udphdr build_udp(const struct options *options, size_t len)
{
	return (struct udphdr){.dest = htons(options->port), .len = htons((uint16_t)len)};
}

static void build_ipv4(const struct options *options, struct flood *flood, void *at)
{
	struct iphdr ip = {.version = 4, .ihl = sizeof(ip) / 4, .ttl = DEFAULT_TTL};
	struct udphdr udp;

	ip.tot_len = htons(FLOOD_LEN4 - sizeof(struct ethhdr));
	ip.protocol = IPPROTO_UDP;
	memcpy(&ip.daddr, options->dest, sizeof(ip.daddr));
	flood->check = sum_words(&ip, sizeof(ip));
	udp = build_udp(options, FLOOD_LEN4 - sizeof(struct ethhdr) - sizeof(ip));
	memcpy(at, &ip, sizeof(ip));
	memcpy((uint8_t *)at + sizeof(ip), &udp, sizeof(udp));
}

static void build_ipv6(const struct options *options, struct flood *flood, void *at)
{
	struct ipv6hdr ip = {.version = 6, .hop_limit = DEFAULT_TTL, .nexthdr = IPPROTO_UDP};
	struct udphdr udp;

	ip.payload_len = htons(FLOOD_LEN6 - sizeof(struct ethhdr) - sizeof(ip));
	memcpy(&ip.saddr, options->source, sizeof(ip.saddr));
	ip.saddr.s6_addr32[3] = 0;
	memcpy(&ip.daddr, options->dest, sizeof(ip.daddr));
	udp = build_udp(options, FLOOD_LEN6 - sizeof(struct ethhdr) - sizeof(ip));
	flood->check = sum_words(&ip.saddr, sizeof(ip.saddr)) +
		       sum_words(&ip.daddr, sizeof(ip.daddr)) + sum_words(&udp, sizeof(udp)) +
		       udp.len + htons(IPPROTO_UDP);
	memcpy(at, &ip, sizeof(ip));
	memcpy((uint8_t *)at + sizeof(ip), &udp, sizeof(udp));
}

static void build_frame(const struct options *options, struct flood *flood)
{
	struct ethhdr *eth = (void *)flood->frame;
	uint32_t last;

	memcpy(eth->h_source, &options->from, ETH_ALEN);
	memcpy(eth->h_dest, &options->to, ETH_ALEN);
	eth->h_proto = htons(options->family == 4 ? ETH_P_IP : ETH_P_IPV6);
	if (options->family == 4)
		build_ipv4(options, flood, eth + 1);
	else
		build_ipv6(options, flood, eth + 1);
	memcpy(&last, options->source + (options->family == 4 ? 0 : 12), sizeof(last));
	flood->source = ntohl(last);
	flood->flow_mask = options->flows - 1;
	flood->ifindex = options->ifindex;
}

static double now(clockid_t clock)
{
	struct timespec t;

	clock_gettime(clock, &t);
	return (double)t.tv_sec + (double)t.tv_nsec / (double)NS_PER_S;
}

/* Until the time is over or all packets are sent. */
static int send_all(int prog, const struct options *options, struct taken *ret_taken)
{
	uint8_t frame[FLOOD_LEN6] = {};
	uint64_t left = options->packets;
	double start = now(CLOCK_MONOTONIC), start_cpu = now(CLOCK_PROCESS_CPUTIME_ID);

	do {
		LIBBPF_OPTS(bpf_test_run_opts, run, .data_in = frame, .data_size_in = sizeof(frame),
			    .flags = BPF_F_TEST_XDP_LIVE_FRAMES, .batch_size = BATCH,
			    .repeat = (int)options->chunk);
		int err;

		if (options->packets && left < options->chunk)
			run.repeat = (int)left;
		err = bpf_prog_test_run_opts(prog, &run);
		if (err == -EINTR)
			break;
		if (err)
			return err;
		left -= (uint64_t)run.repeat;
		ret_taken->seconds = now(CLOCK_MONOTONIC) - start;
		ret_taken->cpu = now(CLOCK_PROCESS_CPUTIME_ID) - start_cpu;
	} while (options->packets ? left > 0 : ret_taken->seconds < options->seconds);
	return 0;
}

static int flood_with(const struct options *options)
{
	struct flood_bpf *skel = flood_bpf__open_and_load();
	struct taken taken = {0};
	int err = -errno;
	struct bpf_program *prog;

	if (!skel) {
		fprintf(stderr, "flood: cannot load the program: %s\n", strerror(-err));
		return err;
	}
	build_frame(options, &skel->bss->flood);
	prog = options->family == 4 ? skel->progs.flood4 : skel->progs.flood6;
	err = send_all(bpf_program__fd(prog), options, &taken);
	if (err)
		fprintf(stderr, "flood: test run with live frames (Linux 5.18 or later): %s\n",
			strerror(-err));
	else
		printf("sent %llu in %.6f, %.6f\n", (unsigned long long)skel->bss->flood_sent,
		       taken.seconds, taken.cpu);
	flood_bpf__destroy(skel);
	return err;
}

static int stay_on_cpu(int cpu)
{
	cpu_set_t set;

	CPU_ZERO(&set);
	CPU_SET(cpu, &set);
	return sched_setaffinity(0, sizeof(set), &set);
}

int main(int argc, char **argv)
{
	static const struct option names[] = {
		{"interface", required_argument, NULL, 'i'},
		{"from", required_argument, NULL, 'f'},
		{"to", required_argument, NULL, 't'},
		{"source", required_argument, NULL, 's'},
		{"service", required_argument, NULL, 'd'},
		{"flows", required_argument, NULL, 'n'},
		{"seconds", required_argument, NULL, 'S'},
		{"packets", required_argument, NULL, 'p'},
		{"chunk", required_argument, NULL, 'c'},
		{"cpu", required_argument, NULL, 'u'},
		{"help", no_argument, NULL, 'h'},
		{NULL, 0, NULL, 0},
	};
	struct options options = {.from = {{2, 0, 0, 0, 0, 1}},
				  .flows = DEFAULT_FLOWS,
				  .chunk = DEFAULT_CHUNK,
				  .seconds = 1,
				  .cpu = -1};
	bool to = false;
	int option;

	while ((option = getopt_long(argc, argv, "h", names, NULL)) != -1) {
		if (option == 'h')
			return usage(stdout, 0);
		if (!parse_option(option, optarg, &options))
			return usage(stderr, 2);
		to |= option == 't';
	}
	if (optind != argc || !options.ifindex || !options.port ||
	    options.source_family != options.family || !to)
		return usage(stderr, 2);
	if (options.cpu >= 0 && stay_on_cpu(options.cpu)) {
		fprintf(stderr, "flood: processor %d: %s\n", options.cpu, strerror(errno));
		return 1;
	}
	return flood_with(&options) ? 1 : 0;
}
