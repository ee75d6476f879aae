/*
 * launch-vm uid=N run=DIR disks=DIR boot=DIR router=PATH tap=NAME preload=PATH [ram=PATH state=PATH] [nice=N] [cgroup=DIR]... -- program args...
 *
 * Becomes the worker process of a utility VM. While still root, it opens the sockets, the tap device and the template at the
 * descriptors below. Then it enters a jail and drops all privileges. Prints `<pid>` once the sockets accept connections. The
 * program answers them later.
 *
 * The jail is in a separate mount namespace, so it is removed with the process. It contains /usr, /boot (kernel), /disks, /vm,
 * and the devices null, urandom and kvm. The network namespace is also separate, and empty: the tap device is only a descriptor,
 * and its interface is in the namespace `router`.
 */
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <grp.h>
#include <linux/if_tun.h>
#include <net/if.h>
#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mount.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>
#include <sys/un.h>
#include <unistd.h>

#include "descriptors.h"
#include "helper.h"
#include "jail.h"

static void place(int fd, int number, const char *what) {
  if (fd < 0) die("open", what);
  if (fd == number) return;
  if (dup2(fd, number) < 0) die("descriptor", what);
  close(fd);
}

static void listen_at(const char *directory, const char *name, int number) {
  struct sockaddr_un address = {.sun_family = AF_UNIX};
  char *path = join_path(directory, name);
  if (strlen(path) >= sizeof address.sun_path) {
    errno = ENAMETOOLONG;
    die("socket", path);
  }
  strcpy(address.sun_path, path);
  unlink(path);
  int fd = socket(AF_UNIX, SOCK_STREAM, 0);
  if (fd < 0 || bind(fd, (struct sockaddr *)&address, sizeof address) || chmod(path, 0600) || listen(fd, 4))
    die("socket", path);
  place(fd, number, path);
}

/* Leaves this process in an empty network namespace, without descriptors of other namespaces. */
static void open_tap(const char *router, const char *name) {
  int namespace = open(router, O_RDONLY | O_CLOEXEC);
  if (namespace < 0 || setns(namespace, CLONE_NEWNET)) die("namespace", router);
  close(namespace);
  struct ifreq request = {.ifr_flags = IFF_TAP | IFF_NO_PI | IFF_VNET_HDR};
  int fd = open("/dev/net/tun", O_RDWR);
  if (fd < 0) die("open", "/dev/net/tun");
  snprintf(request.ifr_name, sizeof request.ifr_name, "%s", name);
  if (ioctl(fd, TUNSETIFF, &request)) die("tap", name);
  place(fd, TAP_FD, name);
  if (unshare(CLONE_NEWNET)) die("namespace", NULL);
}

static void join_cgroups(char **arguments) {
  int from = 0;
  for (const char *cgroup; (cgroup = next_argument(arguments, &from, "cgroup"));) {
    char *path = join_path(cgroup, "cgroup.procs");
    int fd = open(path, O_WRONLY | O_CLOEXEC);
    if (fd < 0 || write(fd, "0", 1) != 1) die("cgroup", path);
    close(fd);
  }
}

static void enter_jail(char **arguments) {
  const char *run = argument(arguments, "run");
  char *jail = join_path(run, "jail");
  if (unshare(CLONE_NEWNS) || mount(NULL, "/", NULL, MS_REC | MS_PRIVATE, NULL)) die("namespace", NULL);
  if (mkdir(jail, 0755) && errno != EEXIST) die("jail", jail);
  open_jail(jail);
  bind_programs();
  bind_directory(argument(arguments, "boot"), "boot", MS_RDONLY | MS_NOEXEC | MS_NODEV);
  bind_directory(argument(arguments, "disks"), "disks", MS_NOEXEC | MS_NODEV);
  bind_directory(run, "vm", MS_NOEXEC | MS_NODEV);
  if (mkdir("dev", 0755) || mkdir("proc", 0555)) die("jail", "dev");
  make_device("dev/null", 1, 3);
  make_device("dev/urandom", 1, 9);
  struct stat kvm;
  if (stat("/dev/kvm", &kvm) == 0) make_device("dev/kvm", major(kvm.st_rdev), minor(kvm.st_rdev));
  if (mount("proc", "proc", "proc", MS_NOSUID | MS_NODEV | MS_NOEXEC, "hidepid=2")) die("jail", "proc");
  close_jail();
}

void drop_privileges(uid_t uid) {
  for (int capability = 0; prctl(PR_CAPBSET_READ, capability) >= 0; capability++)
    if (prctl(PR_CAPBSET_DROP, capability)) die("capabilities", NULL);
  if (setgroups(0, NULL) || setresgid(uid, uid, uid) || setresuid(uid, uid, uid)) die("user", NULL);
  if (prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0)) die("user", NULL);
}

int launch_vm(char **arguments) {
  const char *run = argument(arguments, "run");
  const char *ram = optional_argument(arguments, "ram"), *state = optional_argument(arguments, "state");
  const char *preload = argument(arguments, "preload");
  const char *nice_value = optional_argument(arguments, "nice");
  char **program = operands(arguments);
  uid_t uid = strtoul(argument(arguments, "uid"), NULL, 10);
  if (uid == 0) {
    errno = EINVAL;
    die("uid", NULL);
  }
  setsid();
  umask(077);
  /* First, because a socket from the host's namespace could be used to query that namespace. */
  open_tap(argument(arguments, "router"), argument(arguments, "tap"));
  listen_at(run, "channel.sock", CHANNEL_FD);
  listen_at(run, "qmp.sock", QMP_FD);
  listen_at(run, "console.sock", CONSOLE_FD);
  if (ram) place(open(ram, O_RDWR), RAM_FD, ram);
  if (state) place(open(state, O_RDONLY), STATE_FD, state);
  place(open(preload, O_RDONLY), PRELOAD_FD, preload);
  int errors = open(join_path(run, "stderr.log"), O_WRONLY | O_CREAT | O_TRUNC | O_APPEND | O_CLOEXEC, 0600);
  if (errors < 0) die("open", "stderr.log");
  join_cgroups(arguments);
  if (nice_value && setpriority(PRIO_PROCESS, 0, atoi(nice_value))) die("priority", nice_value);
  umask(022);
  enter_jail(arguments);
  drop_privileges(uid);
  printf("%d\n", getpid());
  fflush(stdout);
  int null = open("/dev/null", O_RDWR);
  dup2(null, 0);
  dup2(null, 1);
  dup2(errors, 2);
  close_range(LAST_FD, ~0U, 0);
  for (int fd = 3; fd < CHANNEL_FD; fd++) close(fd);
  char library[64];
  /* GLib's own allocator would keep freed memory, which the library returns when the VM is idle. */
  /* Loaded from a descriptor, because only files under /usr are executable in the jail. */
  snprintf(library, sizeof library, "LD_PRELOAD=/proc/self/fd/%d", PRELOAD_FD);
  char *const environment[] = {"PATH=/usr/bin", "G_SLICE=always-malloc", library, NULL};
  execve(program[0], program, environment);
  die("run", program[0]);
}
