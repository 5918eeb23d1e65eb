/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * What the small programs of this folder share: sockets on the loopback device, an epoll set, a
 * counter that another process can read while they run. Whatever fails ends the program.
 */
#ifndef BENCH_PROXY_TOOL_H
#define BENCH_PROXY_TOOL_H

#include <stddef.h>
#include <stdint.h>

/* Say "NAME: what: strerror(errno)" and end with status 1. */
_Noreturn void die(const char *what);

/* A port from text; ends the program where it is none. */
uint16_t port_of(const char *text);

/* A listening socket on 127.0.0.1 that does not block. */
int listen_at(uint16_t port);

/* A connected socket to 127.0.0.1, without Nagle's delay, that does not block. -1: refused. */
int connect_to(uint16_t port);

/* The next client of a listening socket, likewise; -1: there is none. */
int accept_from(int listener);

int epoll_open(void);
/* op: EPOLL_CTL_ADD or EPOLL_CTL_MOD. */
void epoll_watch(int epoll, int op, int fd, uint32_t events, void *ptr);

/* A number in a file of eight bytes, in the machine's own order, that begins with 0. */
volatile uint64_t *counter_open(const char *path);

#endif
