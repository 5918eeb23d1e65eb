/* SPDX-License-Identifier: BSD-2-Clause */
/* What stat() says of the configuration's files, as one number: see config_stamp.h. */
#include "control/config_stamp.h"

#include <errno.h>
#include <stdio.h>
#include <sys/stat.h>

#include "conf/tree_dir.h"
#include "core/text.h"

static int add_file(const char *path, uint64_t *stamp)
{
	struct stat st;
	char text[128];

	if (stat(path, &st))
		return -errno;
	(void)snprintf(text, sizeof(text), "%llu %llu %lld %lld.%ld", (unsigned long long)st.st_dev,
		       (unsigned long long)st.st_ino, (long long)st.st_size,
		       (long long)st.st_mtim.tv_sec, st.st_mtim.tv_nsec);
	*stamp = text_hash(text_hash(*stamp, path), text);
	return 0;
}

int config_stamp(const char *path, uint64_t *ret_stamp)
{
	uint64_t stamp = TEXT_HASH_INIT;
	struct file_list files = {0};
	int err;

	if (!tree_dir_is_one(path)) {
		err = add_file(path, &stamp);
	} else {
		err = tree_dir_list(path, &files);
		for (size_t i = 0; i < files.count && !err; i++)
			err = add_file(files.paths[i], &stamp);
		file_list_deinit(&files);
	}
	*ret_stamp = stamp;
	return err;
}
