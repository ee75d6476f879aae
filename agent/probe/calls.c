/* System calls that allow container escapes or load code into the kernel. Each call is harmless if it succeeds. */
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <linux/bpf.h>
#include <linux/io_uring.h>
#include <linux/keyctl.h>
#include <linux/perf_event.h>
#include <linux/userfaultfd.h>
#include <sched.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include "probe.h"

static long close_if(long fd) {
  if (fd >= 0) close(fd);
  return fd;
}

/* In a child process, so that this process keeps its namespaces. */
static long in_child(int flag) {
  pid_t child = fork();
  if (child == 0) _exit(unshare(flag) == 0 ? 0 : errno);
  int status = 0;
  if (child < 0 || waitpid(child, &status, 0) < 0) return -1;
  errno = WIFEXITED(status) ? WEXITSTATUS(status) : EPERM;
  return errno ? -1 : 0;
}

static void probe_new_namespaces(void) {
  static const struct {
    const char *name;
    int flag;
  } kinds[] = {{"user", CLONE_NEWUSER}, {"mount", CLONE_NEWNS}, {"network", CLONE_NEWNET}, {"pid", CLONE_NEWPID},
               {"user with network", CLONE_NEWUSER | CLONE_NEWNET}};
  bool reached = false;
  for (size_t i = 0; i < sizeof kinds / sizeof *kinds; i++) reached |= tried(kinds[i].name, in_child(kinds[i].flag));
  report_reached("new-namespaces", reached);
}

static void probe_join_namespace(void) {
  int fd = open("/proc/self/ns/uts", O_RDONLY | O_CLOEXEC);
  report_reached("join-namespaces", tried("setns", fd < 0 ? -1 : setns(fd, CLONE_NEWUTS)));
  close_if(fd);
}

/* The thread's keyring is deleted with the thread. */
static void probe_keyrings(void) {
  bool reached = tried("add_key", syscall(SYS_add_key, "user", "bulkhead-probe", "x", 1, KEY_SPEC_THREAD_KEYRING));
  reached |= tried("keyctl", syscall(SYS_keyctl, KEYCTL_GET_KEYRING_ID, KEY_SPEC_USER_KEYRING, 0));
  reached |= tried("request_key", syscall(SYS_request_key, "user", "bulkhead-probe", NULL, 0));
  report_reached("keyrings", reached);
}

static void probe_bpf(void) {
  union bpf_attr map = {.map_type = BPF_MAP_TYPE_ARRAY, .key_size = 4, .value_size = 4, .max_entries = 1};
  report_reached("bpf", tried("bpf", close_if(syscall(SYS_bpf, BPF_MAP_CREATE, &map, sizeof map))));
}

static void probe_perf(void) {
  struct perf_event_attr event = {.type = PERF_TYPE_SOFTWARE, .size = sizeof event, .config = PERF_COUNT_SW_CPU_CLOCK};
  bool reached = tried("of all", close_if(syscall(SYS_perf_event_open, &event, -1, 0, -1, 0)));
  reached |= tried("own", close_if(syscall(SYS_perf_event_open, &event, 0, -1, -1, 0)));
  report_reached("perf-events", reached);
}

/* The arguments are invalid on purpose. A kernel that reports an error about them has not refused the call. */
static bool allowed(const char *what, long result) {
  bool reached = result >= 0 || (errno != EPERM && errno != ENOSYS && errno != EACCES);
  tried(what, result);
  return reached;
}

static void probe_modules(void) {
  bool reached = allowed("init_module", syscall(SYS_init_module, NULL, 0, ""));
  reached |= allowed("finit_module", syscall(SYS_finit_module, -1, "", 0));
  reached |= allowed("delete_module", syscall(SYS_delete_module, "bulkhead-probe", O_NONBLOCK));
  reached |= allowed("kexec_load", syscall(SYS_kexec_load, 0, 0, NULL, 0xffffUL));
  report_reached("kernel-code", reached);
}

static void probe_handles(void) {
  struct {
    struct file_handle handle;
    char bytes[8];
  } root = {.handle = {.handle_bytes = 8, .handle_type = 1}};
  int mount = open("/", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
  report_reached("file-handles", allowed("open_by_handle_at", close_if(syscall(SYS_open_by_handle_at, mount, &root, O_RDONLY))));
  close_if(mount);
}

static void probe_new_interfaces(void) {
  struct io_uring_params ring = {0};
  report_reached("io-uring", tried("io_uring_setup", close_if(syscall(SYS_io_uring_setup, 1, &ring))));
  report_reached("userfaultfd", tried("userfaultfd", close_if(syscall(SYS_userfaultfd, O_CLOEXEC | UFFD_USER_MODE_ONLY))));
}

void probe_calls(void) {
  probe_new_namespaces();
  probe_join_namespace();
  probe_keyrings();
  probe_bpf();
  probe_perf();
  probe_modules();
  probe_handles();
  probe_new_interfaces();
}
