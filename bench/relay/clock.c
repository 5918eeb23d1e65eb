// SPDX-License-Identifier: BSD-2-Clause
/* Processor time: see clock.h. */
#include "bench/relay/clock.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "bench/proxy/tool.h"

#define THREADS_MAX 1024
#define NS_PER_S    1000000000U

static struct {
	pid_t pid;
	uint64_t last; /* its time when it was last seen; it may be gone */
} threads[THREADS_MAX];
static unsigned thread_count;

static uint64_t read_clock(clockid_t clock)
{
	struct timespec now;

	if (clock_gettime(clock, &now) < 0)
		return 0;
	return (uint64_t)now.tv_sec * NS_PER_S + (uint64_t)now.tv_nsec;
}

uint64_t clock_ns(void)
{
	return read_clock(CLOCK_MONOTONIC);
}

uint64_t thread_ns(void)
{
	return read_clock(CLOCK_THREAD_CPUTIME_ID);
}

static bool is_of_kernel(const char *pid)
{
	char path[64], name[64] = "";
	int fd;

	snprintf(path, sizeof(path), "/proc/%.20s/comm", pid);
	fd = open(path, O_RDONLY | O_CLOEXEC);
	if (fd < 0)
		return false;
	(void)!read(fd, name, sizeof(name) - 1); /* one that is gone has no name */
	close(fd);
	return strncmp(name, "kworker/", 8) == 0 || strncmp(name, "ksoftirqd/", 10) == 0;
}

static bool is_known(pid_t pid)
{
	for (unsigned i = 0; i < thread_count; i++) {
		if (threads[i].pid == pid)
			return true;
	}
	return false;
}

void kernel_find(void)
{
	DIR *dir = opendir("/proc");
	struct dirent *entry;

	if (!dir)
		die("/proc");
	while ((entry = readdir(dir))) {
		pid_t pid = (pid_t)strtol(entry->d_name, NULL, 10);

		if (pid <= 0 || is_known(pid) || !is_of_kernel(entry->d_name))
			continue;
		if (thread_count == THREADS_MAX) {
			errno = ENOSPC;
			die("threads of the kernel");
		}
		threads[thread_count].last = 0;
		threads[thread_count++].pid = pid;
	}
	closedir(dir);
	if (!thread_count) {
		errno = ENOENT;
		die("/proc shows no threads of the kernel, whose time would be left out");
	}
}

uint64_t kernel_ns(void)
{
	uint64_t sum = 0;

	for (unsigned i = 0; i < thread_count; i++) {
		clockid_t clock;
		uint64_t now = 0;

		if (clock_getcpuclockid(threads[i].pid, &clock) == 0)
			now = read_clock(clock);
		if (now > threads[i].last)
			threads[i].last = now;
		sum += threads[i].last;
	}
	return sum;
}

uint64_t busy_ns(void)
{
	unsigned long long user, nice, system, idle, wait, irq, softirq, steal;
	FILE *file = fopen("/proc/stat", "re");

	if (!file || fscanf(file, "cpu %llu %llu %llu %llu %llu %llu %llu %llu", &user, &nice,
			    &system, &idle, &wait, &irq, &softirq, &steal) != 8)
		die("/proc/stat");
	fclose(file);
	return (user + nice + system + irq + softirq) * (NS_PER_S / (uint64_t)sysconf(_SC_CLK_TCK));
}
