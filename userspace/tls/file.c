/* SPDX-License-Identifier: BSD-2-Clause */
/* Whole files: see file.h. */
#include "tls/file.h"

#include <errno.h>
#include <fcntl.h>
#include <openssl/crypto.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#define FILE_MAX (1U << 20)

void tls_blob_free(struct tls_blob *b)
{
	if (b->data)
		OPENSSL_cleanse(b->data, b->len);
	free(b->data);
	*b = (struct tls_blob){0};
}

static int read_all(int fd, struct tls_blob *ret_file, bool *ret_is_open)
{
	struct stat st;
	size_t len = 0;

	if (fstat(fd, &st) < 0)
		return -errno;
	if (!S_ISREG(st.st_mode))
		return -EINVAL;
	if (st.st_size > (off_t)FILE_MAX)
		return -EFBIG;
	if (ret_is_open)
		*ret_is_open = (st.st_mode & S_IROTH) != 0;
	*ret_file = (struct tls_blob){malloc((size_t)st.st_size + 1), (size_t)st.st_size};
	if (!ret_file->data)
		return -ENOMEM;
	while (len < ret_file->len) {
		ssize_t n = read(fd, ret_file->data + len, ret_file->len - len);

		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0)
			return -errno;
		if (n == 0)
			break;
		len += (size_t)n;
	}
	ret_file->len = len;
	return 0;
}

int tls_file_read(const char *path, struct tls_blob *ret_file, bool *ret_is_open, char *text)
{
	/* Not to wait for a writer where it is a pipe. */
	int fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK);
	int err = fd < 0 ? -errno : read_all(fd, ret_file, ret_is_open);

	if (fd >= 0)
		close(fd);
	if (err == -EINVAL)
		(void)snprintf(text, TLS_PROBLEM_MAX, "%s is no regular file", path);
	else if (err < 0)
		(void)snprintf(text, TLS_PROBLEM_MAX, "cannot read %s: %s", path, strerror(-err));
	return err;
}
