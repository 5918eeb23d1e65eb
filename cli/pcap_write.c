/* SPDX-License-Identifier: BSD-2-Clause */
/* pcapng as draft-ietf-opsawg-pcapng has it: in this machine's byte order, which the file says. */
#include "cli/pcap_write.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "cli/print.h"

#define MAGIC_NS	 0xa1b23c4dU /* the classic format, with nanoseconds */
#define BYTE_ORDER_MAGIC 0x1a2b3c4dU
#define LINK_ETH	 1
#define NS_PER_S	 1000000000ULL

#define BLOCK_SECTION	 0x0a0d0d0aU
#define BLOCK_INTERFACE	 1
#define BLOCK_STATISTICS 5
#define BLOCK_PACKET	 6

#define OPT_END	     0
#define OPT_COMMENT  1
#define SHB_USERAPPL 4
#define IF_NAME	     2
#define IF_TSRESOL   9
#define EPB_FLAGS    2
#define EPB_PACKETID 5
#define EPB_QUEUE    6
#define EPB_VERDICT  7
#define ISB_IFRECV   4
#define ISB_IFDROP   5

#define FLAGS_INBOUND  1U
#define FLAGS_OUTBOUND 2U
#define VERDICT_XDP    2 /* the kind of verdict: what an XDP program returned */

#define INTERFACES_MAX 256
#define NAME_MAX_LEN   16
#define BLOCK_MAX      (64U << 10)

struct pcap_writer {
	FILE *file;
	const char *path;
	bool classic;
	uint32_t snap;
	char interfaces[INTERFACES_MAX][NAME_MAX_LEN];
	uint32_t interface_count;
	uint64_t last_ns;
	/* The block in the making. */
	uint8_t block[BLOCK_MAX];
	size_t len;
};

/* ---- blocks ---- */

/* What does not fit is cut, which cannot happen: a packet has 8192 bytes, a comment some hundred. */
static void add(struct pcap_writer *w, const void *bytes, size_t len)
{
	static const uint8_t zeros[4];
	size_t pad = (4 - len % 4) % 4;

	if (len + pad > BLOCK_MAX - w->len)
		return;
	memcpy(w->block + w->len, bytes, len);
	memcpy(w->block + w->len + len, zeros, pad);
	w->len += len + pad;
}

static void add32(struct pcap_writer *w, uint32_t value)
{
	add(w, &value, sizeof(value));
}

static void add_time(struct pcap_writer *w, uint64_t ns)
{
	add32(w, (uint32_t)(ns >> 32));
	add32(w, (uint32_t)ns);
}

static void add_option(struct pcap_writer *w, uint16_t code, const void *bytes, size_t len)
{
	uint16_t head[2] = {code, (uint16_t)len};

	add(w, head, sizeof(head));
	if (len)
		add(w, bytes, len);
}

static void add_text(struct pcap_writer *w, uint16_t code, const char *text)
{
	add_option(w, code, text, strlen(text));
}

static void begin(struct pcap_writer *w, uint32_t type)
{
	w->len = 0;
	add32(w, type);
	add32(w, 0); /* its length: see end() */
}

static bool put(struct pcap_writer *w, const void *bytes, size_t len)
{
	if (fwrite(bytes, 1, len, w->file) == len)
		return true;
	tell_error("%s: %s", w->path, strerror(errno));
	return false;
}

static bool end(struct pcap_writer *w)
{
	uint32_t len;

	add_option(w, OPT_END, NULL, 0);
	len = (uint32_t)w->len + 4;
	memcpy(w->block + 4, &len, sizeof(len));
	add32(w, len);
	return put(w, w->block, w->len);
}

static bool put_section(struct pcap_writer *w)
{
	static const uint16_t version[2] = {1, 0};
	static const int64_t unknown = -1;

	begin(w, BLOCK_SECTION);
	add32(w, BYTE_ORDER_MAGIC);
	add(w, version, sizeof(version));
	add(w, &unknown, sizeof(unknown)); /* of how many bytes */
	add_text(w, SHB_USERAPPL, "shuntctl " SHUNT_VERSION);
	return end(w);
}

static bool put_interface(struct pcap_writer *w, const char *name)
{
	static const uint8_t nanoseconds = 9;
	static const uint16_t link[2] = {LINK_ETH, 0}; /* and as many bits that are reserved */

	begin(w, BLOCK_INTERFACE);
	add(w, link, sizeof(link));
	add32(w, w->snap);
	add_text(w, IF_NAME, name);
	add_option(w, IF_TSRESOL, &nanoseconds, 1);
	return end(w);
}

/* Its number; a new one gets a block. */
static bool find_interface(struct pcap_writer *w, const char *name, uint32_t *ret_number)
{
	uint32_t i;

	for (i = 0; i < w->interface_count; i++)
		if (!strcmp(w->interfaces[i], name))
			break;
	if (i == INTERFACES_MAX)
		i--;
	*ret_number = i;
	if (i < w->interface_count)
		return true;
	(void)snprintf(w->interfaces[i], NAME_MAX_LEN, "%s", name);
	w->interface_count++;
	return put_interface(w, name);
}

static bool put_packet(struct pcap_writer *w, const struct pcap_packet *p)
{
	uint32_t flags = p->outbound ? FLAGS_OUTBOUND : FLAGS_INBOUND, interface;
	uint8_t verdict[1 + sizeof(p->verdict)] = {VERDICT_XDP};

	if (!find_interface(w, p->interface, &interface))
		return false;
	memcpy(verdict + 1, &p->verdict, sizeof(p->verdict));
	begin(w, BLOCK_PACKET);
	add32(w, interface);
	add_time(w, p->time_ns);
	add32(w, p->kept);
	add32(w, p->len);
	add(w, p->bytes, p->kept);
	add_text(w, OPT_COMMENT, p->comment);
	add_option(w, EPB_FLAGS, &flags, sizeof(flags));
	add_option(w, EPB_PACKETID, &p->id, sizeof(p->id));
	add_option(w, EPB_QUEUE, &p->queue, sizeof(p->queue));
	add_option(w, EPB_VERDICT, verdict, sizeof(verdict));
	return end(w);
}

/* The counts are of all interfaces together: nobody keeps them apart. */
static bool put_statistics(struct pcap_writer *w, uint64_t captured, uint64_t lost)
{
	if (!w->interface_count)
		return true;
	begin(w, BLOCK_STATISTICS);
	add32(w, 0);
	add_time(w, w->last_ns);
	add_text(w, OPT_COMMENT, "of all interfaces; ifdrop: captured, and lost for want of room");
	add_option(w, ISB_IFRECV, &captured, sizeof(captured));
	add_option(w, ISB_IFDROP, &lost, sizeof(lost));
	return end(w);
}

/* ---- the classic format ---- */

static bool put_file_header(struct pcap_writer *w)
{
	const uint32_t header[] = {MAGIC_NS, 2 | 4 << 16, 0, 0, w->snap, LINK_ETH};
	const uint16_t version[] = {2, 4};

	memcpy(w->block, header, sizeof(header));
	memcpy(w->block + 4, version, sizeof(version));
	return put(w, w->block, sizeof(header));
}

static bool put_classic(struct pcap_writer *w, const struct pcap_packet *p)
{
	const uint32_t header[] = {(uint32_t)(p->time_ns / NS_PER_S),
				   (uint32_t)(p->time_ns % NS_PER_S), p->kept, p->len};

	return put(w, header, sizeof(header)) && put(w, p->bytes, p->kept);
}

/* ---- all of it ---- */

struct pcap_writer *pcap_writer_new(FILE *file, const char *path, bool classic, uint32_t snap)
{
	struct pcap_writer *w = calloc(1, sizeof(*w));

	if (!w) {
		tell_error("out of memory");
		(void)fclose(file);
		return NULL;
	}
	w->file = file;
	w->path = path;
	w->classic = classic;
	w->snap = snap;
	if ((classic ? put_file_header(w) : put_section(w)) && pcap_flush(w))
		return w;
	(void)fclose(file);
	free(w);
	return NULL;
}

bool pcap_write(struct pcap_writer *w, const struct pcap_packet *p)
{
	w->last_ns = p->time_ns;
	return w->classic ? put_classic(w, p) : put_packet(w, p);
}

bool pcap_flush(struct pcap_writer *w)
{
	if (!fflush(w->file))
		return true;
	tell_error("%s: %s", w->path, strerror(errno));
	return false;
}

bool pcap_writer_close(struct pcap_writer *w, uint64_t captured, uint64_t lost)
{
	bool ok = !w || w->classic || put_statistics(w, captured, lost);

	if (w && fclose(w->file)) {
		tell_error("%s: %s", w->path, strerror(errno));
		ok = false;
	}
	free(w);
	return ok;
}
