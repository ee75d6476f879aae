/* Refuses system calls to the processes of a container. */
#ifndef BULKHEAD_SYSTEM_CALLS_H
#define BULKHEAD_SYSTEM_CALLS_H

#include <stddef.h>
#include <stdint.h>

/*
 * The calls of one architecture. `clone` is refused only with namespace flags. `clone3` fails with ENOSYS, because a filter
 * cannot read its flags.
 */
struct system_call_table {
  const uint32_t *denied;
  size_t count;
  uint32_t clone, clone3;
};
extern const struct system_call_table TABLE_32, TABLE_64;

/* Writes the filter in advance, so that processes that are forked later need not. Optional. Returns 0 or -errno. */
int prepare_system_call_filter(void);
/* Applies permanently to this process and its descendants. Needs no_new_privs. Returns 0, or -1 with errno. */
int limit_system_calls(void);

#endif
