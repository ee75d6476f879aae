#define _GNU_SOURCE
#include "device_access.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/bpf.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/syscall.h>
#include <unistd.h>

#define ANY (-1)

static const struct {
  int major, minor;
} ALLOWED[] = {{1, 3}, {1, 5}, {1, 7}, {1, 8}, {1, 9}, /* null, zero, full, random, urandom */
               {5, 0}, {5, 2}, {136, ANY}};            /* tty, ptmx, pseudo-terminals */

enum { RESULT = BPF_REG_0, CONTEXT = BPF_REG_1, TYPE = BPF_REG_2, MAJOR = BPF_REG_3, MINOR = BPF_REG_4 };
#define TYPE_MASK 0xffff /* the rest of `access_type` is the kind of access */
#define MAX_INSTRUCTIONS (9 + 4 * sizeof ALLOWED / sizeof *ALLOWED)

static struct bpf_insn program[MAX_INSTRUCTIONS];
static int count;

static void add(int code, int to, int from, int offset, int value) {
  program[count++] = (struct bpf_insn){code, to, from, offset, value};
}

static void load(int to, int offset) { add(BPF_LDX | BPF_W | BPF_MEM, to, CONTEXT, offset, 0); }
static void skip_unless(int of, int value, int skipped) { add(BPF_JMP | BPF_JNE | BPF_K, of, 0, skipped, value); }

static void answer(int value) {
  add(BPF_ALU64 | BPF_MOV | BPF_K, RESULT, 0, 0, value);
  add(BPF_JMP | BPF_EXIT, 0, 0, 0, 0);
}

/* Allows the character devices above. Refuses all others, and every block device. */
static void write_program(void) {
  count = 0;
  load(TYPE, offsetof(struct bpf_cgroup_dev_ctx, access_type));
  add(BPF_ALU | BPF_AND | BPF_K, TYPE, 0, 0, TYPE_MASK);
  load(MAJOR, offsetof(struct bpf_cgroup_dev_ctx, major));
  load(MINOR, offsetof(struct bpf_cgroup_dev_ctx, minor));
  add(BPF_JMP | BPF_JEQ | BPF_K, TYPE, 0, 2, BPF_DEVCG_DEV_CHAR);
  answer(0);
  for (size_t i = 0; i < sizeof ALLOWED / sizeof *ALLOWED; i++) {
    skip_unless(MAJOR, ALLOWED[i].major, ALLOWED[i].minor == ANY ? 2 : 3);
    if (ALLOWED[i].minor != ANY) skip_unless(MINOR, ALLOWED[i].minor, 2);
    answer(1);
  }
  answer(0);
}

static int attach(int cgroup, int loaded) {
  union bpf_attr attributes = {0};
  attributes.target_fd = cgroup;
  attributes.attach_bpf_fd = loaded;
  attributes.attach_type = BPF_CGROUP_DEVICE;
  return syscall(SYS_bpf, BPF_PROG_ATTACH, &attributes, sizeof attributes) ? -errno : 0;
}

int limit_devices(const char *cgroup_path) {
  write_program();
  union bpf_attr attributes = {0};
  attributes.prog_type = BPF_PROG_TYPE_CGROUP_DEVICE;
  attributes.insns = (uintptr_t)program;
  attributes.insn_cnt = count;
  attributes.license = (uintptr_t) "";
  int cgroup = open(cgroup_path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
  if (cgroup < 0) return -errno;
  int loaded = syscall(SYS_bpf, BPF_PROG_LOAD, &attributes, sizeof attributes);
  int problem = loaded < 0 ? -errno : attach(cgroup, loaded);
  if (loaded >= 0) close(loaded);
  close(cgroup);
  return problem;
}
