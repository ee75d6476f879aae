#ifndef BULKHEAD_DEVICES_H
#define BULKHEAD_DEVICES_H

#include <stddef.h>

/* Binds every network device to its driver (`bind`), or unbinds it (`unbind`). Returns 0 or -errno. */
int drive_network(const char *action);

/* Writes the whole text to a file. Returns 0 or -errno. */
int write_text(const char *path, const char *text);
/* Reads the beginning of a file as text. Returns false if it is empty or cannot be read. */
int read_text(const char *path, char *text, size_t size);

#endif
