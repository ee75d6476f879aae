/* Reports the container's kernel, namespaces and limits. The host compares them with the expected values. */
#define _GNU_SOURCE
#include <stdio.h>
#include <string.h>
#include <sys/statvfs.h>
#include <sys/sysinfo.h>
#include <sys/utsname.h>
#include <unistd.h>

#include "probe.h"

static void probe_boot(void) {
  struct utsname names;
  char boot[64] = "";
  FILE *file = fopen("/proc/sys/kernel/random/boot_id", "re");
  if (file && fgets(boot, sizeof boot, file)) boot[strcspn(boot, "\n")] = 0;
  if (file) fclose(file);
  uname(&names);
  note("%s boot %s", names.release, boot);
  report("kernel", "measured");
}

static void probe_namespaces(void) {
  static const char *const kinds[] = {"mnt", "pid", "net", "ipc", "uts", "cgroup", "user"};
  for (size_t i = 0; i < sizeof kinds / sizeof *kinds; i++) {
    char path[64], target[64];
    snprintf(path, sizeof path, "/proc/self/ns/%s", kinds[i]);
    ssize_t length = readlink(path, target, sizeof target - 1);
    if (length > 0) note("%.*s", (int)length, target);
  }
  report("namespaces", "measured");
}

static void probe_status(void) {
  static const char *const wanted[] = {"CapEff:", "CapPrm:", "CapBnd:", "CapAmb:", "NoNewPrivs:", "Seccomp:", "TracerPid:"};
  char line[256];
  FILE *file = fopen("/proc/self/status", "re");
  while (file && fgets(line, sizeof line, file))
    for (size_t i = 0; i < sizeof wanted / sizeof *wanted; i++) {
      char value[64];
      size_t length = strlen(wanted[i]);
      if (strncmp(line, wanted[i], length) == 0 && sscanf(line + length, "%63s", value) == 1)
        note("%s %s", wanted[i], value);
    }
  if (file) fclose(file);
  report("privileges", "measured");
}

static void probe_disk(void) {
  struct statvfs info;
  if (statvfs("/", &info) == 0) note("%llu bytes", (unsigned long long)info.f_blocks * info.f_frsize);
  report("disk-limit", "measured");
}

static void probe_memory(void) {
  struct sysinfo info;
  if (sysinfo(&info) == 0) note("%llu bytes", (unsigned long long)info.totalram * info.mem_unit);
  report("memory-seen", "measured");
}

void probe_kernel(void) {
  probe_boot();
  probe_namespaces();
  probe_status();
  probe_disk();
  probe_memory();
}
