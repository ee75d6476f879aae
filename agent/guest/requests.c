#define _GNU_SOURCE
#include "requests.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <linux/random.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mount.h>
#include <sys/reboot.h>
#include <sys/stat.h>
#include <sys/utsname.h>
#include <time.h>
#include <unistd.h>

#include "channel.h"
#include "network.h"
#include "processes.h"
#include "spawn.h"
#include "streams.h"

#define VIRTIO_NETWORK 1
#define VIRTIO_BLOCK 2

static int mounted;
int layers_mounted(void) { return mounted; }

static int write_text(const char *path, const char *text) {
  int fd = open(path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0644);
  if (fd < 0) return -errno;
  int result = write(fd, text, strlen(text)) < 0 ? -errno : 0;
  close(fd);
  return result;
}

static int read_text(const char *path, char *text, size_t size) {
  int fd = open(path, O_RDONLY | O_CLOEXEC);
  ssize_t got = fd < 0 ? -1 : read(fd, text, size - 1);
  if (fd >= 0) close(fd);
  text[got > 0 ? got : 0] = 0;
  return got > 0;
}

/* Gives every virtio device of that kind to its driver (`bind`), or takes it away (`unbind`). */
static int each_device(int wanted, const char *driver, const char *action) {
  DIR *devices = opendir("/sys/bus/virtio/devices");
  int result = devices ? 0 : -errno;
  for (struct dirent *entry; devices && (entry = readdir(devices));) {
    char path[300], kind[32];
    snprintf(path, sizeof path, "/sys/bus/virtio/devices/%s/device", entry->d_name);
    if (!read_text(path, kind, sizeof kind) || strtol(kind, NULL, 16) != wanted) continue;
    snprintf(path, sizeof path, "/sys/bus/virtio/drivers/%s/%s", driver, action);
    int problem = write_text(path, entry->d_name);
    if (problem && problem != -EBUSY && problem != -ENODEV) result = problem;
  }
  if (devices) closedir(devices);
  return result;
}

/* Disks stay without their driver until they are the container's own: the kernel reads the size when it binds. */
static int each_disk(const char *action) { return each_device(VIRTIO_BLOCK, "virtio_blk", action); }

static int find_disk(const char *serial, char *path, size_t size) {
  static const char *const names[] = {"vda", "vdb"};
  for (int i = 0; i < 2; i++) {
    char attribute[64], found[32];
    snprintf(attribute, sizeof attribute, "/sys/block/%s/serial", names[i]);
    if (!read_text(attribute, found, sizeof found)) continue;
    found[strcspn(found, "\n")] = 0;
    if (strcmp(found, serial) != 0) continue;
    snprintf(path, size, "/dev/%s", names[i]);
    return 0;
  }
  return -ENODEV;
}

static int unmount_layers(void) {
  sync();
  int problem = 0;
  static const char *const targets[] = {ROOT_DIRECTORY, "/rw", "/base"};
  for (int i = 0; i < 3; i++)
    if (umount2(targets[i], 0) && errno != EINVAL && !problem) problem = -errno;
  if (!problem) problem = each_disk("unbind");
  if (!problem) mounted = 0;
  return problem;
}

static int mount_layers(void) {
  if (mounted) return 0;
  char image[16], scratch[16];
  int problem = each_disk("bind");
  if (!problem) problem = find_disk("image", image, sizeof image);
  if (!problem) problem = find_disk("scratch", scratch, sizeof scratch);
  if (problem) return problem;
  if (mount(image, "/base", "squashfs", MS_RDONLY, NULL) ||
      mount(scratch, "/rw", "ext4", MS_NOATIME | MS_NODEV, NULL)) {
    problem = -errno;
  } else {
    mkdir("/rw/upper", 0755);
    mkdir("/rw/work", 0755);
    if (mount("overlay", ROOT_DIRECTORY, "overlay", 0, "lowerdir=/base,upperdir=/rw/upper,workdir=/rw/work"))
      problem = -errno;
  }
  if (problem) unmount_layers();
  else mounted = 1;
  return problem;
}

/* A clone's clock stands at the template's, and its randomness is every other clone's. */
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

static int network(struct fields fields) {
  const char *resolver = field(fields, "resolver");
  if (resolver) write_text("/run/resolv.conf", resolver);
  return configure_network(field(fields, "mac"), field(fields, "address"), field(fields, "gateway"));
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
  /* The namespace's processes die with their first; unmounting waits for that. */
  for (int tries = 0; mounted && unmount_layers() && tries < 200; tries++) {
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

/* What would not fit in the channel's buffer is left out, so that a container with very many processes harms nobody. */
static void respond_processes(int id) {
  static char list[3 * MAX_PAYLOAD];
  pid_t main_pid = streams_main_pid();
  if (main_pid <= 0) respond(id, -ESRCH, "", 0);
  else respond(id, 0, list, list_processes(main_pid, list, sizeof list));
}

void answer_request(int id, struct fields fields) {
  const char *name = field(fields, "request");
  if (!name) respond(id, -EINVAL, "", 0);
  else if (strcmp(name, "mount-layers") == 0) respond(id, mount_layers(), "", 0);
  else if (strcmp(name, "unmount-layers") == 0) respond(id, unmount_layers(), "", 0);
  else if (strcmp(name, "wake") == 0) respond(id, wake(fields), "", 0);
  else if (strcmp(name, "network") == 0) respond(id, network(fields), "", 0);
  else if (strcmp(name, "no-network") == 0) respond(id, each_device(VIRTIO_NETWORK, "virtio_net", "unbind"), "", 0);
  else if (strcmp(name, "processes") == 0) respond_processes(id);
  else if (strcmp(name, "uname") == 0) respond_uname(id);
  else if (strcmp(name, "uptime") == 0) respond_uptime(id);
  else if (strcmp(name, "rehearsed") == 0) respond(id, streams_forget_main(), "", 0);
  else if (strcmp(name, "sync") == 0) respond(id, (sync(), 0), "", 0);
  else if (strcmp(name, "power-off") == 0) power_off(id);
  else respond(id, -ENOSYS, "", 0);
}
