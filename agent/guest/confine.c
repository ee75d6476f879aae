#define _GNU_SOURCE
#include "confine.h"

#include <errno.h>
#include <fcntl.h>
#include <grp.h>
#include <linux/capability.h>
#include <stdio.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/sysmacros.h>
#include <unistd.h>

#include "devices.h"
#include "root_files.h"
#include "system_calls.h"

static const struct {
  const char *name;
  int major, minor;
} DEVICES[] = {{"null", 1, 3}, {"zero", 1, 5}, {"full", 1, 7}, {"random", 1, 8}, {"urandom", 1, 9}, {"tty", 5, 0}};

static const struct {
  const char *name, *target;
} LINKS[] = {{"ptmx", "pts/ptmx"}, {"fd", "/proc/self/fd"}, {"stdin", "/proc/self/fd/0"},
             {"stdout", "/proc/self/fd/1"}, {"stderr", "/proc/self/fd/2"}};

static int mount_devices(void) {
  if (mount("tmpfs", "dev", "tmpfs", MS_NOSUID, "mode=755,size=64m") || chdir("dev")) return -1;
  for (size_t i = 0; i < sizeof DEVICES / sizeof *DEVICES; i++) {
    if (mknod(DEVICES[i].name, S_IFCHR | 0666, makedev(DEVICES[i].major, DEVICES[i].minor))) return -1;
    chmod(DEVICES[i].name, 0666);
  }
  for (size_t i = 0; i < sizeof LINKS / sizeof *LINKS; i++) (void)!symlink(LINKS[i].target, LINKS[i].name);
  mkdir("pts", 0755);
  mkdir("shm", 01777);
  mkdir("mqueue", 0755);
  if (mount("devpts", "pts", "devpts", MS_NOSUID | MS_NOEXEC, "newinstance,ptmxmode=0666,mode=620,gid=5")) return -1;
  if (mount("shm", "shm", "tmpfs", MS_NOSUID | MS_NODEV | MS_NOEXEC, "mode=1777,size=64m")) return -1;
  if (mount("mqueue", "mqueue", "mqueue", MS_NOSUID | MS_NODEV | MS_NOEXEC, NULL)) return -1;
  return chdir("..");
}

static int write_host_name(const char *name) {
  char line[80];
  snprintf(line, sizeof line, "%s\n", name ? name : "");
  return write_text(ROOT_FILES "/hostname", line);
}

/*
 * pivot_root does not work on the initial root file system (initramfs), so the new root is moved on top of it. A process
 * that joins the namespace later gets the top root. A mount point is created only where the image lacks it, and never
 * through a link: mkdir does not follow a link in the last component, and the parent is the root itself.
 */
int enter_new_root(const char *root, const char *hostname, const char *hosts) {
  if (hostname && sethostname(hostname, strlen(hostname))) return -1;
  if (mount(NULL, "/", NULL, MS_REC | MS_PRIVATE, NULL) || chdir(root)) return -1;
  if (hosts && (write_text(ROOT_FILES "/hosts", hosts) || write_host_name(hostname))) return -1;
  bind_root_file(root, "resolv.conf", "/etc/resolv.conf");
  bind_root_file(root, "hosts", "/etc/hosts");
  bind_root_file(root, "hostname", "/etc/hostname");
  if (mount(".", "/", NULL, MS_MOVE, NULL) || chroot(".") || chdir("/")) return -1;
  mkdir("proc", 0555);
  mkdir("sys", 0555);
  mkdir("dev", 0755);
  if (mount("proc", "proc", "proc", MS_NOSUID | MS_NODEV | MS_NOEXEC, NULL)) return -1;
  if (mount("sysfs", "sys", "sysfs", MS_NOSUID | MS_NODEV | MS_NOEXEC | MS_RDONLY, NULL)) return -1;
  if (mount("cgroup2", "sys/fs/cgroup", "cgroup2", MS_NOSUID | MS_NODEV | MS_NOEXEC | MS_RDONLY, NULL)) return -1;
  return mount_devices();
}

/* As in the Default runtime (`capabilities.ts`). Without CAP_MKNOD, no process of the container can create a disk's node. */
static const int KEPT[] = {CAP_CHOWN,    CAP_DAC_OVERRIDE, CAP_FSETID,  CAP_FOWNER, CAP_NET_RAW,    CAP_SETGID, CAP_SETUID,
                           CAP_SETFCAP,  CAP_SETPCAP,      CAP_NET_BIND_SERVICE,    CAP_SYS_CHROOT, CAP_KILL,   CAP_AUDIT_WRITE};

static unsigned long long kept_mask(void) {
  unsigned long long mask = 0;
  for (size_t i = 0; i < sizeof KEPT / sizeof *KEPT; i++) mask |= 1ULL << KEPT[i];
  return mask;
}

static int set_limit(int resource, rlim_t most) { return setrlimit(resource, &(struct rlimit){most, most}); }

/* The cgroup limits the number of processes. The other limits are as in the Default runtime (`start-by-runc.c`). */
static int set_limits(rlim_t open_files) {
  return set_limit(RLIMIT_NOFILE, open_files) || set_limit(RLIMIT_CORE, 1) || set_limit(RLIMIT_NPROC, RLIM_INFINITY);
}

/* Leaves root only the capabilities in the list, and other users no capabilities. */
static int take_identity(const struct identity *identity) {
  unsigned long long mask = kept_mask();
  if (setgroups(identity->group_count, identity->groups) || setgid(identity->gid)) return -1;
  for (int cap = 0; cap < 64; cap++)
    if (!(mask >> cap & 1) && prctl(PR_CAPBSET_DROP, cap) && errno != EINVAL) return -1;
  if (setuid(identity->uid) || prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0)) return -1;
  if (identity->uid != 0) return 0;
  struct __user_cap_header_struct header = {_LINUX_CAPABILITY_VERSION_3, 0};
  __u32 low = mask & 0xffffffff, high = mask >> 32;
  struct __user_cap_data_struct data[2] = {{low, low, 0}, {high, high, 0}};
  return syscall(SYS_capset, &header, data);
}

int confine_process(const struct identity *identity, unsigned long open_files) {
  return set_limits(open_files) || take_identity(identity) || limit_system_calls() ? -1 : 0;
}
