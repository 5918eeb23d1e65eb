/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * What would become of a packet: it is run through a second copy of the steering program, over the live
 * tables (loader/rehearse.h). The work, most of it the kernel's verifier, is done beside the loop.
 */
#include <errno.h>
#include <net/if.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <unistd.h>

#include "control/body.h"
#include "control/cmd.h"
#include "control/explain.h"
#include "control/json_build.h"
#include "control/reply.h"
#include "core/log.h"
#include "core/text.h"
#include "l4/frame.h"
#include "l4/l4.h"
#include "loader/rehearse.h"

#define FRAMES_MAX 256

/* A question, its work and its answer. Owner of itself until it is answered. */
struct explain {
	uv_work_t work;
	struct commands_env *env;
	struct request *rq;
	struct frame_wish wish;
	bool has_wish;
	bool has_protocol, has_source, has_destination, has_flags;
	char interface[IF_NAMESIZE];
	unsigned ifindex;
	struct frame {
		uint8_t *bytes;
		size_t len;
	} frames[FRAMES_MAX];
	size_t count;
	struct rehearse_result *results; /* [count] */
	int err;
	struct diag diag;
};

static void explain_free(struct explain *x)
{
	for (size_t i = 0; i < x->count; i++)
		free(x->frames[i].bytes);
	free(x->results);
	diag_deinit(&x->diag);
	free(x);
}

/* ---- the question ---- */

static bool add_frame(struct explain *x, const uint8_t *bytes, size_t len)
{
	struct frame *f = &x->frames[x->count];

	f->bytes = malloc(len ? len : 1);
	if (!f->bytes)
		return false;
	memcpy(f->bytes, bytes, len);
	f->len = len;
	x->count++;
	return true;
}

static const char *take_frame(struct explain *x, const json_t *value)
{
	const char *text = json_string_value(value);
	uint8_t bytes[REHEARSE_FRAME_MAX];
	size_t len = text ? strlen(text) / 2 : 0;

	if (x->count == FRAMES_MAX)
		return "frames: at most 256";
	if (!text || strlen(text) % 2 || len < 14 || len > sizeof(bytes))
		return "frames: expected texts of 14 to 3072 bytes in hexadecimal digits";
	for (size_t i = 0; i < len; i++) {
		int high = text_hex_digit(text[2 * i]), low = text_hex_digit(text[2 * i + 1]);

		if (high < 0 || low < 0)
			return "frames: expected hexadecimal digits";
		bytes[i] = (uint8_t)(high << 4 | low);
	}
	return add_frame(x, bytes, len) ? NULL : "out of memory";
}

static const char *take_protocol(struct explain *x, const char *text)
{
	x->has_protocol = true;
	if (text && !strcmp(text, "tcp"))
		x->wish.proto = IPPROTO_TCP;
	else if (text && !strcmp(text, "udp"))
		x->wish.proto = IPPROTO_UDP;
	else if (text && !strcmp(text, "icmp"))
		x->wish.proto = IPPROTO_ICMP;
	else
		return "protocol: expected tcp, udp or icmp";
	return NULL;
}

static const char *take_flags(struct explain *x, const json_t *value)
{
	static const struct {
		const char *name;
		uint8_t bit;
	} flags[] = {{"fin", FRAME_TCP_FIN},
		     {"syn", FRAME_TCP_SYN},
		     {"rst", FRAME_TCP_RST},
		     {"ack", FRAME_TCP_ACK}};
	const json_t *item;
	size_t i, k;

	x->has_flags = true;
	if (!json_is_array(value))
		return "flags: expected a list of syn, ack, fin and rst";
	json_array_foreach ((json_t *)value, i, item) {
		const char *text = json_string_value(item);

		for (k = 0; k < 4 && (!text || strcmp(text, flags[k].name) != 0); k++)
			;
		if (k == 4)
			return "flags: expected a list of syn, ack, fin and rst";
		x->wish.tcp_flags |= flags[k].bit;
	}
	return NULL;
}

static bool take_number(const json_t *value, json_int_t low, json_int_t high, uint16_t *ret_number)
{
	json_int_t n = json_integer_value(value);

	if (!json_is_integer(value) || n < low || n > high)
		return false;
	*ret_number = (uint16_t)n;
	return true;
}

/* All fields were there: do they say one thing? */
static const char *complete(struct explain *x)
{
	const struct endpoint *from = &x->wish.source, *to = &x->wish.destination;
	bool ports = x->wish.proto != IPPROTO_ICMP;

	if (x->count)
		return x->has_wish ? "expected frames or a description, not both" : NULL;
	if (!x->has_protocol || !x->has_source || !x->has_destination)
		return "expected protocol, source and destination, or frames";
	if (from->addr.family != to->addr.family)
		return "source and destination: expected addresses of one family";
	if (ports && (!from->port || !to->port))
		return "source and destination: expected ADDRESS:PORT";
	if (!ports && (from->port || to->port))
		return "source and destination: icmp has no ports";
	if (x->has_flags && x->wish.proto != IPPROTO_TCP)
		return "flags: only tcp has some";
	return NULL;
}

/* A body_field. */
static const char *take_field(void *ctx, const char *key, const json_t *value)
{
	const char *text = json_string_value(value), *wrong = NULL;
	struct explain *x = ctx;
	const json_t *item;
	size_t i;

	if (!key)
		return complete(x);
	if (!strcmp(key, "interface"))
		return body_copy_text(value, x->interface, sizeof(x->interface))
			       ? NULL
			       : "interface: expected a name of 1 to 15 bytes";
	if (!strcmp(key, "frames")) {
		if (!json_is_array(value))
			return "frames: expected a list";
		json_array_foreach ((json_t *)value, i, item) {
			if (!wrong)
				wrong = take_frame(x, item);
		}
		return wrong;
	}
	x->has_wish = true;
	if (!strcmp(key, "protocol"))
		return take_protocol(x, text);
	if (!strcmp(key, "source") || !strcmp(key, "destination")) {
		bool source = key[0] == 's';

		*(source ? &x->has_source : &x->has_destination) = true;
		return text && !endpoint_parse(text,
					       source ? &x->wish.source : &x->wish.destination)
			       ? NULL
			       : "source and destination: expected ADDRESS:PORT";
	}
	if (!strcmp(key, "flags"))
		return take_flags(x, value);
	if (!strcmp(key, "vlan"))
		return take_number(value, 1, FRAME_VLAN_MAX, &x->wish.vlan)
			       ? NULL
			       : "vlan: expected 1 to 4094";
	if (!strcmp(key, "payload"))
		return take_number(value, 0, FRAME_PAYLOAD_MAX, &x->wish.payload_len)
			       ? NULL
			       : "payload: expected 0 to 1400";
	return "unknown field: expected protocol, source, destination, flags, vlan, payload and "
	       "interface, or frames and interface";
}

/* ---- the work ---- */

static void on_work(uv_work_t *work)
{
	struct explain *x = work->data;
	struct rehearsal *r;

	x->err = rehearse_open(l4_loader(x->env->l4), &r, &x->diag);
	if (x->err)
		return;
	for (size_t i = 0; i < x->count && !x->err; i++) {
		x->err = rehearse_packet(r, x->frames[i].bytes, x->frames[i].len, x->ifindex,
					 &x->results[i]);
		if (x->err)
			diag_error(&x->diag, NULL, "the kernel does not run packet %zu%s%s: %s",
				   i + 1, x->interface[0] ? " of interface " : "", x->interface,
				   strerror(-x->err));
	}
	rehearse_close(r);
}

static void on_done(uv_work_t *work, int status)
{
	struct explain *x = work->data;
	json_t *packets = json_array(), *o;
	bool failed = !packets;

	(void)status; /* is never cancelled */
	x->env->explaining = false;
	if (x->env->stopping || x->err) {
		if (x->env->stopping)
			reply_error(x->rq, REPLY_BUSY, NULL, "shuntd is stopping");
		else
			reply_error(x->rq, REPLY_FAILED, &x->diag, "%s",
				    x->diag.count ? x->diag.items[0].text : strerror(-x->err));
		json_decref(packets);
		explain_free(x);
		return;
	}
	for (size_t i = 0; i < x->count && !failed; i++)
		json_push(packets,
			  explain_result(reload_current(x->env->reload), x->frames[i].bytes,
					 x->frames[i].len, &x->results[i]),
			  &failed);
	o = json_object();
	failed = failed || !o;
	json_put(o, "interface", x->interface[0] ? json_text(x->interface) : json_null(), &failed);
	json_put(o, "packets", packets, &failed);
	reply_json(x->rq, 200, json_finish(o, failed));
	explain_free(x);
}

/* The interface's own address, which is asked for by what comes back from backends of forward nat. */
static void find_mac(struct explain *x)
{
	int fd = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);
	struct ifreq ifr = {0};

	if (fd < 0)
		return;
	(void)snprintf(ifr.ifr_name, sizeof(ifr.ifr_name), "%s", x->interface);
	if (!ioctl(fd, SIOCGIFHWADDR, &ifr))
		memcpy(x->wish.mac, ifr.ifr_hwaddr.sa_data, sizeof(x->wish.mac));
	close(fd);
}

/* Where the packet comes in: as was said, else by the first interface that is steered. */
static bool find_interface(struct explain *x)
{
	const struct node *node = &reload_current(x->env->reload)->node;

	if (!x->interface[0] && node->interface_count)
		(void)snprintf(x->interface, sizeof(x->interface), "%s", node->interfaces[0]);
	if (x->interface[0])
		x->ifindex = if_nametoindex(x->interface);
	if (x->ifindex)
		find_mac(x);
	return x->ifindex || !x->interface[0];
}

static bool ready(struct explain *x)
{
	uint8_t made[FRAME_MADE_MAX] = {0};

	if (!x->has_flags && x->wish.proto == IPPROTO_TCP)
		x->wish.tcp_flags = FRAME_TCP_ACK;
	if (!x->count && !add_frame(x, made, frame_make(&x->wish, made)))
		return false;
	x->results = calloc(x->count, sizeof(*x->results));
	return x->results != NULL;
}

void cmd_explain(struct commands_env *env, struct request *rq, const struct route_args *args)
{
	struct explain *x = calloc(1, sizeof(*x));

	(void)args;
	if (!x) {
		reply_error(rq, REPLY_NO_MEMORY, NULL, "shuntd is out of memory");
		return;
	}
	x->env = env;
	x->rq = rq;
	x->work.data = x;
	diag_init(&x->diag);
	if (!env->l4)
		reply_error(rq, REPLY_CONFLICT, NULL,
			    "nothing looks at packets: node.interfaces is empty");
	else if (env->explaining)
		reply_error(rq, REPLY_BUSY, NULL, "another packet is being explained; try again");
	else if (!body_take(rq, take_field, x))
		; /* was answered */
	else if (!find_interface(x))
		reply_error(rq, REPLY_NOT_FOUND, NULL, "no such interface: %s", x->interface);
	else if (!ready(x) || uv_queue_work(env->loop, &x->work, on_work, on_done))
		reply_error(rq, REPLY_NO_MEMORY, NULL, "shuntd is out of memory");
	else {
		env->explaining = true;
		return;
	}
	explain_free(x);
}
