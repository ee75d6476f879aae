#include <asm/unistd_64.h>

#include "system_calls.h"

#define DENY(name) __NR_##name,
static const uint32_t DENIED_64[] = {
#include "denied.inc"
  __NR_kexec_file_load,
};
const struct system_call_table TABLE_64 = {DENIED_64, sizeof DENIED_64 / sizeof *DENIED_64, __NR_clone, __NR_clone3};
