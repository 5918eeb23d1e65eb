/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Gives a fuzz target each file of the directories named as arguments, and the empty input: a
 * corpus as an ordinary test, without libFuzzer. What goes wrong ends the program by a signal.
 */
#include <dirent.h>
#include <errno.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len);

#define INPUT_MAX (1 << 20)

static int replay_file(const char *path, uint8_t *buf)
{
	FILE *f = fopen(path, "rb");
	size_t len;

	if (!f)
		return -errno;
	len = fread(buf, 1, INPUT_MAX, f);
	fclose(f);
	(void)LLVMFuzzerTestOneInput(buf, len); /* always 0 by libFuzzer's rules */
	return 0;
}

static int replay_dir(const char *dir_path, uint8_t *buf, unsigned *count)
{
	DIR *dir = opendir(dir_path);
	struct dirent *entry;
	char path[4096];
	int err = 0;

	if (!dir)
		return -errno;
	while (!err && (entry = readdir(dir))) {
		if (entry->d_name[0] == '.')
			continue;
		snprintf(path, sizeof(path), "%s/%s", dir_path, entry->d_name);
		err = replay_file(path, buf);
		(*count)++;
	}
	closedir(dir);
	return err;
}

int main(int argc, char **argv)
{
	uint8_t *buf = calloc(1, INPUT_MAX);
	unsigned count = 1;
	int err = 0;

	if (!buf)
		return 1;
	(void)LLVMFuzzerTestOneInput(buf, 0);
	for (int i = 1; !err && i < argc; i++) {
		err = replay_dir(argv[i], buf, &count);
		if (err)
			fprintf(stderr, "%s: %s\n", argv[i], strerror(-err));
	}
	free(buf);
	if (!err)
		printf("%u inputs\n", count);
	return err ? 1 : 0;
}
