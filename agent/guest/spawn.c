#define _GNU_SOURCE
#include "spawn.h"

#include <errno.h>
#include <fcntl.h>
#include <grp.h>
#include <limits.h>
#include <linux/magic.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <sys/statfs.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include "cgroup.h"
#include "confine.h"
#include "device_access.h"
#include "mask.h"
#include "program.h"
#include "sealed.h"
#include "system_calls.h"
#include "user.h"

#define DEFAULT_PATH "PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"
#define CONTAINER_NAMESPACES (CLONE_NEWPID | CLONE_NEWNS | CLONE_NEWUTS | CLONE_NEWIPC | CLONE_NEWCGROUP)

struct ends {
  int in[2], out[2], err[2];
  /* A process with a terminal opens it in its container, so that it has a name there, and sends the other end to this process. */
  int console[2];
  /* A successful exec closes this pipe. Otherwise it carries the reason for the failure. */
  int failure[2];
};

static int open_ends(struct fields fields, struct ends *ends) {
  *ends = (struct ends){{-1, -1}, {-1, -1}, {-1, -1}, {-1, -1}, {-1, -1}};
  if (pipe2(ends->failure, O_CLOEXEC)) return -errno;
  if (field(fields, "tty")) {
    return socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, ends->console) ? -errno : 0;
  }
  if (pipe2(ends->in, O_CLOEXEC) || pipe2(ends->out, O_CLOEXEC) || pipe2(ends->err, O_CLOEXEC)) return -errno;
  return 0;
}

static void close_if(int fd) {
  if (fd >= 0) close(fd);
}

static void close_all(const struct ends *ends) {
  for (int i = 0; i < 2; i++) {
    close_if(ends->in[i]);
    close_if(ends->out[i]);
    close_if(ends->err[i]);
    close_if(ends->console[i]);
    close_if(ends->failure[i]);
  }
}

static int send_descriptor(int socket, int fd) {
  char byte = 0, control[CMSG_SPACE(sizeof fd)] = {0};
  struct iovec data = {&byte, 1};
  struct msghdr message = {.msg_iov = &data, .msg_iovlen = 1, .msg_control = control, .msg_controllen = sizeof control};
  struct cmsghdr *header = CMSG_FIRSTHDR(&message);
  *header = (struct cmsghdr){.cmsg_len = CMSG_LEN(sizeof fd), .cmsg_level = SOL_SOCKET, .cmsg_type = SCM_RIGHTS};
  memcpy(CMSG_DATA(header), &fd, sizeof fd);
  return sendmsg(socket, &message, 0) == 1 ? 0 : -1;
}

static int receive_descriptor(int socket) {
  char byte, control[CMSG_SPACE(sizeof(int))];
  struct iovec data = {&byte, 1};
  struct msghdr message = {.msg_iov = &data, .msg_iovlen = 1, .msg_control = control, .msg_controllen = sizeof control};
  struct cmsghdr *header = recvmsg(socket, &message, MSG_CMSG_CLOEXEC | MSG_DONTWAIT) == 1 ? CMSG_FIRSTHDR(&message) : NULL;
  int fd = -1;
  if (header && header->cmsg_type == SCM_RIGHTS) memcpy(&fd, CMSG_DATA(header), sizeof fd);
  return fd;
}

/* Code of the container controls /dev, but it cannot unmount /dev/pts. */
static int open_terminal(struct fields fields, int console) {
  struct winsize size = {field_number(fields, "rows", 24), field_number(fields, "columns", 80), 0, 0};
  struct statfs info;
  int unlocked = 0, own = open("/dev/pts/ptmx", O_RDWR | O_NOCTTY | O_NOFOLLOW | O_NONBLOCK | O_CLOEXEC);
  if (own < 0 || fstatfs(own, &info) || info.f_type != DEVPTS_SUPER_MAGIC) return -1;
  if (ioctl(own, TIOCSPTLCK, &unlocked) || ioctl(own, TIOCSWINSZ, &size)) return -1;
  int terminal = ioctl(own, TIOCGPTPEER, O_RDWR | O_NOCTTY | O_CLOEXEC);
  if (terminal < 0 || send_descriptor(console, own)) return -1;
  close(own);
  return terminal;
}

static int use_ends(struct fields fields, const struct ends *ends) {
  setsid();
  if (ends->console[1] >= 0) {
    int terminal = open_terminal(fields, ends->console[1]);
    if (terminal < 0 || ioctl(terminal, TIOCSCTTY, 0)) return -1;
    for (int fd = 0; fd < 3; fd++) dup2(terminal, fd);
    return 0;
  }
  dup2(ends->in[0], 0);
  dup2(ends->out[1], 1);
  dup2(ends->err[1], 2);
  return 0;
}

/* The environment of the request, with defaults for PATH and HOME, and for TERM if there is a terminal. */
static char **complete_environment(struct fields fields, const char *home, bool tty) {
  char **given = field_list(fields, "env");
  size_t count = 0;
  bool path = false, has_home = false, term = false;
  for (; given[count]; count++) {
    path |= strncmp(given[count], "PATH=", 5) == 0;
    has_home |= strncmp(given[count], "HOME=", 5) == 0;
    term |= strncmp(given[count], "TERM=", 5) == 0;
  }
  char **all = realloc(given, (count + 4) * sizeof *all);
  static char home_variable[300];
  snprintf(home_variable, sizeof home_variable, "HOME=%s", home);
  if (!path) all[count++] = DEFAULT_PATH;
  if (!has_home) all[count++] = home_variable;
  if (!term && tty) all[count++] = "TERM=xterm";
  all[count] = NULL;
  return all;
}

static int failure_fd;
/* If not -1, this program runs instead of the first `arg`. */
static int program_fd = -1;

_Noreturn static void fail(const char *what, const char *name) {
  char text[400];
  snprintf(text, sizeof text, "%s%s%.200s: %s", what, name ? " " : "", name ? name : "", strerror(errno));
  report_start_failure(failure_fd, START_FAILED, text);
  _exit(125);
}

/* An image can configure a working directory that does not exist. As runc does, it is created for the main process. */
static void make_directories(const char *path) {
  char part[PATH_MAX];
  if (snprintf(part, sizeof part, "%s/", path) >= (int)sizeof part) return;
  for (char *slash = strchr(part + 1, '/'); slash; slash = strchr(slash + 1, '/')) {
    *slash = 0;
    mkdir(part, 0755);
    *slash = '/';
  }
}

_Noreturn static void become_program(struct fields fields, enum place place) {
  struct identity identity;
  int root = open("/", O_PATH | O_DIRECTORY | O_CLOEXEC);
  const char *user = field(fields, "user");
  int problem = lookup_identity(root, user, &identity);
  if (problem) {
    char text[400];
    explain_identity(problem, user, text, sizeof text);
    report_start_failure(failure_fd, START_FAILED, text);
    _exit(125);
  }
  const char *directory = field(fields, "cwd");
  if (directory && place == PLACE_NEW_CONTAINER) make_directories(directory);
  if (chdir(directory ? directory : "/")) fail("working directory", directory);
  /* As in runc: the user of the process can open its terminal. */
  if (field(fields, "tty")) (void)!fchown(0, identity.uid, -1);
  if (confine_process(&identity, field_number(fields, "open-files", 1024)))
    fail("limits of the process", NULL);
  char **arguments = field_list(fields, "arg");
  if (!arguments || !arguments[0]) fail("no program", NULL);
  char **environment = complete_environment(fields, identity.home, field(fields, "tty") != NULL);
  if (program_fd < 0) run_program(failure_fd, arguments, environment);
  fexecve(program_fd, arguments, environment);
  fail("cannot run", arguments[0]);
}

_Noreturn static void run_child(struct fields fields, enum place place, const struct ends *ends) {
  sigset_t none;
  sigemptyset(&none);
  sigprocmask(SIG_SETMASK, &none, NULL);
  signal(SIGPIPE, SIG_DFL);
  failure_fd = ends->failure[1];
  if (place == PLACE_NEW_CONTAINER && enter_new_root(ROOT_DIRECTORY, field(fields, "hostname"), field(fields, "hosts")))
    fail("root file system", NULL);
  if (place == PLACE_NEW_CONTAINER && mask_paths(fields)) fail("masked paths", NULL);
  if (use_ends(fields, ends)) fail("terminal", NULL);
  become_program(fields, place);
}

static pid_t raw_clone(unsigned long flags) { return syscall(SYS_clone, flags | SIGCHLD, 0, 0, 0, 0); }

/*
 * Joining a pid namespace takes effect for children only. Therefore an intermediate process joins, creates the process as its
 * sibling (CLONE_PARENT), reports the pid, and exits. Its exit is ignored, and signals reach only the created process.
 */
static pid_t spawn_in_container(struct fields fields, pid_t container, const struct ends *ends) {
  int pid_pipe[2];
  if (pipe2(pid_pipe, O_CLOEXEC)) return -errno;
  pid_t intermediate = fork();
  if (intermediate == 0) {
    int handle = syscall(SYS_pidfd_open, container, 0);
    if (field(fields, "probe") && (program_fd = sealed_copy("/proc/self/exe")) < 0) _exit(1);
    join_cgroup(CONTAINER_CGROUP);
    if (handle < 0 || setns(handle, CONTAINER_NAMESPACES)) _exit(1);
    pid_t pid = raw_clone(CLONE_PARENT);
    if (pid == 0) run_child(fields, PLACE_IN_CONTAINER, ends);
    if (pid > 0) (void)!write(pid_pipe[1], &pid, sizeof pid);
    _exit(0);
  }
  close(pid_pipe[1]);
  pid_t pid = -1;
  if (intermediate > 0 && read(pid_pipe[0], &pid, sizeof pid) != sizeof pid) pid = -1;
  close(pid_pipe[0]);
  if (intermediate > 0) waitpid(intermediate, NULL, 0);
  if (pid < 0) errno = ESRCH;
  return pid;
}

/*
 * The cgroup and its device limit are kept between containers. A rehearsal therefore already does the slowest part of a start:
 * the kernel verifies and compiles the limit's BPF program.
 */
static int limit_devices_once(void) {
  static bool limited;
  int problem = limited ? 0 : limit_devices(CONTAINER_CGROUP);
  limited = problem == 0;
  return problem;
}

static pid_t spawn_container(struct fields fields, const struct ends *ends) {
  make_cgroup(CONTAINER_CGROUP, field(fields, "memory"), field(fields, "pids"));
  int problem = limit_devices_once();
  if (problem) {
    errno = -problem;
    return -1;
  }
  int here = open("/sys/fs/cgroup/cgroup.procs", O_WRONLY | O_CLOEXEC);
  /* The root of a cgroup namespace is the cgroup of its first process. */
  join_cgroup(CONTAINER_CGROUP);
  pid_t pid = raw_clone(CONTAINER_NAMESPACES);
  if (pid == 0) run_child(fields, PLACE_NEW_CONTAINER, ends);
  if (here >= 0) {
    (void)!write(here, "0", 1);
    close(here);
  }
  return pid;
}

/* Waits until the program runs or has failed to start. */
static int failed(struct ends *ends, pid_t pid, char *why, size_t size) {
  close_if(ends->failure[1]);
  ends->failure[1] = -1;
  int problem = read_start_failure(ends->failure[0], why, size);
  if (problem) waitpid(pid, NULL, 0);
  return problem;
}

int spawn_child(struct fields fields, enum place place, pid_t container, struct child *child, char *why, size_t size) {
  struct ends ends;
  why[0] = 0;
  int problem = open_ends(fields, &ends);
  if (problem) {
    close_all(&ends);
    return problem;
  }
  prepare_system_call_filter();
  pid_t pid = place == PLACE_NEW_CONTAINER ? spawn_container(fields, &ends) : spawn_in_container(fields, container, &ends);
  problem = pid < 0 ? -errno : failed(&ends, pid, why, size);
  if (problem) {
    close_all(&ends);
    return problem;
  }
  bool tty = ends.console[0] >= 0;
  int terminal = tty ? receive_descriptor(ends.console[0]) : -1;
  *child = tty ? (struct child){pid, terminal, terminal, -1, true}
               : (struct child){pid, ends.in[1], ends.out[0], ends.err[0], false};
  close_if(ends.failure[0]);
  close_if(ends.console[0]);
  close_if(ends.console[1]);
  close_if(ends.in[0]);
  close_if(ends.out[1]);
  close_if(ends.err[1]);
  return 0;
}
