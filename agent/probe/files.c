/* Checks which files of the host and the kernel can be read or opened for writing. It writes nothing. */
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "probe.h"

static bool contains(const char *path, const char *secret) {
  char text[128] = "";
  int fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK | O_NOCTTY);
  if (fd < 0) return false;
  ssize_t length = read(fd, text, sizeof text - 1);
  close(fd);
  return length > 0 && strstr(text, secret) != NULL;
}

static void probe_host_file(void) {
  static const char *const prefixes[] = {"", "/proc/1/root", "/proc/self/root/../..", "/proc/self/cwd/../../../.."};
  const char *path = value_of("host-file"), *secret = value_of("secret");
  bool reached = false;
  for (size_t i = 0; path && secret && i < sizeof prefixes / sizeof *prefixes; i++) {
    char full[512];
    snprintf(full, sizeof full, "%s%s", prefixes[i], path);
    if (!contains(full, secret)) continue;
    note("read through \"%s\"", prefixes[i]);
    reached = true;
  }
  report("host-files", !path ? "not-tried" : reached ? "reached" : "absent");
}

static void probe_masked(void) {
  static const char *const paths[] = {"/proc/kcore", "/proc/keys", "/proc/timer_list", "/proc/sched_debug",
                                      "/proc/latency_stats", "/proc/acpi/wakeup", "/proc/scsi/scsi",
                                      "/sys/firmware/dmi/tables/DMI", "/sys/firmware/acpi/tables/FACP"};
  bool reached = false;
  for (size_t i = 0; i < sizeof paths / sizeof *paths; i++) {
    char byte;
    int fd = open(paths[i], O_RDONLY | O_CLOEXEC | O_NONBLOCK);
    if (fd >= 0 && read(fd, &byte, 1) == 1) {
      note("read %s", paths[i]);
      reached = true;
    }
    if (fd >= 0) close(fd);
  }
  report("masked-files", reached ? "reached" : "absent");
}

static void probe_writes(const char *name, const char *const *paths) {
  bool reached = false;
  for (; *paths; paths++) {
    int fd = open(*paths, O_WRONLY | O_CLOEXEC | O_NONBLOCK);
    if (fd < 0 && errno == ENOENT) continue;
    reached |= tried(*paths, fd);
    if (fd >= 0) close(fd);
  }
  report_reached(name, reached);
}

void probe_files(void) {
  static const char *const proc[] = {"/proc/sys/kernel/core_pattern", "/proc/sys/kernel/modprobe",
                                     "/proc/sys/kernel/panic", "/proc/sys/vm/overcommit_memory", "/proc/sysrq-trigger",
                                     "/proc/irq/default_smp_affinity", NULL};
  static const char *const sys[] = {"/sys/kernel/profiling", "/sys/kernel/uevent_helper", "/sys/kernel/mm/ksm/run",
                                    "/sys/power/state", "/sys/module/kernel/parameters/panic", NULL};
  probe_host_file();
  probe_masked();
  probe_writes("proc-writes", proc);
  probe_writes("sys-writes", sys);
}
