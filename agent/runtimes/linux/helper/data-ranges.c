/* data-ranges file=PATH: prints the data ranges of a sparse file, one line `<offset> <length>` each, in bytes. */
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <stdint.h>
#include <stdio.h>
#include <unistd.h>

#include "helper.h"

int data_ranges(char **arguments) {
  const char *path = argument(arguments, "file");
  int file = open(path, O_RDONLY | O_CLOEXEC);
  if (file < 0) die("open", path);
  off_t from, to = 0;
  while ((from = lseek(file, to, SEEK_DATA)) >= 0) {
    if ((to = lseek(file, from, SEEK_HOLE)) < 0) die("read", path);
    printf("%jd %jd\n", (intmax_t)from, (intmax_t)(to - from));
  }
  if (errno != ENXIO) die("read", path);
  return 0;
}
