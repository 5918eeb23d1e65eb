/* SPDX-License-Identifier: BSD-2-Clause */
/* HTTP over the control socket, by libcurl: see client.h. */
#include "cli/client.h"

#include <curl/curl.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "cli/print.h"
#include "control/message.h"

#define CONNECT_SECONDS 5L
#define TOTAL_SECONDS	120L
#define BODY_MAX	(64U << 20)

struct body {
	char *text;
	size_t len;
};

static size_t on_data(char *data, size_t size, size_t count, void *ctx)
{
	struct body *b = ctx;
	size_t len = size * count;
	char *text;

	if (b->len + len > BODY_MAX)
		return 0;
	text = realloc(b->text, b->len + len + 1);
	if (!text)
		return 0;
	memcpy(text + b->len, data, len);
	b->text = text;
	b->len += len;
	b->text[b->len] = '\0';
	return len;
}

char *client_escape(const char *text)
{
	char *curl = curl_easy_escape(NULL, text, 0);
	char *own = curl ? strdup(curl) : NULL;

	curl_free(curl);
	return own;
}

int client_add_segment(char **path, const char *segment)
{
	char *escaped = client_escape(segment), *longer = NULL;
	int n = escaped ? asprintf(&longer, "%s/%s", *path ? *path : "", escaped) : -1;

	free(escaped);
	if (n < 0)
		return -ENOMEM;
	free(*path);
	*path = longer;
	return 0;
}

static CURLcode set_options(CURL *curl, const struct request *rq, const char *url,
			    struct curl_slist *headers, struct body *body)
{
	CURLcode c = curl_easy_setopt(curl, CURLOPT_UNIX_SOCKET_PATH, rq->socket);

	c = c ? c : curl_easy_setopt(curl, CURLOPT_URL, url);
	c = c ? c : curl_easy_setopt(curl, CURLOPT_PROXY, "");
	c = c ? c : curl_easy_setopt(curl, CURLOPT_PROTOCOLS_STR, "http");
	c = c ? c : curl_easy_setopt(curl, CURLOPT_NOSIGNAL, 1L);
	c = c ? c : curl_easy_setopt(curl, CURLOPT_CONNECTTIMEOUT, CONNECT_SECONDS);
	c = c ? c
	      : curl_easy_setopt(curl, CURLOPT_TIMEOUT, rq->seconds ? rq->seconds : TOTAL_SECONDS);
	c = c ? c : curl_easy_setopt(curl, CURLOPT_WRITEFUNCTION, on_data);
	c = c ? c : curl_easy_setopt(curl, CURLOPT_WRITEDATA, body);
	if (rq->body) {
		c = c ? c : curl_easy_setopt(curl, CURLOPT_POST, 1L);
		c = c ? c
		      : curl_easy_setopt(curl, CURLOPT_POSTFIELDSIZE_LARGE,
					 (curl_off_t)rq->body_len);
		c = c ? c : curl_easy_setopt(curl, CURLOPT_POSTFIELDS, rq->body);
	}
	if (rq->body || rq->if_generation)
		c = c ? c : curl_easy_setopt(curl, CURLOPT_HTTPHEADER, headers);
	return c ? c : curl_easy_setopt(curl, CURLOPT_CUSTOMREQUEST, rq->method);
}

static int unreachable(const struct request *rq, CURL *curl, CURLcode code)
{
	long os_error = 0;

	(void)curl_easy_getinfo(curl, CURLINFO_OS_ERRNO, &os_error);
	if (rq->quiet)
		return API_EXIT_UNREACHABLE;
	if (code != CURLE_COULDNT_CONNECT)
		tell_error("no reply from shuntd at %s: %s", rq->socket, curl_easy_strerror(code));
	else
		tell_error("cannot reach shuntd at %s: %s%s", rq->socket,
			   os_error ? strerror((int)os_error) : curl_easy_strerror(code),
			   os_error == EACCES ? " (root and the socket's group may use it)" : "");
	return API_EXIT_UNREACHABLE;
}

void client_print_diagnostics(const json_t *list, const char *file)
{
	size_t i;
	json_t *item;

	json_array_foreach (list, i, item) {
		const char *in = json_string_value(json_object_get(item, "file"));
		const char *level = json_string_value(json_object_get(item, "level"));
		const char *message = json_string_value(json_object_get(item, "message"));
		json_int_t line = json_integer_value(json_object_get(item, "line"));
		json_int_t column = json_integer_value(json_object_get(item, "column"));

		if (in && file && (!strcmp(in, API_BODY_NAME) || !strcmp(in, API_APPLIED_NAME)))
			in = file;
		if (in && line)
			print_safe(stderr, "%s:%lld:%lld: ", in, (long long)line,
				   (long long)column);
		else if (in)
			print_safe(stderr, "%s: ", in);
		print_safe(stderr, "%s: %s", level ? level : "error", message ? message : "");
		fputc('\n', stderr);
	}
}

/* What the daemon said no to, and why. */
static int refused(const struct request *rq, const struct reply *r)
{
	json_t *error = json_object_get(r->json, "error");
	const char *message = json_string_value(json_object_get(error, "message")), *first;
	const json_t *list;

	if (rq->quiet) {
		/* The caller looks at it. */
	} else if (rq->as_json && r->json) {
		print_json(stderr, r->json);
	} else if (message) {
		list = json_object_get(error, "diagnostics");
		first = json_string_value(json_object_get(json_array_get(list, 0), "message"));
		/* Not the same sentence twice. */
		if (json_array_size(list) != 1 || !first || strcmp(first, message) != 0)
			client_print_diagnostics(list, rq->file);
		tell_error("%s", message);
	} else {
		tell_error("shuntd answered with status %ld", r->status);
	}
	return r->status >= 500 ? API_EXIT_FAILED : API_EXIT_REFUSED;
}

static int perform(CURL *curl, const struct request *rq, struct reply *r)
{
	struct curl_slist *headers = NULL, *more;
	struct body body = {0};
	char *url = NULL, *type = NULL, *match = NULL;
	CURLcode code = CURLE_OUT_OF_MEMORY;

	if (asprintf(&url, "http://shuntd%s%s", rq->path, rq->strict ? "?strict=1" : "") < 0 ||
	    asprintf(&type, "Content-Type: %s", rq->type ? rq->type : API_JSON) < 0 ||
	    (rq->if_generation && asprintf(&match, "If-Match: %s", rq->if_generation) < 0))
		goto out;
	headers = curl_slist_append(NULL, type);
	if (headers && match) {
		more = curl_slist_append(headers, match);
		if (!more)
			goto out;
		headers = more;
	}
	if (headers)
		code = set_options(curl, rq, url, headers, &body);
	if (!code)
		code = curl_easy_perform(curl);
	if (!code)
		code = curl_easy_getinfo(curl, CURLINFO_RESPONSE_CODE, &r->status);
	r->body = body.text;
out:
	curl_slist_free_all(headers);
	free(url);
	free(type);
	free(match);
	return code ? unreachable(rq, curl, code) : API_EXIT_OK;
}

int client_ask(const struct request *rq, struct reply *ret_reply)
{
	CURL *curl = curl_easy_init();
	int code;

	memset(ret_reply, 0, sizeof(*ret_reply));
	if (!curl) {
		tell_error("out of memory");
		return API_EXIT_FAILED;
	}
	code = perform(curl, rq, ret_reply);
	curl_easy_cleanup(curl);
	if (code)
		return code;
	if (ret_reply->body)
		ret_reply->json = json_loads(ret_reply->body, 0, NULL);
	return ret_reply->status / 100 == 2 ? API_EXIT_OK : refused(rq, ret_reply);
}

void reply_deinit(struct reply *r)
{
	free(r->body);
	json_decref(r->json);
	memset(r, 0, sizeof(*r));
}
