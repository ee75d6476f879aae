/* A root of its own for a process: an empty tmpfs, and what is put into it by names relative to it. */
#ifndef BULKHEAD_JAIL_H
#define BULKHEAD_JAIL_H

/* Mounts the jail at that directory and goes there. The mount namespace must be private to this process. */
void open_jail(const char *directory);
void bind_directory(const char *source, const char *target, unsigned long flags);
/* /usr, read-only, and the libraries of systems that have not merged it. */
void bind_programs(void);
void make_device(const char *name, int major, int minor);
/* Makes the jail the root. Nothing else is left. */
void close_jail(void);

#endif
