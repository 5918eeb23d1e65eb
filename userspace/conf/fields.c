/* SPDX-License-Identifier: BSD-2-Clause */
/* Keys whose values are neither a number nor a word: see fields.h. */
#include "conf/fields.h"

#include <inttypes.h>
#include <net/if.h>
#include <netinet/in.h>
#include <sched.h>
#include <stdlib.h>
#include <string.h>
#include <sys/un.h>
#include <unistd.h>

#include "bpf/abi.h"
#include "conf/listen.h"
#include "conf/read.h"
#include "conf/runtime.h"
#include "conf/schema.h"
#include "conf/snapshot.h"
#include "conf/tree.h"
#include "conf/value.h"
#include "core/strbuf.h"
#include "core/text.h"

#define INTERFACES_MAX 64

/* ---- checks of text ---- */

static bool is_alnum(char c)
{
	return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9');
}

const char *field_refuse_name(const char *text)
{
	size_t len = strlen(text);
	bool good = len > 0 && len < SHUNT_NAME_MAX && is_alnum(text[0]);

	for (size_t i = 0; good && i < len; i++)
		good = is_alnum(text[i]) || strchr("._-", text[i]);
	return good ? NULL
		    : "a name of 1 to 63 letters, digits, \".\", \"_\", \"-\" that starts with a "
		      "letter or digit";
}

static bool is_visible(const char *text)
{
	for (; *text; text++)
		if ((unsigned char)*text <= 0x20 || (unsigned char)*text >= 0x7f)
			return false;
	return true;
}

const char *field_refuse_path(const char *text)
{
	return text[0] == '/' && strlen(text) < 4096 ? NULL : "an absolute path";
}

const char *field_refuse_socket(const char *text)
{
	if (strlen(text) >= sizeof(((struct sockaddr_un *)0)->sun_path))
		return "a path of at most 107 bytes";
	return field_refuse_path(text);
}

const char *field_refuse_target(const char *text)
{
	bool good =
		text[0] == '/' && is_visible(text) && !strchr(text, '#') && strlen(text) <= 1024;

	return good ? NULL : "a path that starts with / and has no spaces";
}

const char *field_refuse_host(const char *text)
{
	bool good = *text && strlen(text) <= 255;

	for (const char *p = text; good && *p; p++)
		good = is_alnum(*p) || strchr(".-_:[]", *p);
	return good ? NULL : "a host name or address, with or without a port";
}

const char *field_refuse_ring_size(uint64_t n)
{
	return value_is_prime(n) ? NULL : "a prime number, such as 65537";
}

/* With less than all have together, some would always be over it. */
const char *field_refuse_load_bound(uint64_t n)
{
	return n == 0 || n > 100 ? NULL : "0, or percent above 100, such as 125";
}

/* ---- node ---- */

static bool is_ifname(const char *text)
{
	size_t len = strlen(text);

	return len > 0 && len < IFNAMSIZ && strcmp(text, ".") != 0 && strcmp(text, "..") != 0 &&
	       is_visible(text) && !strpbrk(text, "/:");
}

/* The same one earlier in the list? */
static const struct tree *find_earlier(const struct tree *list, const struct tree *item)
{
	for (size_t i = 0; i < list->count && list->children[i] != item; i++)
		if (list->children[i]->kind == TREE_SCALAR &&
		    !strcmp(list->children[i]->text, item->text))
			return list->children[i];
	return NULL;
}

void field_read_interfaces(struct reader *r, const struct keyword *k, const struct tree *value,
			   void *object)
{
	struct node *node = object;
	const char **names = read_alloc(r, read_count(value), sizeof(*names));
	const struct tree *item, *earlier;
	size_t count = 0, at = 0;

	if (!names)
		return;
	if (read_count(value) > INTERFACES_MAX) {
		read_error(r, k, &value->pos, "at most %d interfaces", INTERFACES_MAX);
		return;
	}
	while ((item = read_next_scalar(r, k, value, &at))) {
		earlier = find_earlier(value, item);
		if (!is_ifname(item->text))
			read_expected(r, k, item, k->form);
		else if (earlier)
			read_error(r, k, &item->pos, "%s is here twice, first at line %d",
				   text_quote(item->text).s, earlier->pos.line);
		else if (!(names[count++] = read_strdup(r, item->text)))
			return;
	}
	node->interfaces = names;
	node->interface_count = count;
}

void field_format_interfaces(struct strbuf *b, const void *object)
{
	const struct node *node = object;

	strbuf_add(b, "[");
	for (size_t i = 0; i < node->interface_count; i++)
		strbuf_printf(b, "%s%s", i ? ", " : "", node->interfaces[i]);
	strbuf_add(b, "]");
}

bool field_restart_interfaces(const void *old_node, const void *new_node)
{
	const struct node *old = old_node, *new = new_node;

	return !old->interface_count != !new->interface_count;
}

/* Processors that this process may run on. */
static unsigned count_cpus(void)
{
	cpu_set_t set;
	long n;

	CPU_ZERO(&set);
	if (sched_getaffinity(0, sizeof(set), &set) == 0)
		n = CPU_COUNT(&set);
	else /* more processors than the set has bits */
		n = sysconf(_SC_NPROCESSORS_ONLN);
	if (n < 1)
		n = 1;
	return n > RUNTIME_MAX_WORKERS ? RUNTIME_MAX_WORKERS : (unsigned)n;
}

void field_read_workers(struct reader *r, const struct keyword *k, const struct tree *value,
			void *object)
{
	struct node *node = object;
	uint64_t n;

	if (value->kind == TREE_SCALAR && !strcmp(value->text, "auto"))
		node->workers = count_cpus();
	else if (value->kind == TREE_SCALAR && !value->quoted && !value_number(value->text, &n) &&
		 n >= 1 && n <= RUNTIME_MAX_WORKERS)
		node->workers = (unsigned)n;
	else
		read_expected(r, k, value, k->form);
}

void field_format_workers(struct strbuf *b, const void *object)
{
	strbuf_printf(b, "%u", ((const struct node *)object)->workers);
}

void field_read_hash_seed(struct reader *r, const struct keyword *k, const struct tree *value,
			  void *object)
{
	struct node *node = object;
	char half[17] = "";

	if (value->kind != TREE_SCALAR || strlen(value->text) != 32 ||
	    strspn(value->text, "0123456789abcdefABCDEF") != 32 || strspn(value->text, "0") == 32) {
		read_expected(r, k, value, k->form);
		return;
	}
	for (size_t i = 0; i < 2; i++) {
		memcpy(half, value->text + 16 * i, 16);
		node->hash_seed[i] = strtoull(half, NULL, 16);
	}
}

void field_format_hash_seed(struct strbuf *b, const void *object)
{
	const struct node *node = object;

	if (node->hash_seed[0] || node->hash_seed[1])
		strbuf_printf(b, "%016" PRIx64 "%016" PRIx64, node->hash_seed[0],
			      node->hash_seed[1]);
}

const char *field_refuse_address(const struct addr *a)
{
	uint32_t v4 = ntohl(a->v4.s_addr);

	if (a->family == AF_INET) {
		if (v4 >> 24 == 0)
			return "one of 0.0.0.0/8";
		if (v4 == INADDR_BROADCAST)
			return "the broadcast address";
		return IN_MULTICAST(v4) ? "a multicast address" : NULL;
	}
	if (addr_is_unspecified(a))
		return "the unspecified address";
	if (IN6_IS_ADDR_MULTICAST(&a->v6))
		return "a multicast address";
	if (IN6_IS_ADDR_LINKLOCAL(&a->v6))
		return "a link-local address";
	return IN6_IS_ADDR_V4MAPPED(&a->v6) ? "an IPv4 address written as IPv6" : NULL;
}

bool field_report_address(struct reader *r, const struct keyword *k, const struct tree *value,
			  const struct addr *a)
{
	const char *what = field_refuse_address(a);

	if (what)
		read_error(r, k, &value->pos, "%s is %s", text_quote(value->text).s, what);
	return what != NULL;
}

void field_read_tunnel_source(struct reader *r, const struct keyword *k, const struct tree *value,
			      void *object)
{
	struct node *node = object;
	const struct tree *item;
	size_t at = 0;

	while ((item = read_next_scalar(r, k, value, &at))) {
		struct addr a;
		unsigned len, family;

		if (addr_parse_prefix(item->text, true, &a, &len) < 0) {
			read_expected(r, k, item, k->form);
			continue;
		}
		family = a.family == AF_INET6;
		if (field_report_address(r, k, item, &a))
			continue;
		if (len < (family ? 32U : 8U))
			read_error(r, k, &item->pos, "expected a prefix of at least %u bits",
				   family ? 32U : 8U);
		else if (node->tunnel_source[family].family)
			read_error(r, k, &item->pos, "two IPv%u sources, expected one",
				   family ? 6U : 4U);
		node->tunnel_source[family] = a;
		node->tunnel_source_len[family] = len;
	}
}

void field_format_tunnel_source(struct strbuf *b, const void *object)
{
	const struct node *node = object;
	char text[ADDR_STRLEN];
	const char *separator = "[";

	for (size_t i = 0; i < 2; i++) {
		const struct addr *a = &node->tunnel_source[i];

		if (!a->family)
			continue;
		strbuf_printf(b, "%s%s", separator, addr_format(a, text, sizeof(text)));
		if (node->tunnel_source_len[i] < (i ? 128U : 32U))
			strbuf_printf(b, "/%u", node->tunnel_source_len[i]);
		separator = ", ";
	}
	if (separator[0] == ',')
		strbuf_add(b, "]");
}

/* ---- pool ---- */

/* The shortest prefixes: 256 addresses. */
#define SOURCE_LEN4_MIN 24
#define SOURCE_LEN6_MIN 120

static void read_source(struct reader *r, const struct keyword *k, const struct tree *item,
			struct pool *pool)
{
	unsigned len, family, min;
	struct addr a;

	if (addr_parse_prefix(item->text, true, &a, &len) < 0) {
		read_expected(r, k, item, k->form);
		return;
	}
	family = a.family == AF_INET6;
	min = family ? SOURCE_LEN6_MIN : SOURCE_LEN4_MIN;
	if (field_report_address(r, k, item, &a))
		return;
	if (len < min)
		read_error(r, k, &item->pos, "expected a prefix of at least %u bits", min);
	else if (pool->source_addr[family].family)
		read_error(r, k, &item->pos, "two IPv%u sources, expected one", family ? 6U : 4U);
	pool->source_addr[family] = a;
	pool->source_len[family] = len;
	pool->source_nat = SOURCE_NAT_GIVEN;
}

void field_read_source_nat(struct reader *r, const struct keyword *k, const struct tree *value,
			   void *object)
{
	struct pool *pool = object;
	const struct tree *item;
	size_t at = 0;

	if (value->kind == TREE_SCALAR && !strcmp(value->text, "auto")) {
		pool->source_nat = SOURCE_NAT_AUTO;
		return;
	}
	while ((item = read_next_scalar(r, k, value, &at)))
		read_source(r, k, item, pool);
}

void field_format_source_nat(struct strbuf *b, const void *object)
{
	const struct pool *pool = object;
	char text[ADDR_STRLEN];
	const char *separator = "[";

	if (pool->source_nat == SOURCE_NAT_AUTO)
		strbuf_add(b, "auto");
	for (size_t i = 0; i < 2; i++) {
		const struct addr *a = &pool->source_addr[i];

		if (!a->family)
			continue;
		strbuf_printf(b, "%s%s", separator, addr_format(a, text, sizeof(text)));
		if (pool->source_len[i] < (i ? 128U : 32U))
			strbuf_printf(b, "/%u", pool->source_len[i]);
		separator = ", ";
	}
	if (separator[0] == ',')
		strbuf_add(b, "]");
}

/* "1024-32767" */
void field_read_source_ports(struct reader *r, const struct keyword *k, const struct tree *value,
			     void *object)
{
	struct pool *pool = object;
	const char *text = value->kind == TREE_SCALAR ? value->text : "";
	const char *dash = strchr(text, '-');
	char low[6] = "";

	if (dash && (size_t)(dash - text) < sizeof(low))
		memcpy(low, text, (size_t)(dash - text));
	if (!dash || port_parse(low, &pool->source_port_low) < 0 ||
	    port_parse(dash + 1, &pool->source_port_high) < 0 ||
	    pool->source_port_low > pool->source_port_high)
		read_expected(r, k, value, k->form);
}

void field_format_source_ports(struct strbuf *b, const void *object)
{
	const struct pool *pool = object;

	strbuf_printf(b, "%u-%u", pool->source_port_low, pool->source_port_high);
}

/* ---- health ---- */

void field_read_port(struct reader *r, const struct keyword *k, const struct tree *value,
		     void *object)
{
	struct health_conf *h = object;

	if (value->kind != TREE_SCALAR || value->quoted || port_parse(value->text, &h->port) < 0)
		read_expected(r, k, value, k->form);
}

void field_format_port(struct strbuf *b, const void *object)
{
	const struct health_conf *h = object;

	if (h->port)
		strbuf_printf(b, "%u", h->port);
}

/* ---- backend ---- */

void field_read_address(struct reader *r, const struct keyword *k, const struct tree *value,
			void *object)
{
	struct backend *be = object;
	struct endpoint ep;

	if (value->kind != TREE_SCALAR || endpoint_parse(value->text, &ep) < 0) {
		read_expected(r, k, value, k->form);
		return;
	}
	if (!field_report_address(r, k, value, &ep.addr))
		be->ep = ep;
}

void field_format_address(struct strbuf *b, const void *object)
{
	char text[ENDPOINT_STRLEN];

	strbuf_add(b, endpoint_format(&((const struct backend *)object)->ep, text, sizeof(text)));
}

/* ---- service ---- */

void field_read_listen(struct reader *r, const struct keyword *k, const struct tree *value,
		       void *object)
{
	struct service *s = object;
	struct endpoint ep;
	const struct tree *item;
	size_t at = 0;

	s->listens = read_alloc(r, read_count(value), sizeof(*s->listens));
	if (!s->listens)
		return;
	while ((item = read_next_scalar(r, k, value, &at))) {
		struct listen *l = &s->listens[at - 1];

		if (listen_parse(item->text, l) < 0) {
			if (!endpoint_parse(item->text, &ep) && ep.port)
				read_error(r, k, &item->pos,
					   "the protocol is missing, write \"%s/tcp\"", item->text);
			else
				read_expected(r, k, item, k->form);
			continue;
		}
		/* Whether an unspecified address is good depends on the mode: conf/check.c. */
		if ((l->prefix_len || !addr_is_unspecified(&l->ep.addr)) &&
		    field_report_address(r, k, item, &l->ep.addr))
			*l = (struct listen){0};
	}
	s->listen_count = at;
	if (!at && value->kind != TREE_MAPPING) /* of a mapping it has been said */
		read_expected(r, k, value, k->form);
}

void field_format_listen(struct strbuf *b, const void *object)
{
	const struct service *s = object;
	char text[LISTEN_STRLEN];

	strbuf_add(b, "[");
	for (size_t i = 0; i < s->listen_count; i++)
		strbuf_printf(b, "%s\"%s\"", i ? ", " : "",
			      listen_format(&s->listens[i], text, sizeof(text)));
	strbuf_add(b, "]");
}

void field_read_pool(struct reader *r, const struct keyword *k, const struct tree *value,
		     void *object)
{
	(void)object; /* the pool itself is known when all have been read */
	if (value->kind != TREE_SCALAR || tree_is_null(value))
		read_expected(r, k, value, k->form);
}

void field_format_pool(struct strbuf *b, const void *object)
{
	const struct service *s = object;

	strbuf_add(b, s->pool ? s->pool->name : "");
}

/* ---- guard ---- */

const char *field_refuse_note(const char *text)
{
	bool good = *text && strlen(text) < SHUNT_NOTE_MAX;

	for (const char *p = text; good && *p; p++)
		good = (unsigned char)*p >= 0x20 && (unsigned char)*p != 0x7f;
	return good ? NULL : "a text of 1 to 47 bytes on one line";
}

void field_read_prefix(struct reader *r, const struct keyword *k, const struct tree *value,
		       void *object)
{
	struct guard_prefix *p = object;

	if (value->kind != TREE_SCALAR || addr_parse_prefix(value->text, true, &p->addr, &p->len))
		read_expected(r, k, value, k->form);
}

void field_format_prefix(struct strbuf *b, const void *object)
{
	const struct guard_prefix *p = object;
	char text[PREFIX_STRLEN];

	strbuf_add(b, prefix_format(&p->addr, p->len, text, sizeof(text)));
}

/* ---- mss ---- */

#define MSS_MIN 536 /* what every host takes (RFC 9293, section 3.7.1) */
#define MSS_MAX 65000

void field_read_mss(struct reader *r, const struct keyword *k, const struct tree *value,
		    void *object)
{
	struct service *s = object;
	uint64_t n;

	if (value->kind == TREE_SCALAR && !strcmp(value->text, "off"))
		s->mss = 0;
	else if (value->kind == TREE_SCALAR && !strcmp(value->text, "auto"))
		s->mss = SHUNT_MSS_AUTO;
	else if (value->kind == TREE_SCALAR && !value->quoted && !value_number(value->text, &n) &&
		 n >= MSS_MIN && n <= MSS_MAX)
		s->mss = (unsigned)n;
	else
		read_expected(r, k, value, k->form);
}

void field_format_mss(struct strbuf *b, const void *object)
{
	const struct service *s = object;

	if (s->mss == 0)
		strbuf_printf(b, "off");
	else if (s->mss == SHUNT_MSS_AUTO)
		strbuf_printf(b, "auto");
	else
		strbuf_printf(b, "%u", s->mss);
}
