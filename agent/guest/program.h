/* Runs a process's program, and reports why it could not be started. */
#ifndef BULKHEAD_PROGRAM_H
#define BULKHEAD_PROGRAM_H

#include <stddef.h>
#include <stdint.h>

/*
 * Replaces this process by the program `arguments[0]`, which is searched in PATH of `environment` if it has no slash. Unlike
 * execvpe, it does not run a file of an unknown format as a shell script, because no other container runtime does. Writes the
 * reason to `failure_fd` if that fails, and exits.
 */
_Noreturn void run_program(int failure_fd, char **arguments, char **environment);
/* Writes why a process could not be started to a pipe that its program would close; see protocol.h for `problem`. */
void report_start_failure(int failure_fd, int32_t problem, const char *text);
/* Waits until the program runs, which returns 0, or for its failure, which returns the problem and writes the text to `why`. */
int32_t read_start_failure(int failure_fd, char *why, size_t size);

#endif
