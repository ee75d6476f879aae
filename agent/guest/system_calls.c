#define _GNU_SOURCE
#include "system_calls.h"

#include <errno.h>
#include <linux/audit.h>
#include <linux/filter.h>
#include <linux/seccomp.h>
#include <sched.h>
#include <stdbool.h>
#include <sys/prctl.h>

#define MAX_INSTRUCTIONS 256
#define MAX_EXCEPTIONS 96
/* A branch with at most this many numbers compares them one by one. */
#define MAX_LEAF 3
#define X32_BIT 0x40000000
#define NEW_NAMESPACES \
  (CLONE_NEWNS | CLONE_NEWCGROUP | CLONE_NEWUTS | CLONE_NEWIPC | CLONE_NEWUSER | CLONE_NEWPID | CLONE_NEWNET)
#define RETURN(value) (struct sock_filter)BPF_STMT(BPF_RET | BPF_K, value)
#define REFUSE(error) RETURN(SECCOMP_RET_ERRNO | (error))
#define LOAD(member) (struct sock_filter)BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(struct seccomp_data, member))
#define JUMP(condition, value, if_so, else_) (struct sock_filter)BPF_JUMP(BPF_JMP | (condition) | BPF_K, value, if_so, else_)

/* Offsets of the final instructions of a table's tree. */
enum ending { ALLOWED, REFUSED, MISSING, CLONE };
#define ENDINGS_LENGTH 7

struct exception {
  uint32_t number;
  enum ending ending;
};

static struct sock_filter code[MAX_INSTRUCTIONS];
static size_t length;

static void add(struct sock_filter instruction) {
  if (length < MAX_INSTRUCTIONS) code[length] = instruction;
  length++;
}

static size_t tree_length(size_t count) {
  return count <= MAX_LEAF ? count : 1 + tree_length(count / 2) + tree_length(count - count / 2);
}

/*
 * When a process installs a filter, the kernel runs it once for every system call of both architectures, to find the calls
 * that are always allowed. A binary search needs about ten steps for each call; a list would need one step for each exception.
 * Under emulation this saves milliseconds of every start.
 */
static void add_tree(const struct exception *exceptions, size_t count, size_t endings) {
  if (count > MAX_LEAF) {
    size_t low = count / 2;
    add(JUMP(BPF_JGE, exceptions[low].number, tree_length(low), 0));
    add_tree(exceptions, low, endings);
    add_tree(exceptions + low, count - low, endings);
    return;
  }
  for (size_t i = 0; i < count; i++) {
    size_t to_endings = endings - length - 1;
    size_t otherwise = i + 1 < count ? 0 : to_endings + ALLOWED;
    add(JUMP(BPF_JEQ, exceptions[i].number, to_endings + exceptions[i].ending, otherwise));
  }
}

static void add_endings(void) {
  add(RETURN(SECCOMP_RET_ALLOW));
  add(REFUSE(EPERM));
  add(REFUSE(ENOSYS));
  add(LOAD(args[0]));
  add(JUMP(BPF_JSET, NEW_NAMESPACES, 0, 1));
  add(REFUSE(EPERM));
  add(RETURN(SECCOMP_RET_ALLOW));
}

static size_t insert(struct exception *exceptions, size_t count, struct exception new) {
  size_t at = count;
  for (; at > 0 && exceptions[at - 1].number > new.number; at--) exceptions[at] = exceptions[at - 1];
  exceptions[at] = new;
  return count + 1;
}

/* The system calls of a table that are not simply allowed, in ascending order. */
static size_t sort_exceptions(const struct system_call_table *table, struct exception *exceptions) {
  size_t count = insert(exceptions, 0, (struct exception){table->clone, CLONE});
  count = insert(exceptions, count, (struct exception){table->clone3, MISSING});
  for (size_t i = 0; i < table->count; i++)
    count = insert(exceptions, count, (struct exception){table->denied[i], REFUSED});
  return count;
}

/* Adds the instructions for one architecture. Every path in them returns. */
static bool add_table(uint32_t architecture, const struct system_call_table *table) {
  struct exception exceptions[MAX_EXCEPTIONS];
  if (table->count + 2 > MAX_EXCEPTIONS) return false;
  size_t count = sort_exceptions(table, exceptions), tree = tree_length(count);
  add(LOAD(arch));
  add(JUMP(BPF_JEQ, architecture, 1, 0));
  add((struct sock_filter)BPF_JUMP(BPF_JMP | BPF_JA, 2 + tree + ENDINGS_LENGTH, 0, 0));
  add(LOAD(nr));
  add(JUMP(BPF_JGE, X32_BIT, tree + MISSING, 0));
  add_tree(exceptions, count, length + tree);
  add_endings();
  return true;
}

static bool write_filter(void) {
  length = 0;
  if (!add_table(AUDIT_ARCH_X86_64, &TABLE_64) || !add_table(AUDIT_ARCH_I386, &TABLE_32)) return false;
  add(REFUSE(ENOSYS));
  return length <= MAX_INSTRUCTIONS;
}

static bool prepared;

int prepare_system_call_filter(void) {
  if (!prepared && !write_filter()) return -E2BIG;
  prepared = true;
  return 0;
}

int limit_system_calls(void) {
  int problem = prepare_system_call_filter();
  if (problem) {
    errno = -problem;
    return -1;
  }
  struct sock_fprog filter = {length, code};
  return prctl(PR_SET_SECCOMP, SECCOMP_MODE_FILTER, &filter);
}
