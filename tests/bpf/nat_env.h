/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * A service with one NAT backend, and the packets of its flows at the four places where they look
 * different. Whole frames are compared; what is expected is built without any code of bpf/.
 */
#ifndef TESTS_BPF_NAT_ENV_H
#define TESTS_BPF_NAT_ENV_H

#include "tests/bpf/steer_env.h"

#define BE_ROW	 1
#define BE_PORT	 8080
#define PORT_LOW 20000
#define HOPS	 57 /* of what pkt_build() makes, unless told */

struct family {
	const char *vip, *client, *backend, *source, *router;
};

extern const struct family families[2]; /* IPv4, IPv6 */

/* How packets are changed: with the client's own address, or with one of ours. */
enum way { OWN, OURS };

struct nat {
	struct env env;
	const struct family *f;
	enum way way;
	uint16_t be_port; /* 0: the service's */
	struct env_backend be;
};

#define BOTH_WAYS(v6, way)                                                                         \
	for (int v6 = 0; v6 < 2; v6++)                                                             \
		for (enum way way = OWN; way <= OURS; way++)

void nat_open(struct nat *n, bool v6, enum way way); /* 1000 ports, default tables */
void nat_open_sized(struct nat *n, bool v6, enum way way, uint16_t ports,
		    const struct env_opts *opts);
void nat_close(struct nat *n);
void nat_set_backend(struct nat *n, uint16_t ports); /* its row anew, after a change of n */

/* A payload of five bytes, or as many as one wants. Addresses and ports come from where it is. */
struct pkt_spec nat_tcp(uint8_t flags);
struct pkt_spec nat_packet(uint8_t proto, uint8_t flags, size_t payload);

/* The address and port that the backend sees, of a flow that has been entered. */
const char *nat_seen_addr(const struct nat *n);
uint16_t nat_seen_port(struct nat *n, uint16_t cport);

/* From client to service, the same at the backend; from the backend, the same at the client. */
void nat_from_client(const struct nat *n, uint16_t cport, struct pkt_spec s, struct frame *f);
void nat_at_backend(struct nat *n, uint16_t cport, struct pkt_spec s, struct frame *f);
void nat_from_backend(struct nat *n, uint16_t cport, struct pkt_spec s, struct frame *f);
void nat_at_client(const struct nat *n, uint16_t cport, struct pkt_spec s, struct frame *f);

/* Is it the frame that was expected, sent the other way? */
void nat_expect_frame(const struct frame *got, struct frame *expected);

/* A packet goes through, and comes out as it should to the last byte. */
void nat_send_there(struct nat *n, uint16_t cport, struct pkt_spec s);
void nat_send_back(struct nat *n, uint16_t cport, struct pkt_spec s);

/* A packet from the backend is none of a flow any more: it passes as it is. */
void nat_expect_no_reply(struct nat *n, uint16_t cport);

struct shunt_nat nat_entry_of(struct nat *n, uint16_t cport);

#endif
