/* A separate file, because both architectures use the same names for different numbers. */
#include <asm/unistd_32.h>

#include "system_calls.h"

#define DENY(name) __NR_##name,
static const uint32_t DENIED_32[] = {
#include "denied.inc"
  __NR_clock_settime64, __NR_stime, __NR_umount, __NR_vm86, __NR_vm86old,
};
const struct system_call_table TABLE_32 = {DENIED_32, sizeof DENIED_32 / sizeof *DENIED_32, __NR_clone, __NR_clone3};
