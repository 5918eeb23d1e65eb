/* SPDX-License-Identifier: BSD-2-Clause */
/* What stands in the file of the token: see draft.h. */
#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "conf/draft.h"

#define TOKEN_MIN 16U
#define TOKEN_MAX 256U

/* The bytes of a regular file, up to one more than a token with a line end can have. */
static ssize_t read_file(const char *path, char *buf, size_t len, bool *ret_is_open)
{
	int fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK); /* not to wait where it is a pipe */
	struct stat st;
	ssize_t n;

	if (fd < 0)
		return -errno;
	if (fstat(fd, &st) || !S_ISREG(st.st_mode)) {
		close(fd);
		return -EINVAL;
	}
	*ret_is_open = (st.st_mode & S_IROTH) != 0;
	n = read(fd, buf, len);
	if (n < 0)
		n = -errno;
	close(fd);
	return n;
}

static bool is_token(const char *text, size_t len)
{
	for (size_t i = 0; i < len; i++)
		if (text[i] <= ' ' || text[i] > '~')
			return false;
	return len >= TOKEN_MIN && len <= TOKEN_MAX;
}

void draft_check_admin(struct draft *dr)
{
	struct admin_conf *a = &dr->snap->admin;
	const struct tree *node = tree_get(dr->root, "admin");
	const struct pos *pos;
	char text[TOKEN_MAX + 3];
	bool is_open = false;
	ssize_t n;

	if (!a->token_file)
		return;
	pos = draft_key_pos(node, "token_file");
	n = read_file(a->token_file, text, sizeof(text) - 1, &is_open);
	if (n < 0) {
		diag_error(dr->reader.diag, pos, "admin.token_file: %s: %s", a->token_file,
			   n == -EINVAL ? "is no regular file" : strerror((int)-n));
		return;
	}
	while (n > 0 && (text[n - 1] == '\n' || text[n - 1] == '\r'))
		n--;
	text[n] = '\0';
	if (!is_token(text, (size_t)n)) {
		diag_error(dr->reader.diag, pos,
			   "admin.token_file: %s: expected one word of %u to %u visible bytes",
			   a->token_file, TOKEN_MIN, TOKEN_MAX);
		return;
	}
	if (is_open)
		diag_warning(dr->reader.diag, pos,
			     "admin.token_file: %s: every user of this host "
			     "may read the token",
			     a->token_file);
	a->token = read_strdup(&dr->reader, text);
}
