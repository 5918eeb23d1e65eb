/* SPDX-License-Identifier: BSD-2-Clause */
#include "loader/decap_maps.h"

#include <arpa/inet.h>
#include <errno.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

#include <bpf/bpf.h>
#include <bpf/libbpf.h>

static struct decap_key key_of(const struct addr *addr)
{
	struct decap_key key = {.family = addr->family == AF_INET6 ? 6 : 4};

	memcpy(key.addr, addr->bytes, key.family == 6 ? 16 : 4);
	return key;
}

static struct addr addr_of(const struct decap_key *key)
{
	struct addr addr = {.family = key->family == 6 ? AF_INET6 : AF_INET};

	memcpy(addr.bytes, key->addr, key->family == 6 ? 16 : 4);
	return addr;
}

static int compare(const void *a, const void *b)
{
	return addr_cmp(a, b);
}

static bool is_named(const struct addr *services, size_t count, const struct addr *addr)
{
	for (size_t i = 0; i < count; i++)
		if (!addr_cmp(&services[i], addr))
			return true;
	return false;
}

int decap_maps_set_services(int fd, const struct addr *services, size_t count)
{
	const uint32_t value = 1;
	struct addr *former;
	size_t former_count;
	int err;

	err = decap_maps_services(fd, &former, &former_count);
	if (err)
		return err;
	for (size_t i = 0; !err && i < count; i++) {
		struct decap_key key = key_of(&services[i]);

		if (bpf_map_update_elem(fd, &key, &value, BPF_ANY))
			err = -errno;
	}
	for (size_t i = 0; !err && i < former_count; i++) {
		struct decap_key key = key_of(&former[i]);

		if (!is_named(services, count, &former[i]) && bpf_map_delete_elem(fd, &key))
			err = -errno;
	}
	free(former);
	return err;
}

int decap_maps_services(int fd, struct addr **ret_services, size_t *ret_count)
{
	struct addr *services = calloc(DECAP_MAX_SERVICES, sizeof(*services));
	struct decap_key key, *previous = NULL;
	size_t count = 0;

	if (!services)
		return -ENOMEM;
	while (count < DECAP_MAX_SERVICES && !bpf_map_get_next_key(fd, previous, &key)) {
		services[count++] = addr_of(&key);
		previous = &key;
	}
	if (count < DECAP_MAX_SERVICES && errno != ENOENT) {
		int err = -errno;

		free(services);
		return err;
	}
	qsort(services, count, sizeof(*services), compare);
	*ret_services = services;
	*ret_count = count;
	return 0;
}

int decap_maps_counters(int fd, uint64_t ret_sum[DECAP_COUNTERS])
{
	int cpus = libbpf_num_possible_cpus(), err = 0;
	uint64_t *values;

	if (cpus < 0)
		return cpus;
	values = calloc((size_t)cpus, sizeof(*values));
	if (!values)
		return -ENOMEM;
	for (uint32_t at = 0; !err && at < DECAP_COUNTERS; at++) {
		if (bpf_map_lookup_elem(fd, &at, values)) {
			err = -errno;
			break;
		}
		ret_sum[at] = 0;
		for (int i = 0; i < cpus; i++)
			ret_sum[at] += values[i];
	}
	free(values);
	return err;
}

static const uint32_t only_row;

int decap_maps_set_gue_port(int fd, uint16_t port)
{
	const struct decap_settings settings = {.gue_port = htons(port)};

	return bpf_map_update_elem(fd, &only_row, &settings, BPF_ANY) ? -errno : 0;
}

int decap_maps_gue_port(int fd, uint16_t *ret_port)
{
	struct decap_settings settings;

	if (bpf_map_lookup_elem(fd, &only_row, &settings))
		return -errno;
	*ret_port = ntohs(settings.gue_port);
	return 0;
}
