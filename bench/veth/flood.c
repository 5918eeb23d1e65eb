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
	struct in_addr source, dest;
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
		"Send UDP datagrams (IPv4, %d bytes with their headers) and print\n"
		"\"sent PACKETS in SECONDS, PROCESSOR\", the seconds on the clock and those of "
		"this\n"
		"program on the processor.\n\n"
		"  --interface IF     where they go out; the other end needs an XDP program or "
		"GRO\n"
		"  --from MAC, --to MAC\n"
		"                     Ethernet addresses; from: 02:00:00:00:00:01 if not said\n"
		"  --source ADDR      of the first flow; each %u flows take the next one\n"
		"  --service ADDR:PORT\n"
		"                     where they are sent to\n"
		"  --flows N          a power of two (%u)\n"
		"  --seconds S        how long (1)\n"
		"  --packets N        so many instead\n"
		"  --chunk N          ask for the time after so many (%u)\n"
		"  --cpu N            on this processor\n",
		FLOOD_FRAME_LEN, 1U << FLOOD_PORT_BITS, DEFAULT_FLOWS, DEFAULT_CHUNK);
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

static bool parse_service(const char *text, struct options *options)
{
	const char *colon = strchr(text, ':');
	char addr[INET_ADDRSTRLEN];
	uint64_t port;

	if (!colon || (size_t)(colon - text) >= sizeof(addr))
		return false;
	snprintf(addr, sizeof(addr), "%.*s", (int)(colon - text), text);
	if (!parse_count(colon + 1, 1, UINT16_MAX, &port))
		return false;
	options->port = (uint16_t)port;
	return inet_pton(AF_INET, addr, &options->dest) == 1;
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
	case 's': ok = inet_pton(AF_INET, value, &options->source) == 1; break;
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

static void build_frame(const struct options *options, struct flood *flood)
{
	struct ethhdr *eth = (void *)flood->frame;
	struct iphdr *ip = (void *)(eth + 1);
	struct udphdr *udp = (void *)(ip + 1);
	uint16_t words[sizeof(*ip) / sizeof(uint16_t)];

	memcpy(eth->h_source, &options->from, ETH_ALEN);
	memcpy(eth->h_dest, &options->to, ETH_ALEN);
	eth->h_proto = htons(ETH_P_IP);
	ip->version = 4;
	ip->ihl = sizeof(*ip) / 4;
	ip->tot_len = htons(FLOOD_FRAME_LEN - sizeof(*eth));
	ip->ttl = DEFAULT_TTL;
	ip->protocol = IPPROTO_UDP;
	ip->daddr = options->dest.s_addr;
	memcpy(words, ip, sizeof(words));
	for (size_t i = 0; i < sizeof(words) / sizeof(*words); i++)
		flood->check += words[i];
	udp->dest = htons(options->port);
	udp->len = htons(FLOOD_FRAME_LEN - sizeof(*eth) - sizeof(*ip));
	flood->source = ntohl(options->source.s_addr);
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
	uint8_t frame[FLOOD_FRAME_LEN] = {};
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

	if (!skel) {
		fprintf(stderr, "flood: cannot load the program: %s\n", strerror(-err));
		return err;
	}
	build_frame(options, &skel->bss->flood);
	err = send_all(bpf_program__fd(skel->progs.flood_send), options, &taken);
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
	if (optind != argc || !options.ifindex || !options.port || !options.source.s_addr || !to)
		return usage(stderr, 2);
	if (options.cpu >= 0 && stay_on_cpu(options.cpu)) {
		fprintf(stderr, "flood: processor %d: %s\n", options.cpu, strerror(errno));
		return 1;
	}
	return flood_with(&options) ? 1 : 0;
}
