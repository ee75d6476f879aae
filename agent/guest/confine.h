/* Restricts a container's process: its root directory, its devices and its limits. */
#ifndef BULKHEAD_CONFINE_H
#define BULKHEAD_CONFINE_H

#include "user.h"

/*
 * In new mount and UTS namespaces: makes `root` the root directory, with its own proc, sys and dev. `hosts` is the text of its
 * /etc/hosts; null for the image's.
 */
int enter_new_root(const char *root, const char *hostname, const char *hosts);
/* Applies the identity and the limits of a container: capabilities, system calls, resources. */
int confine_process(const struct identity *identity, unsigned long open_files);

#endif
