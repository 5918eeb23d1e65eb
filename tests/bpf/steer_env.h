/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The steering program with tables of its own, nothing attached and nothing pinned, run on single
 * packets by BPF_PROG_TEST_RUN. Everything here fails the test where the kernel refuses. One
 * thread, on one processor, so that the LRU lists are those of one processor.
 */
#ifndef TESTS_BPF_STEER_ENV_H
#define TESTS_BPF_STEER_ENV_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "bpf/abi.h"
#include "tests/bpf/pkt_build.h"

#define ENV_SEED0 0x0123456789abcdefULL
#define ENV_SEED1 0xfedcba9876543210ULL

#define SVC_ROW	  3 /* of the ring and the counters of env_service()'s services */
#define RING_BASE 100
#define RING_SIZE 64

/* Idle times that services get, by enum shunt_flow_state. */
#define IDLE_SYN_S	   10
#define IDLE_ESTABLISHED_S 600
#define IDLE_FIN_S	   30
#define IDLE_UDP_S	   60

struct env {
	struct steer_xdp_bpf *skel;
	struct shunt_service svc; /* what env_service() writes; change it first where needed */
	uint32_t exact_rows;	  /* how many rows of the index it has taken */
};

struct env_opts {
	uint32_t flows, pending;       /* entries; 0: 1024 */
	bool flows_hash, pending_hash; /* a plain hash table, which can be full */
	uint32_t guard, sources;       /* entries; 0: 1024 */
	uint32_t nat, nat_sources;     /* entries of the two tables of NAT; 0: 1024 */
};

void env_open(struct env *env, const struct env_opts *opts); /* opts: NULL for the defaults */
void env_close(struct env *env);

/* Go on on another processor. False: there is none. */
bool env_other_cpu(void);

/* addr:port/proto is a service, by env->svc, in the index of exact keys too. */
void env_service(struct env *env, const char *addr, uint16_t port, uint8_t proto);

/* The same for port 80 of both addresses, by TCP and UDP. */
void env_services(struct env *env, const char *addr4, const char *addr6);

/* Piece by piece: a key, its record (by env->svc) but not in the index, and that the address may be a
 * service's. */
struct shunt_vip_key env_key(const char *addr, uint16_t port, uint8_t proto);
void env_key_set(struct env *env, const struct shunt_vip_key *key);
void env_addr_bits(struct env *env, const char *addr);

/* addr is one that services listen on, flags: SHUNT_VIP_*. Counted by row SVC_ROW. */
void env_addr(struct env *env, const char *addr, uint8_t flags);
/* Rooms of the program's own, where it puts a packet together, as if former packets had left them full
 * of this byte. */
void env_dirty_rooms(struct env *env, uint8_t byte);
/* Nothing is in use at first. */
void env_switches(struct env *env, const struct shunt_switches *on);

/* A row of sh_backends; its index is in the id. */
struct env_backend {
	uint32_t id;
	const char *src, *dst;
	uint32_t entropy; /* bits of the last source word, host order */
	uint16_t mtu;	  /* 0: 1500 */
	uint8_t state;
	uint8_t forward;  /* enum shunt_forward */
	uint8_t next_hop; /* enum shunt_next_hop */
	uint16_t port;
	uint16_t nat_port_low, nat_port_count;
};
uint32_t env_id(uint32_t generation, uint32_t index);
void env_backend(struct env *env, const struct env_backend *be);
/* One in that state, by IP in IP to 10.1.0.x, x its index. */
void env_backend_in(struct env *env, uint32_t id, uint8_t backend_state);
void env_backend_free(struct env *env, uint32_t index);

/* Every slot of the ring, or one. */
void env_ring(struct env *env, uint32_t id);
void env_ring_slot(struct env *env, uint32_t slot, uint32_t id);
/* A slot that is moving from old to id. */
void env_slot_move(struct env *env, uint32_t slot, uint32_t id, uint32_t old,
		   const struct shunt_stamp *stamp);
struct shunt_stamp env_stamp(struct env *env, uint32_t slot);
/* Where the ring is; RING_BASE and RING_SIZE at first. */
void env_ring_publish(struct env *env, uint32_t base, uint32_t size);
/* The same for another row than SVC_ROW. */
void env_ring_publish_of(struct env *env, uint32_t row, uint32_t base, uint32_t size);

/* Returns the XDP action. ret_out: may be NULL. */
uint32_t env_run(struct env *env, const struct frame *in, struct frame *ret_out);

/* The same with meta_len bytes of the head room taken by metadata. 0, or -errno where this kernel
 * does not allow as many. */
int env_run_meta(struct env *env, const struct frame *in, uint32_t meta_len, uint32_t *ret_action);

/* Run, and expect this verdict and no other to be counted. */
void env_expect(struct env *env, const struct frame *in, enum shunt_verdict v,
		struct frame *ret_out);
/* Run, and expect a drop, for this reason and no other, counted by row SVC_ROW. */
void env_expect_drop(struct env *env, const struct frame *in, enum shunt_drop reason);
/* Run, and expect what comes out to be as it went in. */
void env_expect_pass(struct env *env, const struct frame *in, enum shunt_verdict v);
/* Run, and expect a frame to be sent. Returns the last byte of the outer destination. */
unsigned env_backend_of(struct env *env, const struct frame *in);

struct shunt_svc_stats env_svc_stats(struct env *env);
struct shunt_be_stats env_be_stats(struct env *env, uint32_t index);
uint64_t env_verdict(struct env *env, enum shunt_verdict v);

/* The tables of flows. A frame stands for its key. */
enum env_table { TABLE_FLOWS, TABLE_PENDING };
bool env_flow(struct env *env, enum env_table table, const struct frame *in,
	      struct shunt_flow *ret_flow);
void env_flow_set(struct env *env, enum env_table table, const struct frame *in,
		  const struct shunt_flow *flow);
void env_flow_delete(struct env *env, enum env_table table, const struct frame *in);
unsigned env_flow_count(struct env *env, enum env_table table); /* IPv4 and IPv6 */
/* Make an entry look as if its last packet came so many seconds ago. */
void env_flow_age(struct env *env, enum env_table table, const struct frame *in, unsigned age_s);

/* NAT. A frame stands for the key that it has: one from a backend for its flow, one from a client for
 * its source. The program looks at all this only once it is switched on. */
void env_nat_switch(struct env *env, bool on);
bool env_nat(struct env *env, const struct frame *reply, struct shunt_nat *ret_entry);
void env_nat_set(struct env *env, const struct frame *reply, const struct shunt_nat *entry);
void env_nat_age(struct env *env, const struct frame *reply, unsigned age_s);
bool env_nat_source(struct env *env, const struct frame *in, struct shunt_nat_source *ret_source);
unsigned env_nat_count(struct env *env);	/* flows of both families */
unsigned env_nat_source_count(struct env *env); /* sources of both */

/* The hash that the program has for a frame's flow. */
uint64_t env_hash(const struct frame *in);

/* Instructions that the verifier went through when it loaded the program. */
uint32_t env_verified_insns(struct env *env);

#endif
