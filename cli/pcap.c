/* SPDX-License-Identifier: BSD-2-Clause */
#include "cli/pcap.h"

#include <errno.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "cli/print.h"

#define MAGIC_US    0xa1b2c3d4U
#define MAGIC_NS    0xa1b23c4dU
#define MAGIC_NG    0x0a0d0d0aU /* another format */
#define LINK_ETH    1
#define LINK_RAW    101
#define ETH_LEN	    14
#define PACKET_MAX  262144U /* longest that tcpdump writes */
#define FILE_HEADER 24
#define HEADER_LEN  16

struct reader {
	const char *path;
	FILE *file;
	bool swapped;
	uint32_t link;
};

static uint32_t number(const struct reader *r, const uint8_t *at)
{
	uint32_t value;

	memcpy(&value, at, sizeof(value));
	return r->swapped ? __builtin_bswap32(value) : value;
}

static bool read_file_header(struct reader *r)
{
	uint8_t header[FILE_HEADER];
	uint32_t magic;

	if (fread(header, sizeof(header), 1, r->file) != 1) {
		tell_error("%s: too short for a capture", r->path);
		return false;
	}
	magic = number(r, header);
	if (magic != MAGIC_US && magic != MAGIC_NS) {
		r->swapped = true;
		magic = number(r, header);
	}
	if (magic != MAGIC_US && magic != MAGIC_NS) {
		tell_error("%s: not a capture in the pcap format%s", r->path,
			   magic == MAGIC_NG ? " (pcapng: convert it by tcpdump -r FILE -w NEW)"
					     : "");
		return false;
	}
	r->link = number(r, header + 20) & 0xffff;
	if (r->link != LINK_ETH && r->link != LINK_RAW) {
		tell_error("%s: expected a capture of Ethernet or of raw IP, not of link type %u",
			   r->path, r->link);
		return false;
	}
	return true;
}

/* As text. The Ethernet header of raw IP says what the first half-byte says. */
static json_t *frame_text(const struct reader *r, const uint8_t *bytes, size_t len)
{
	size_t eth = r->link == LINK_RAW ? ETH_LEN : 0;
	char *text = malloc(2 * (len + eth) + 1), *at = text;
	json_t *value;

	if (!text)
		return NULL;
	if (eth)
		at += snprintf(at, 2 * ETH_LEN + 1, "020000000002020000000001%s",
			       len && bytes[0] >> 4 == 6 ? "86dd" : "0800");
	for (size_t i = 0; i < len; i++, at += 2)
		(void)snprintf(at, 3, "%02x", bytes[i]);
	value = json_string(text);
	free(text);
	return value;
}

/* 1: read one, *ret_len bytes of room; 0: that was all; -1: told. */
static int read_packet(const struct reader *r, uint8_t *room, size_t *ret_len)
{
	uint8_t header[HEADER_LEN];
	size_t n = fread(header, 1, sizeof(header), r->file);
	uint32_t len;

	if (n == 0 && !ferror(r->file))
		return 0;
	len = n == sizeof(header) ? number(r, header + 8) : PACKET_MAX + 1;
	if (len > PACKET_MAX || fread(room, 1, len, r->file) != len) {
		tell_error("%s: the capture ends within a packet", r->path);
		return -1;
	}
	*ret_len = len;
	return 1;
}

static bool read_packets(const struct reader *r, size_t most, json_t *frames, size_t *ret_left)
{
	uint8_t *room = malloc(PACKET_MAX);
	bool ok = room != NULL;
	size_t len;
	int more = 1;

	*ret_left = 0;
	while (ok && (more = read_packet(r, room, &len)) > 0) {
		if (json_array_size(frames) == most)
			++*ret_left;
		else
			ok = json_array_append_new(frames, frame_text(r, room, len)) == 0;
	}
	if (!ok)
		tell_error("out of memory");
	free(room);
	return ok && more == 0;
}

bool pcap_read(const char *path, size_t most, json_t **ret_frames, size_t *ret_left)
{
	bool is_stdin = !strcmp(path, "-");
	struct reader r = {.path = path, .file = is_stdin ? stdin : fopen(path, "re")};
	json_t *frames;
	bool ok;

	if (!r.file) {
		tell_error("%s: %s", path, strerror(errno));
		return false;
	}
	frames = json_array();
	ok = read_file_header(&r) && read_packets(&r, most, frames, ret_left);
	if (ok && !json_array_size(frames)) {
		tell_error("%s: no packet", path);
		ok = false;
	}
	if (!is_stdin)
		(void)fclose(r.file);
	if (ok)
		*ret_frames = frames;
	else
		json_decref(frames);
	return ok;
}
