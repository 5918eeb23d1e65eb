/* SPDX-License-Identifier: BSD-2-Clause */
/* The keys of routes of http services: a part of the table in schema.h. */
#include <inttypes.h>

#include "conf/fields.h"
#include "conf/route_draft.h"
#include "conf/schema.h"
#include "core/strbuf.h"

#define FIELD(type, member) .offset = offsetof(type, member), .width = sizeof(((type *)0)->member)
#define KEYS(list)	    .keys = (list), .count = sizeof(list) / sizeof((list)[0])
#define NODE(owner, member)                                                                        \
	.type = KEY_SPECIAL, FIELD(owner, member), .read = field_read_node,                        \
	.format = field_format_node

#define HOUR (3600ULL * 1000)
#define DAY  (24 * HOUR)
#define MIB  (1024ULL * 1024)
#define TIB  (1024ULL * 1024 * 1024 * 1024)

/* ---- keys whose values are built later ---- */

void field_read_node(struct reader *r, const struct keyword *k, const struct tree *value,
		     void *object)
{
	if (tree_is_null(value))
		read_expected(r, k, value, k->form);
	else
		*(const struct tree **)((char *)object + k->offset) = value;
}

/* Routes are shown by their number and fingerprint alone. */
void field_format_node(struct strbuf *b, const void *object)
{
	(void)b;
	(void)object;
}

void field_read_variables(struct reader *r, const struct keyword *k, const struct tree *value,
			  void *object)
{
	(void)object;
	if (tree_is_null(value) || value->kind != TREE_MAPPING)
		read_expected(r, k, value, k->form);
}

/* They stand or change with the routes. */
void field_format_variables(struct strbuf *b, const void *object)
{
	const struct service *s = object;

	if (s->routes && s->routes->variable_count)
		strbuf_printf(b, "%zu", s->routes->variable_count);
}

void field_read_routes(struct reader *r, const struct keyword *k, const struct tree *value,
		       void *object)
{
	(void)object;
	if (tree_is_null(value) || value->kind != TREE_SEQUENCE)
		read_expected(r, k, value, k->form);
}

void field_format_routes(struct strbuf *b, const void *object)
{
	const struct service *s = object;

	if (s->routes)
		strbuf_printf(b, "%zu (%016" PRIx64 ")", s->routes->table.count,
			      s->routes->fingerprint);
}

static const char *refuse_redirect_status(uint64_t n)
{
	return n == 304 || n == 305 || n == 306 ? "301, 302, 303, 307 or 308" : NULL;
}

/* ---- what a route asks ---- */

static const struct keyword path_keys[] = {
	{.name = "exact",
	 .text = "this path and no other",
	 NODE(struct path_draft, exact),
	 .form = "a path, which begins with \"/\""},
	{.name = "prefix",
	 .text = "this path and all below it, by whole segments: /v2 is not for /v20",
	 NODE(struct path_draft, prefix),
	 .form = "a path, which begins with \"/\""},
	{.name = "template",
	 .text = "segments, some of them with names: /vpc/{region}/nets/{id:int}. What a name "
		 "takes "
		 "can be used in templates; types are int, hex, uuid and word, and {rest:**} at "
		 "the "
		 "end takes all that is left",
	 NODE(struct path_draft, template),
	 .form = "a path with names in { }"},
	{.name = "regex",
	 .text = "a regular expression (PCRE2) for the whole path; its groups can be used in "
		 "templates",
	 NODE(struct path_draft, regex),
	 .form = "a regular expression"},
};
static const struct section schema_path = {
	.name = "path of a route", .text = "One of these", KEYS(path_keys)};

#define TESTS                                                                                      \
	"{NAME: TEXT}, or in place of the text {exact|prefix|suffix|regex: TEXT} or {present: "    \
	"true|false}"

static const struct keyword match_keys[] = {
	{.name = "host",
	 .text = "one or a list; *.example.com stands for all names below example.com, however "
		 "deep",
	 NODE(struct match_draft, hosts),
	 .form = "a host name, or a suffix such as *.example.com"},
	{.name = "path",
	 .text = "the path, in its one form and without the query",
	 .type = KEY_SECTION,
	 FIELD(struct match_draft, path),
	 .section = &schema_path},
	{.name = "method",
	 .text = "one or a list",
	 NODE(struct match_draft, methods),
	 .form = "a method, such as GET"},
	{.name = "header",
	 .text = "fields by name, all of which must be so; of several lines one",
	 NODE(struct match_draft, headers),
	 .form = TESTS},
	{.name = "query",
	 .text = "parameters by name, decoded, all of which must be so; of several the first",
	 NODE(struct match_draft, parameters),
	 .form = TESTS},
	{.name = "cookie",
	 .text = "cookies by name, all of which must be so",
	 NODE(struct match_draft, cookies),
	 .form = TESTS},
	{.name = "source",
	 .text = "the client's address, one or a list",
	 NODE(struct match_draft, sources),
	 .form = "an address or prefix without host bits, such as 10.0.0.0/8"},
	{.name = "sni",
	 .text = "the name that TLS asked for, as host",
	 NODE(struct match_draft, snis),
	 .form = "a host name, or a suffix such as *.example.com"},
	{.name = "expr",
	 .text = "an expression that is true or false: path.startsWith(\"/v2\") && "
		 "hash(cookie[\"id\"]) % 100 < 5",
	 NODE(struct match_draft, expr),
	 .form = "an expression"},
};
const struct section schema_route_match = {
	.name = "match of a route",
	.text = "Conditions, all of which must hold. Without any: all requests",
	KEYS(match_keys)};

/* ---- what becomes of the request ---- */

static const struct keyword split_keys[] = {
	{.name = "pool",
	 .text = "pool of this share",
	 .type = KEY_NAME,
	 FIELD(struct split_draft, pool_name),
	 .form = "the name of a pool",
	 .refuse_text = field_refuse_name,
	 .required = true},
	{.name = "weight",
	 .text = "its part of all weights; 0: none",
	 .type = KEY_NUMBER,
	 FIELD(struct split_draft, weight),
	 .max = 1000000,
	 .fallback = "1"},
};
const struct section schema_split = {.name = "share of a route",
				     .text = "Pools that share a route's requests",
				     KEYS(split_keys)};

#define OF(member) .type = KEY_SECTION, FIELD(struct route_draft, member)

static const struct keyword redirect_keys[] = {
	{.name = "to",
	 .text = "template of the URL: /new/${rest}, https://${host}${path}",
	 .type = KEY_SPECIAL,
	 .offset =
		 offsetof(struct route_draft, redirect.to) - offsetof(struct route_draft, redirect),
	 .read = field_read_node,
	 .format = field_format_node,
	 .form = "a path, or a URL with http:// or https://",
	 .required = true},
	{.name = "status",
	 .text = "301, 302, 303, 307 or 308",
	 .type = KEY_NUMBER,
	 .offset = offsetof(struct route_draft, redirect.status) -
		   offsetof(struct route_draft, redirect),
	 .width = sizeof(unsigned),
	 .min = 301,
	 .max = 308,
	 .refuse_number = refuse_redirect_status,
	 .fallback = "302"},
};
static const struct section schema_redirect = {
	.name = "redirect of a route", .text = "The client is sent elsewhere", KEYS(redirect_keys)};

#define RESPOND(member)                                                                            \
	.offset = offsetof(struct route_draft, respond.member) -                                   \
		  offsetof(struct route_draft, respond),                                           \
	.width = sizeof(((struct route_draft *)0)->respond.member)

static const struct keyword respond_keys[] = {
	{.name = "status",
	 .text = "status of the response",
	 .type = KEY_NUMBER,
	 RESPOND(status),
	 .min = 200,
	 .max = 599,
	 .required = true},
	{.name = "body",
	 .text = "its body; without this key it has none",
	 .type = KEY_TEXT,
	 RESPOND(body),
	 .form = "text"},
	{.name = "content_type",
	 .text = "type of the body",
	 .type = KEY_TEXT,
	 RESPOND(content_type),
	 .form = "a media type, such as text/html",
	 .refuse_text = field_refuse_content_type,
	 .fallback = "text/plain"},
};
static const struct section schema_respond = {
	.name = "respond of a route", .text = "A response without a backend", KEYS(respond_keys)};

#define REWRITE(member)                                                                            \
	.type = KEY_SPECIAL, .read = field_read_node, .format = field_format_node,                 \
	.offset = offsetof(struct route_draft, rewrite.member) -                                   \
		  offsetof(struct route_draft, rewrite)

static const struct keyword rewrite_keys[] = {
	{.name = "prefix",
	 .text = "template in place of what the route's own prefix or exact path took",
	 REWRITE(prefix),
	 .form = "a path"},
	{.name = "template",
	 .text = "template of the whole path: /v1/${region}/${id}",
	 REWRITE(template),
	 .form = "a path"},
	{.name = "regex",
	 .text = "a path that this regular expression matches as a whole becomes what to says; "
		 "another one stays",
	 REWRITE(regex),
	 .form = "a regular expression"},
	{.name = "to",
	 .text = "of regex: a template, with its groups: /${1}",
	 REWRITE(to),
	 .form = "a path"},
};
static const struct section schema_rewrite = {
	.name = "rewrite of a route",
	.text = "Another path for the backend: prefix, template, or regex with to",
	KEYS(rewrite_keys)};

#define PART(member, part)                                                                         \
	.offset = offsetof(struct route_draft, part.member) - offsetof(struct route_draft, part),  \
	.width = sizeof(((struct route_draft *)0)->part.member)
#define WAIT(member) .type = KEY_DURATION, PART(member, timeouts), .min = 1, .max = DAY

static const struct keyword waits_keys[] = {
	{.name = "request_body",
	 .text = "without a byte of a body from the client",
	 WAIT(request_body)},
	{.name = "response_body",
	 .text = "between two pieces of a body from the backend",
	 WAIT(response_body)},
	{.name = "tunnel",
	 .text = "a tunnel, after an upgrade or CONNECT, without a byte either way",
	 WAIT(tunnel)},
	{.name = "write", .text = "without client or backend taking a byte", WAIT(write)},
};
static const struct section schema_waits = {
	.name = "timeouts of a route",
	.text = "Waits in place of the service's; that for the response's header is timeout",
	KEYS(waits_keys)};

static const struct keyword sizes_keys[] = {
	{.name = "body",
	 .text = "largest body of a request, 0: any; over it 413 is answered",
	 .type = KEY_SIZE,
	 PART(body, limits),
	 .max = TIB,
	 .required = true},
};
static const struct section schema_sizes = {
	.name = "limits of a route", .text = "Sizes in place of the service's", KEYS(sizes_keys)};

static const struct keyword fault_keys[] = {
	{.name = "delay",
	 .text = "wait before anything is done with the request",
	 .type = KEY_DURATION,
	 PART(delay_ms, fault),
	 .min = 1,
	 .max = HOUR},
	{.name = "delay_percent",
	 .text = "of the route's requests that wait, by chance",
	 .type = KEY_NUMBER,
	 PART(delay_percent, fault),
	 .max = 100,
	 .fallback = "100"},
	{.name = "abort",
	 .text = "status that is answered, in place of asking a backend",
	 .type = KEY_NUMBER,
	 PART(abort, fault),
	 .min = 400,
	 .max = 599},
	{.name = "abort_percent",
	 .text = "of the route's requests that are answered so, by chance",
	 .type = KEY_NUMBER,
	 PART(abort_percent, fault),
	 .max = 100,
	 .fallback = "100"},
};
static const struct section schema_fault = {.name = "fault of a route",
					    .text = "Failures on purpose, to see how clients bear "
						    "them. What waits and what is answered "
						    "is drawn apart",
					    KEYS(fault_keys)};

static const struct keyword mirror_keys[] = {
	{.name = "pool",
	 .text = "pool that gets the copies; its answers are thrown away",
	 .type = KEY_NAME,
	 PART(pool_name, mirror),
	 .form = "the name of a pool",
	 .refuse_text = field_refuse_name,
	 .required = true},
	{.name = "percent",
	 .text = "of the route's requests that are copied, by chance",
	 .type = KEY_NUMBER,
	 PART(percent, mirror),
	 .min = 1,
	 .max = 100,
	 .fallback = "100"},
	{.name = "body",
	 .text = "largest body that is copied; a request with a larger one has no copy",
	 .type = KEY_SIZE,
	 PART(body, mirror),
	 .max = MIB,
	 .fallback = "64KiB"},
	{.name = "timeout",
	 .text = "for all of a copy, from its connection to the end of its answer",
	 .type = KEY_DURATION,
	 PART(timeout_ms, mirror),
	 .min = 1,
	 .max = HOUR,
	 .fallback = "5s"},
};
static const struct section schema_mirror = {
	.name = "mirror of a route",
	.text = "Copies of requests for another pool, with the field X-Shunt-Mirror: 1. The "
		"requests "
		"themselves never wait for them; beyond 256 copies, or 32 MiB, of a worker none is "
		"made",
	KEYS(mirror_keys)};

static const struct keyword edits_keys[] = {
	{.name = "set",
	 .text = "fields in place of all of that name: {x-region: \"${region}\"}",
	 NODE(struct edits_draft, set),
	 .form = "a mapping of names to templates"},
	{.name = "add",
	 .text = "fields beside those that are there",
	 NODE(struct edits_draft, add),
	 .form = "a mapping of names to templates"},
	{.name = "remove",
	 .text = "names, one or a list; done before the others",
	 NODE(struct edits_draft, remove),
	 .form = "the name of a header field"},
};
static const struct section schema_edits = {
	.name = "header fields of a route", .text = "Changes to the header", KEYS(edits_keys)};

/* As enum route_early. */
static const char *const early_words[] = {"service", "on", "off", NULL};
/* enum request_priority, then that of the service. */
static const char *const route_priority_words[] = {"low", "normal", "high", "service", NULL};

static const struct keyword route_keys[] = {
	{.name = "name",
	 .text = "for messages and counters",
	 .type = KEY_NAME,
	 FIELD(struct route_draft, name),
	 .form = "a name",
	 .refuse_text = field_refuse_name},
	{.name = "label",
	 .text = "template of a text that requests are counted by in /metrics, such as ${tenant} "
		 "or ${region}; of each worker, the first 100 of them, then (other)",
	 NODE(struct route_draft, label),
	 .form = "a template"},
	{.name = "match",
	 .text = "conditions; without this key, all requests",
	 OF(match),
	 .section = &schema_route_match},
	{.name = "pool",
	 .text = "pool that serves it",
	 .type = KEY_NAME,
	 FIELD(struct route_draft, pool_name),
	 .form = "the name of a pool",
	 .refuse_text = field_refuse_name},
	{.name = "split",
	 .text = "pools that share it",
	 NODE(struct route_draft, split),
	 .form = "a list of mappings {pool: NAME, weight: NUMBER}",
	 .section = &schema_split},
	{.name = "split_by",
	 .text = "expression whose value says which share a request belongs to, always the same: "
		 "cookie[\"id\"]. Without this key, chance",
	 NODE(struct route_draft, split_by),
	 .form = "an expression"},
	{.name = "redirect", .text = "another URL", OF(redirect), .section = &schema_redirect},
	{.name = "respond", .text = "a fixed response", OF(respond), .section = &schema_respond},
	{.name = "rewrite", .text = "another path", OF(rewrite), .section = &schema_rewrite},
	{.name = "timeout",
	 .text = "in place of the service's timeouts.response_header",
	 .type = KEY_DURATION,
	 FIELD(struct route_draft, timeout_ms),
	 .min = 1,
	 .max = DAY},
	{.name = "timeouts",
	 .text = "in place of the service's",
	 OF(timeouts),
	 .section = &schema_waits},
	{.name = "limits",
	 .text = "in place of the service's",
	 OF(limits),
	 .section = &schema_sizes},
	{.name = "fallback",
	 .text = "pool that serves it while none of the backends of the pool, or of the share that "
		 "a "
		 "request belongs to, is usable",
	 .type = KEY_NAME,
	 FIELD(struct route_draft, fallback_name),
	 .form = "the name of a pool",
	 .refuse_text = field_refuse_name},
	{.name = "mirror",
	 .text = "copies for another pool",
	 OF(mirror),
	 .section = &schema_mirror},
	{.name = "fault", .text = "failures on purpose", OF(fault), .section = &schema_fault},
	{.name = "early_data",
	 .text = "are requests of this route taken in the first message of a client that comes "
		 "back: "
		 "on, off, or as the service's tls.early_data says. With on, a service takes such "
		 "messages that itself says off; what is not for such a route waits",
	 .type = KEY_CHOICE,
	 FIELD(struct route_draft, early),
	 .words = early_words,
	 .fallback = "service"},
	{.name = "priority",
	 .text = "who is refused first when there is too much to do (overload)",
	 .type = KEY_CHOICE,
	 FIELD(struct route_draft, priority),
	 .words = route_priority_words,
	 .fallback = "service"},
	{.name = "rate_limit",
	 .text = "names of rate_limits, beside those of the service",
	 NODE(struct route_draft, rate_limit),
	 .form = "names of rate_limits"},
	{.name = "retry",
	 .text = "in place of the service's; keys that are not given have their defaults",
	 OF(retry),
	 .section = &schema_retry},
	{.name = "hedge", .text = "in place of the service's", OF(hedge), .section = &schema_hedge},
	{.name = "request_headers",
	 .text = "of the request to the backend",
	 OF(request_edits),
	 .section = &schema_edits},
	{.name = "response_headers",
	 .text = "of the response to the client",
	 OF(response_edits),
	 .section = &schema_edits},
};
const struct section schema_route = {
	.name = "route of a service",
	.text = "Conditions, and one of pool, split, redirect and respond",
	KEYS(route_keys)};
