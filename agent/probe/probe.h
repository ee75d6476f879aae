/*
 * Tests what a process of a container can reach. The program runs with the restrictions of the container's processes and
 * reports the outcome of each attempt. An attempt that succeeds does no harm. The program is part of the guest's init and of
 * the host's helper. It runs from a copy in memory, so that no file is added to the container.
 *
 * Arguments are `name=value`, each optional and repeatable: host-file, host-process (part of a command line), secret (the
 * content of the host's file and services), host (address:port of a service), metadata (address:port), neighbour (address),
 * forged-source (address).
 * Output: one line for each probe, `name<TAB>outcome<TAB>detail`, and `end` as the last one.
 */
#ifndef BULKHEAD_PROBE_H
#define BULKHEAD_PROBE_H

#include <stdbool.h>

int probe(char **arguments);

/* The value of the first argument with that name at or after `*from`, which then advances past it; null if there is none. */
const char *next_value(int *from, const char *name);
const char *value_of(const char *name);

/* Adds to the detail of the next report. */
void note(const char *format, ...) __attribute__((format(printf, 1, 2)));
/* Prints the outcome of a probe with the noted detail. */
void report(const char *name, const char *outcome);
/* Notes `what`, with the error if `result` is negative. Returns whether the call succeeded. */
bool tried(const char *what, long result);
/* Reports `reached` or `refused`. */
void report_reached(const char *name, bool reached);

void probe_kernel(void);
void probe_calls(void);
void probe_files(void);
void probe_devices(void);
void probe_processes(void);
void probe_network(void);

#endif
