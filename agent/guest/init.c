/*
 * The first process of a utility VM: loads the drivers, then serves the host over one virtio serial port.
 *
 * The host can disconnect and reconnect, for example when its agent restarts. The container's main process then continues,
 * its newest output is kept, and every other stream ends. This process never blocks on the host in a system call.
 */
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/mount.h>
#include <sys/signalfd.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "../probe/probe.h"
#include "channel.h"
#include "devices.h"
#include "layers.h"
#include "network.h"
#include "requests.h"
#include "streams.h"

#define PORT "/dev/vport0p1"
#define RESERVE "/proc/sys/vm/min_free_kbytes"
#define MOST_RESERVE_KB 8192
#define MOST_RESERVE "8192"
#define MODULE_ORDER "/modules/order"
/* In case the kernel does not notify this process that the host has reconnected. */
#define ABSENT_HOST_POLL_MS 1000

static bool connected;

static void mount_own(void) {
  static const char *const directories[] = {"/proc", "/sys", "/dev", "/run", "/base", "/rw", ROOT_DIRECTORY};
  for (size_t i = 0; i < sizeof directories / sizeof *directories; i++) mkdir(directories[i], 0755);
  mount("proc", "/proc", "proc", MS_NOSUID | MS_NODEV | MS_NOEXEC, NULL);
  mount("sysfs", "/sys", "sysfs", MS_NOSUID | MS_NODEV | MS_NOEXEC, NULL);
  mount("devtmpfs", "/dev", "devtmpfs", MS_NOSUID, "mode=0755");
  mkdir("/dev/pts", 0755);
  mount("devpts", "/dev/pts", "devpts", 0, "ptmxmode=0666,mode=620");
  mount("tmpfs", "/run", "tmpfs", MS_NOSUID | MS_NODEV, "mode=0755");
  mkdir(ROOT_FILES, 0755);
  mount("tmpfs", ROOT_FILES, "tmpfs", MS_NOSUID | MS_NODEV | MS_NOEXEC, ROOT_FILES_OPTIONS);
  mount("cgroup2", "/sys/fs/cgroup", "cgroup2", MS_NOSUID | MS_NODEV | MS_NOEXEC, NULL);
  if (access("/dev/ptmx", F_OK)) (void)!symlink("pts/ptmx", "/dev/ptmx");
  int control = open("/sys/fs/cgroup/cgroup.subtree_control", O_WRONLY | O_CLOEXEC);
  if (control < 0) return;
  (void)!write(control, "+memory +pids", 13);
  close(control);
}

/*
 * The kernel reserves tens of megabytes for transparent huge pages in larger VMs. The container's memory limit must be reached
 * before the rest of the memory is exhausted.
 */
static void limit_reserve(void) {
  char reserve[32];
  if (read_text(RESERVE, reserve, sizeof reserve) && atoi(reserve) > MOST_RESERVE_KB) write_text(RESERVE, MOST_RESERVE);
}

static void set_autoprobe(const char *value) {
  int fd = open("/sys/bus/virtio/drivers_autoprobe", O_WRONLY | O_CLOEXEC);
  if (fd < 0 || write(fd, value, 1) != 1) fprintf(stderr, "bulkhead: autoprobe: %s\n", strerror(errno));
  if (fd >= 0) close(fd);
}

static void load_module(const char *name) {
  char path[128];
  /* The network gets its driver when the container needs it; other devices get it immediately. */
  bool later = strcmp(name, "virtio_net") == 0;
  if (later) set_autoprobe("0");
  snprintf(path, sizeof path, "/modules/%s.ko", name);
  int fd = open(path, O_RDONLY | O_CLOEXEC);
  if (fd < 0 || (syscall(SYS_finit_module, fd, "", 0) && errno != EEXIST))
    fprintf(stderr, "bulkhead: module %s: %s\n", name, strerror(errno));
  if (fd >= 0) close(fd);
  if (later) set_autoprobe("1");
}

static void load_modules(void) {
  FILE *order = fopen(MODULE_ORDER, "re");
  char name[64];
  while (order && fscanf(order, "%63s", name) == 1) load_module(name);
  if (order) fclose(order);
}

static int open_port(void) {
  int fd = -1;
  for (int tries = 0; tries < 5000 && (fd = open(PORT, O_RDWR | O_NONBLOCK | O_CLOEXEC)) < 0; tries++) {
    struct timespec pause = {0, 1000000};
    nanosleep(&pause, NULL);
  }
  return fd;
}

static int start_in_guest(int stream, struct fields fields, struct child *child, char *why, size_t size) {
  if (stream == MAIN_STREAM)
    return layers_mounted() ? spawn_child(fields, PLACE_NEW_CONTAINER, -1, child, why, size) : -ENODEV;
  pid_t container = streams_main_pid();
  return container > 0 ? spawn_child(fields, PLACE_IN_CONTAINER, container, child, why, size) : -ESRCH;
}

static void send_hello(const char *nonce) {
  struct timespec up;
  clock_gettime(CLOCK_MONOTONIC, &up);
  char text[256];
  int length = snprintf(text, sizeof text, "version=%d%cmounted=%d%cmain=%d%cexit=%d%csignal=%d%coom=%d%cuptime=%ld.%03ld%c",
                        PROTOCOL_VERSION, 0, layers_mounted(), 0, streams_main_state(), 0, streams_main_exit_code(), 0,
                        streams_main_signal(), 0, streams_main_out_of_memory(), 0, (long)up.tv_sec, up.tv_nsec / 1000000, 0);
  channel_send_two(FRAME_HELLO, 0, 0, nonce, NONCE_BYTES, text, length);
}

static void handle_frame(int type, int flags, int stream, const char *payload, uint32_t length) {
  if (type == FRAME_CONNECT && length == NONCE_BYTES) {
    connected = true;
    streams_connected();
    send_hello(payload);
  } else if (!connected) {
    return;
  } else if (type == FRAME_REQUEST) {
    answer_request(stream, (struct fields){payload, payload + length});
  } else {
    streams_frame(type, flags, stream, payload, length);
  }
}

static void disconnect(void) {
  connected = false;
  channel_reset();
  streams_disconnected();
}

static void reap(int signals) {
  struct signalfd_siginfo info;
  while (read(signals, &info, sizeof info) > 0) {
  }
  int status;
  for (pid_t pid; (pid = waitpid(-1, &status, WNOHANG)) > 0;) streams_child_ended(pid, status);
}

/* A port whose host is disconnected is always ready (POLLHUP). The returned descriptor is ready once for each change. */
static int watch_changes(int port) {
  int changes = epoll_create1(EPOLL_CLOEXEC);
  struct epoll_event event = {.events = EPOLLIN | EPOLLET};
  epoll_ctl(changes, EPOLL_CTL_ADD, port, &event);
  return changes;
}

static void serve(int port, int signals) {
  static struct pollfd polled[2 + 3 * MAX_STREAMS];
  int changes = watch_changes(port);
  struct epoll_event seen;
  bool present = true;
  for (;;) {
    short wanted = POLLIN | (channel_wants_write() ? POLLOUT : 0);
    polled[0] = present ? (struct pollfd){port, wanted, 0} : (struct pollfd){changes, POLLIN, 0};
    polled[1] = (struct pollfd){signals, POLLIN, 0};
    int count = streams_poll(polled, 2);
    if (poll(polled, count, present ? -1 : ABSENT_HOST_POLL_MS) < 0 && errno != EINTR) abort();
    if (!present) epoll_wait(changes, &seen, 1, 0);
    struct pollfd now = {port, POLLIN, 0};
    poll(&now, 1, 0);
    bool was_present = present;
    present = !(now.revents & POLLHUP);
    if (was_present && !present) disconnect();
    if (present && !channel_read(handle_frame)) disconnect();
    if (present) channel_flush();
    reap(signals);
    streams_move();
  }
}

int main(int count, char **arguments) {
  if (count > 1 && strcmp(arguments[1], "probe") == 0) return probe(arguments + 2);
  signal(SIGPIPE, SIG_IGN);
  mount_own();
  load_modules();
  limit_reserve();
  bring_up_loopback();
  int port = open_port();
  if (port < 0) {
    fprintf(stderr, "bulkhead: %s: %s\n", PORT, strerror(errno));
    return 1;
  }
  sigset_t child;
  sigemptyset(&child);
  sigaddset(&child, SIGCHLD);
  sigprocmask(SIG_BLOCK, &child, NULL);
  int signals = signalfd(-1, &child, SFD_CLOEXEC | SFD_NONBLOCK);
  channel_open(port, port);
  streams_begin(start_in_guest);
  serve(port, signals);
}
