/*
 * What a process of a container can reach, tried from inside: a program that runs as the container's processes do, and
 * tells what came back. Nothing that it tries does harm where it succeeds. It is a part of the guest's init and of the
 * host's helper; either runs as a copy in memory, so that no file is added to the container.
 *
 * Arguments, `name=value`, each optional and several times: host-file, host-process (part of a command line), secret
 * (what a host's file and services say), host (address:port of a service), metadata (the same), neighbour (address), forged-source (address).
 * Output: one line for each probe, `name<TAB>outcome<TAB>detail`, and `end` as the last one.
 */
#ifndef BULKHEAD_PROBE_H
#define BULKHEAD_PROBE_H

#include <stdbool.h>

int probe(char **arguments);

/* The value of the first argument of that name at or after `*from`, which goes on behind it; null if there is none. */
const char *next_value(int *from, const char *name);
const char *value_of(const char *name);

/* Begins the detail of the next report, or goes on with it. */
void note(const char *format, ...) __attribute__((format(printf, 1, 2)));
/* Tells the outcome of a probe, with what has been noted. */
void report(const char *name, const char *outcome);
/* Notes `what`, with the error if `result` is negative. Returns whether the call has succeeded. */
bool tried(const char *what, long result);
/* `reached` if any of what was tried has succeeded. */
void report_reached(const char *name, bool reached);

void probe_kernel(void);
void probe_calls(void);
void probe_files(void);
void probe_devices(void);
void probe_processes(void);
void probe_network(void);

#endif
