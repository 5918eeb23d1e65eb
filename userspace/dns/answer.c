/* SPDX-License-Identifier: BSD-2-Clause */
/* What an answer of DNS says (RFC 1035, section 4): see answer.h. */
#include "dns/answer.h"

#include <errno.h>
#include <string.h>
#include <strings.h>

#define HEADER_SIZE   12
#define LABEL_MAX     63
#define POINTER_BITS  0xc0
#define ALIASES_MAX   16
#define SRV_HEAD_SIZE 6
#define SOA_SIZE_MIN  22	  /* two names, of a byte at least, and five numbers */
#define TTL_MAX	      0x7fffffffU /* what is more counts as zero (RFC 2181, section 8) */

struct reader {
	const uint8_t *bytes;
	size_t len;
};

/* A record as it stands; its data from at on. */
struct row {
	char owner[DNS_NAME_SIZE];
	uint16_t type, class, size;
	uint32_t ttl;
	size_t at;
};

static uint16_t load16(const uint8_t *p)
{
	return (uint16_t)(p[0] << 8 | p[1]);
}

static uint32_t load32(const uint8_t *p)
{
	return (uint32_t)load16(p) << 16 | load16(p + 2);
}

/* What could mean something else in a name as text is refused. */
static bool is_good_label(const uint8_t *label, size_t len)
{
	static const char chars[] =
		"abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789-_*";

	for (size_t i = 0; i < len; i++)
		if (!label[i] || !strchr(chars, label[i]))
			return false;
	return true;
}

/* The name at *at, without a dot at its end; *at is behind it then. Pointers lead backward alone, so none
 * leads round. */
static int read_name(const struct reader *r, size_t *at, char name[DNS_NAME_SIZE])
{
	size_t from = *at, lowest = *at, used = 0;
	bool jumped = false;

	while (from < r->len) {
		uint8_t n = r->bytes[from];

		if ((n & POINTER_BITS) == POINTER_BITS) {
			if (from + 2 > r->len)
				return -EBADMSG;
			if (!jumped)
				*at = from + 2;
			jumped = true;
			from = load16(r->bytes + from) & ~(POINTER_BITS << 8);
			if (from >= lowest)
				return -EBADMSG;
			lowest = from;
			continue;
		}
		if (n > LABEL_MAX || from + 1 + n > r->len || used + n + 2 > DNS_NAME_SIZE ||
		    !is_good_label(r->bytes + from + 1, n))
			return -EBADMSG;
		from += 1 + (size_t)n;
		if (n == 0) {
			name[used ? used - 1 : 0] = 0;
			if (!jumped)
				*at = from;
			return 0;
		}
		memcpy(name + used, r->bytes + from - n, n);
		used += n;
		name[used++] = '.';
	}
	return -EBADMSG;
}

static int read_row(const struct reader *r, size_t *at, struct row *row)
{
	const uint8_t *p;
	int err = read_name(r, at, row->owner);

	if (err || *at + 10 > r->len)
		return -EBADMSG;
	p = r->bytes + *at;
	row->type = load16(p);
	row->class = load16(p + 2);
	row->ttl = load32(p + 4) > TTL_MAX ? 0 : load32(p + 4);
	row->size = load16(p + 8);
	row->at = *at + 10;
	if (row->at + row->size > r->len)
		return -EBADMSG;
	*at = row->at + row->size;
	return 0;
}

/* Where the records of the answer begin, and how many there are. */
static int skip_question(const struct reader *r, size_t *ret_at, unsigned *ret_count)
{
	char name[DNS_NAME_SIZE];
	size_t at = HEADER_SIZE;

	if (r->len < HEADER_SIZE || load16(r->bytes + 4) != 1)
		return -EBADMSG;
	if (read_name(r, &at, name) || at + 4 > r->len)
		return -EBADMSG;
	*ret_at = at + 4;
	*ret_count = load16(r->bytes + 6);
	return 0;
}

static void lower(uint32_t *ttl, uint32_t other)
{
	if (other < *ttl)
		*ttl = other;
}

/* What name is an alias of in the end takes its place. */
static int follow_aliases(const struct reader *r, size_t first, unsigned count,
			  char name[DNS_NAME_SIZE], uint32_t *ttl)
{
	for (int i = 0; i <= ALIASES_MAX; i++) {
		bool found = false;
		size_t at = first;

		for (unsigned n = 0; n < count && !found; n++) {
			struct row row;
			int err = read_row(r, &at, &row);

			if (err)
				return err;
			if (row.type != DNS_CNAME || row.class != DNS_CLASS_IN ||
			    strcasecmp(row.owner, name) != 0)
				continue;
			found = true;
			lower(ttl, row.ttl);
			err = read_name(r, &row.at, name);
			if (err)
				return err;
		}
		if (!found)
			return 0;
	}
	return -EBADMSG; /* they lead round */
}

static int read_data(const struct reader *r, const struct row *row, struct dns_record *record)
{
	const uint8_t *p = r->bytes + row->at;
	size_t at = row->at + SRV_HEAD_SIZE;

	*record = (struct dns_record){0};
	switch (row->type) {
	case DNS_A:
		record->addr.family = AF_INET;
		memcpy(&record->addr.v4, p, row->size == 4 ? 4 : 0);
		return row->size == 4 ? 0 : -EBADMSG;
	case DNS_AAAA:
		record->addr.family = AF_INET6;
		memcpy(&record->addr.v6, p, row->size == 16 ? 16 : 0);
		return row->size == 16 ? 0 : -EBADMSG;
	case DNS_SRV:
		if (row->size <= SRV_HEAD_SIZE)
			return -EBADMSG;
		record->priority = load16(p);
		record->weight = load16(p + 2);
		record->port = load16(p + 4);
		if (read_name(r, &at, record->target) || at != row->at + row->size)
			return -EBADMSG;
		return 0;
	default: return -EBADMSG;
	}
}

int dns_answer_read(const uint8_t *packet, size_t len, const char *name, enum dns_type type,
		    dns_record_fn fn, void *ctx, uint32_t *ret_ttl)
{
	struct reader r = {packet, len};
	char owner[DNS_NAME_SIZE];
	size_t first, name_len = strlen(name);
	uint32_t ttl = *ret_ttl;
	struct dns_record record;
	unsigned count, found = 0;
	struct row row;
	int err;

	if (name_len && name[name_len - 1] == '.')
		name_len--;
	if (name_len >= sizeof(owner))
		return -EBADMSG;
	memcpy(owner, name, name_len);
	owner[name_len] = 0;
	err = skip_question(&r, &first, &count);
	if (!err)
		err = follow_aliases(&r, first, count, owner, &ttl);
	for (unsigned n = 0; n < count && !err; n++) {
		err = read_row(&r, &first, &row);
		if (err || row.type != type || row.class != DNS_CLASS_IN ||
		    strcasecmp(row.owner, owner) != 0)
			continue;
		found++;
		lower(&ttl, row.ttl);
		err = read_data(&r, &row, &record);
		if (!err)
			err = fn(ctx, &record);
	}
	if (!err && found)
		*ret_ttl = ttl;
	return err;
}

bool dns_answer_negative(const uint8_t *packet, size_t len, uint32_t *ret_ttl)
{
	struct reader r = {packet, len};
	unsigned count, authority;
	size_t at;

	if (skip_question(&r, &at, &count))
		return false;
	authority = load16(packet + 8);
	for (unsigned n = 0; n < count + authority; n++) {
		struct row row;

		if (read_row(&r, &at, &row))
			return false;
		if (n < count || row.type != DNS_SOA || row.size < SOA_SIZE_MIN)
			continue;
		*ret_ttl = row.ttl;
		lower(ret_ttl,
		      load32(packet + row.at + row.size - 4)); /* its minimum stands last */
		return true;
	}
	return false;
}
