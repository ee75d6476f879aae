/* Which system calls the processes of a container are refused. */
#ifndef BULKHEAD_SYSTEM_CALLS_H
#define BULKHEAD_SYSTEM_CALLS_H

#include <stddef.h>
#include <stdint.h>

/* Of one architecture. `clone` is refused for new namespaces only; `clone3`, whose flags no filter sees, is not there. */
struct system_call_table {
  const uint32_t *denied;
  size_t count;
  uint32_t clone, clone3;
};
extern const struct system_call_table TABLE_32, TABLE_64;

/* Writes the filter, which processes that are forked later then have. Needed only to save their time. Returns 0 or -errno. */
int prepare_system_call_filter(void);
/* For this process and all that come of it, for good. Needs no_new_privs. Returns 0, or -1 with errno. */
int limit_system_calls(void);

#endif
