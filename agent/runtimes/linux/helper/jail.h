/* A separate root directory for a process: an empty tmpfs, to which files are added with relative paths. */
#ifndef BULKHEAD_JAIL_H
#define BULKHEAD_JAIL_H

/* Mounts the jail at that directory and changes to it. The mount namespace must be private to this process. */
void open_jail(const char *directory);
void bind_directory(const char *source, const char *target, unsigned long flags);
/* Adds /usr (read-only), and the library directories of systems without merged /usr. */
void bind_programs(void);
void make_device(const char *name, int major, int minor);
/* Makes the jail the root directory and unmounts the old root. */
void close_jail(void);

#endif
