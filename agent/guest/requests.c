#define _GNU_SOURCE
#include "requests.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/random.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/reboot.h>
#include <sys/utsname.h>
#include <time.h>
#include <unistd.h>

#include "channel.h"
#include "devices.h"
#include "layers.h"
#include "network.h"
#include "processes.h"
#include "spawn.h"
#include "streams.h"

/* A clone starts with the template's clock, and with the same random state as every other clone. */
static int wake(struct fields fields) {
  struct timespec now = {field_number(fields, "seconds", 0), field_number(fields, "nanoseconds", 0)};
  const char *entropy = field(fields, "entropy");
  if (now.tv_sec && clock_settime(CLOCK_REALTIME, &now)) return -errno;
  if (!entropy) return 0;
  int fd = open("/dev/urandom", O_RDWR | O_CLOEXEC);
  if (fd < 0) return -errno;
  struct {
    int bits, bytes;
    char data[256];
  } pool = {.bytes = strnlen(entropy, 256)};
  pool.bits = pool.bytes * 4;
  memcpy(pool.data, entropy, pool.bytes);
  int result = ioctl(fd, RNDADDENTROPY, &pool) || ioctl(fd, RNDRESEEDCRNG) ? -errno : 0;
  close(fd);
  return result;
}

/* A network device gets its driver only when the container needs a network. */
static int network(struct fields fields) {
  int problem = drive_network("bind");
  if (problem) return problem;
  const char *resolver = field(fields, "resolver");
  if (resolver) write_text(RESOLVER, resolver);
  return configure_network(field(fields, "mac"), field(fields, "address"), field(fields, "gateway"));
}

static int no_network(void) {
  unlink(RESOLVER);
  return drive_network("unbind");
}

static void respond(int id, int result, const char *data, size_t length) {
  int32_t code = result;
  size_t most = MAX_PAYLOAD - sizeof code, sent = 0;
  do {
    size_t part = length - sent > most ? most : length - sent;
    int more = sent + part < length ? FLAG_MORE : 0;
    channel_send_two(FRAME_RESPONSE, more, id, &code, sizeof code, data + sent, part);
    sent += part;
  } while (sent < length);
}

_Noreturn static void power_off(int id) {
  pid_t main_pid = streams_main_pid();
  if (main_pid > 0) kill(main_pid, SIGKILL);
  /* The kernel kills the namespace's processes after their first one exits; unmounting fails until then. */
  for (int tries = 0; layers_mounted() && unmount_layers(false) && tries < 200; tries++) {
    struct timespec pause = {0, 5000000};
    nanosleep(&pause, NULL);
  }
  sync();
  respond(id, 0, "", 0);
  reboot(RB_AUTOBOOT);
  for (;;) pause();
}

static void respond_uname(int id) {
  struct utsname names;
  char text[512];
  uname(&names);
  int length = snprintf(text, sizeof text, "%s\t%s\t%ld", names.release, names.version, sysconf(_SC_CLK_TCK));
  respond(id, 0, text, length);
}

static void respond_uptime(int id) {
  struct timespec up;
  char text[32];
  clock_gettime(CLOCK_BOOTTIME, &up);
  respond(id, 0, text, snprintf(text, sizeof text, "%ld.%03ld", (long)up.tv_sec, up.tv_nsec / 1000000));
}

/* Processes that do not fit in the channel's buffer are omitted, so that a container with many processes has no effect on others. */
static void respond_processes(int id) {
  static char list[3 * MAX_PAYLOAD];
  pid_t main_pid = streams_main_pid();
  if (main_pid <= 0) respond(id, -ESRCH, "", 0);
  else respond(id, 0, list, list_processes(main_pid, list, sizeof list));
}

static void respond_limits(int id) {
  char memory[32] = "", processes[32] = "", text[80];
  read_text(CONTAINER_CGROUP "/memory.max", memory, sizeof memory);
  read_text(CONTAINER_CGROUP "/pids.max", processes, sizeof processes);
  memory[strcspn(memory, "\n")] = processes[strcspn(processes, "\n")] = 0;
  respond(id, 0, text, snprintf(text, sizeof text, "%s\t%s", memory, processes));
}

void answer_request(int id, struct fields fields) {
  const char *name = field(fields, "request");
  if (!name) respond(id, -EINVAL, "", 0);
  else if (strcmp(name, "mount-layers") == 0) respond(id, mount_layers(), "", 0);
  else if (strcmp(name, "unmount-layers") == 0) respond(id, unmount_layers(field(fields, "keep-image") != NULL), "", 0);
  else if (strcmp(name, "wake") == 0) respond(id, wake(fields), "", 0);
  else if (strcmp(name, "network") == 0) respond(id, network(fields), "", 0);
  else if (strcmp(name, "no-network") == 0) respond(id, no_network(), "", 0);
  else if (strcmp(name, "processes") == 0) respond_processes(id);
  else if (strcmp(name, "uname") == 0) respond_uname(id);
  else if (strcmp(name, "limits") == 0) respond_limits(id);
  else if (strcmp(name, "uptime") == 0) respond_uptime(id);
  else if (strcmp(name, "rehearsed") == 0) respond(id, streams_forget_main(), "", 0);
  else if (strcmp(name, "sync") == 0) respond(id, (sync(), 0), "", 0);
  else if (strcmp(name, "power-off") == 0) power_off(id);
  else respond(id, -ENOSYS, "", 0);
}
