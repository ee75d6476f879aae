/*
 * hold-template ram=FILE
 *
 * Copies the memory of a template into a memfd, seals it against changes, prints `<pid> <fd>`, and holds it until stdin ends.
 * Processes of root can open it as /proc/<pid>/fd/<fd>. Mappings outlive this process.
 */
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/sendfile.h>
#include <sys/stat.h>
#include <unistd.h>

#include "helper.h"

#define SEALS (F_SEAL_WRITE | F_SEAL_SHRINK | F_SEAL_GROW | F_SEAL_SEAL)

/* Preserves holes, because most of a template's memory has never been written. */
static int copy_data(int source, int target) {
  off_t at = 0, end;
  while ((at = lseek(source, at, SEEK_DATA)) >= 0) {
    if ((end = lseek(source, at, SEEK_HOLE)) < 0 || lseek(target, at, SEEK_SET) < 0) return -1;
    while (at < end)
      if (sendfile(target, source, &at, end - at) <= 0) return -1;
  }
  return errno == ENXIO ? 0 : -1;
}

int hold_template(char **arguments) {
  const char *path = argument(arguments, "ram");
  int source = open(path, O_RDONLY | O_CLOEXEC), target = memfd_create("bulkhead-template", MFD_ALLOW_SEALING | MFD_CLOEXEC);
  struct stat info;
  if (source < 0 || fstat(source, &info)) die("template", path);
  if (target < 0 || ftruncate(target, info.st_size) || copy_data(source, target)) die("copy of", path);
  if (fcntl(target, F_ADD_SEALS, SEALS)) die("seal", path);
  close(source);
  prctl(PR_SET_NAME, "bh-template");
  printf("%d %d\n", getpid(), target);
  fflush(stdout);
  char byte;
  while (read(0, &byte, 1) > 0) {
  }
  return 0;
}
