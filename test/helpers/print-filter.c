/*
 * Prints the filter that the guest's system_calls.c installs, and its source tables:
 * `table <architecture> <clone> <clone3> <denied> ...` for each table, `<code> <if so> <else> <value>` for each instruction.
 */
#include <linux/audit.h>
#include <linux/filter.h>
#include <stdarg.h>
#include <stdio.h>

#include "../../agent/guest/system_calls.h"

/* Replaces the function of the C library. */
int prctl(int option, ...) {
  va_list arguments;
  va_start(arguments, option);
  (void)va_arg(arguments, int);
  const struct sock_fprog *filter = va_arg(arguments, const struct sock_fprog *);
  va_end(arguments);
  for (int i = 0; i < filter->len; i++)
    printf("%u %u %u %u\n", filter->filter[i].code, filter->filter[i].jt, filter->filter[i].jf, filter->filter[i].k);
  return 0;
}

static void print_table(unsigned architecture, const struct system_call_table *table) {
  printf("table %u %u %u", architecture, table->clone, table->clone3);
  for (size_t i = 0; i < table->count; i++) printf(" %u", table->denied[i]);
  printf("\n");
}

int main(void) {
  print_table(AUDIT_ARCH_X86_64, &TABLE_64);
  print_table(AUDIT_ARCH_I386, &TABLE_32);
  return limit_system_calls() ? 1 : 0;
}
