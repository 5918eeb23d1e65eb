/* SPDX-License-Identifier: BSD-2-Clause */
/* What a service manager wants to know, by its datagram socket ($NOTIFY_SOCKET). Main thread. */
#ifndef CONTROL_NOTIFY_H
#define CONTROL_NOTIFY_H

/* Takes the address out of the environment; without one the rest does nothing. */
void notify_init(void);

void notify_ready(const char *status); /* also the end of a reload */
void notify_reloading(void);
void notify_stopping(unsigned drain_ms); /* it takes at most so long */

/* Another process is the daemon now. */
void notify_main_pid(long pid);

/* NAME=VALUE for the environment of that process, malloc'ed; NULL: there is nobody to tell (or no
 * memory). */
char *notify_socket_variable(void);
char *notify_watchdog_variable(void);

/* Every how many milliseconds notify_alive() is due; 0: nobody watches. */
unsigned notify_watchdog_ms(void);
void notify_alive(void);

#endif
