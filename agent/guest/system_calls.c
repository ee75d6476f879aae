#define _GNU_SOURCE
#include "system_calls.h"

#include <errno.h>
#include <linux/audit.h>
#include <linux/filter.h>
#include <linux/seccomp.h>
#include <sched.h>
#include <sys/prctl.h>

#define MAX_INSTRUCTIONS 512
#define X32_BIT 0x40000000
#define NEW_NAMESPACES \
  (CLONE_NEWNS | CLONE_NEWCGROUP | CLONE_NEWUTS | CLONE_NEWIPC | CLONE_NEWUSER | CLONE_NEWPID | CLONE_NEWNET)
#define ALLOW BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW)
#define REFUSE(error) BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ERRNO | (error))
#define LOAD(member) BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(struct seccomp_data, member))
#define SKIP_UNLESS(condition, value, count) BPF_JUMP(BPF_JMP | (condition) | BPF_K, value, 0, count)

struct program {
  struct sock_filter code[MAX_INSTRUCTIONS];
  size_t length;
};

static void add(struct program *program, struct sock_filter instruction) {
  if (program->length < MAX_INSTRUCTIONS) program->code[program->length] = instruction;
  program->length++;
}

/* What follows is for calls of that architecture alone; every path in it returns. */
static void add_table(struct program *program, uint32_t architecture, const struct system_call_table *table) {
  size_t length = 10 + 2 * table->count;
  add(program, (struct sock_filter)LOAD(arch));
  add(program, (struct sock_filter)BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, architecture, 1, 0));
  add(program, (struct sock_filter)BPF_JUMP(BPF_JMP | BPF_JA, length, 0, 0));
  add(program, (struct sock_filter)LOAD(nr));
  add(program, (struct sock_filter)SKIP_UNLESS(BPF_JGE, X32_BIT, 1));
  add(program, (struct sock_filter)REFUSE(ENOSYS));
  add(program, (struct sock_filter)SKIP_UNLESS(BPF_JEQ, table->clone3, 1));
  add(program, (struct sock_filter)REFUSE(ENOSYS));
  for (size_t i = 0; i < table->count; i++) {
    add(program, (struct sock_filter)SKIP_UNLESS(BPF_JEQ, table->denied[i], 1));
    add(program, (struct sock_filter)REFUSE(EPERM));
  }
  add(program, (struct sock_filter)SKIP_UNLESS(BPF_JEQ, table->clone, 3));
  add(program, (struct sock_filter)LOAD(args[0]));
  add(program, (struct sock_filter)SKIP_UNLESS(BPF_JSET, NEW_NAMESPACES, 1));
  add(program, (struct sock_filter)REFUSE(EPERM));
  add(program, (struct sock_filter)ALLOW);
}

int limit_system_calls(void) {
  struct program program = {.length = 0};
  add_table(&program, AUDIT_ARCH_X86_64, &TABLE_64);
  add_table(&program, AUDIT_ARCH_I386, &TABLE_32);
  add(&program, (struct sock_filter)REFUSE(ENOSYS));
  if (program.length > MAX_INSTRUCTIONS) {
    errno = E2BIG;
    return -1;
  }
  struct sock_fprog filter = {program.length, program.code};
  return prctl(PR_SET_SECCOMP, SECCOMP_MODE_FILTER, &filter);
}
