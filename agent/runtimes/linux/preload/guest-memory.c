/*
 * Preloaded into a cloned QEMU: maps memory that the template has never written as private memory of the VM.
 *
 * A clone maps the template's memory privately. Most of it is a hole. When the VM first writes a page in a hole, the kernel first
 * allocates an empty page in the template's file and then copies it for the VM. The page in the template is never freed. A VM
 * would therefore use up to twice its memory and be killed for it. After the template is mapped, this library maps its holes
 * again as anonymous memory.
 */
#define _GNU_SOURCE
#include <stdbool.h>
#include <stddef.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "../helper/descriptors.h"

/* Shorter holes are not remapped, because each is a separate mapping, and a process can have about 65,000 mappings. */
#define SHORTEST_HOLE (64 * 1024)

static char *memory;
static size_t memory_length;

static bool is_template(int fd) {
  struct stat given, template;
  return fd >= 0 && fstat(fd, &given) == 0 && fstat(RAM_FD, &template) == 0 && given.st_dev == template.st_dev &&
         given.st_ino == template.st_ino;
}

static void *map(void *address, size_t length, int protection, int flags, int fd, off_t offset) {
  return (void *)syscall(SYS_mmap, address, length, protection, flags, fd, offset);
}

/* If a hole cannot be remapped, it only costs memory. */
static void cut_holes(char *begin, size_t length, int protection) {
  off_t hole, end = 0;
  while ((hole = lseek(RAM_FD, end, SEEK_HOLE)) >= 0 && (size_t)hole < length) {
    end = lseek(RAM_FD, hole, SEEK_DATA);
    if (end < 0 || (size_t)end > length) end = length;
    if (end - hole >= SHORTEST_HOLE)
      map(begin + hole, end - hole, protection, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE | MAP_FIXED, -1, 0);
  }
}

void *mmap64(void *address, size_t length, int protection, int flags, int fd, off_t offset) {
  void *mapped = map(address, length, protection, flags, fd, offset);
  if (mapped != MAP_FAILED && offset == 0 && (flags & MAP_PRIVATE) && (protection & PROT_WRITE) && is_template(fd)) {
    cut_holes(mapped, length, protection);
    memory = mapped;
    memory_length = length;
  }
  return mapped;
}

void *mmap(void *address, size_t length, int protection, int flags, int fd, off_t offset) {
  return mmap64(address, length, protection, flags, fd, offset);
}

/* Ignores QEMU's request for huge pages, with which an idle VM with few written pages would use a multiple of its memory. */
int madvise(void *address, size_t length, int advice) {
  char *from = address;
  if (advice == MADV_HUGEPAGE && from < memory + memory_length && from + length > memory) advice = MADV_NOHUGEPAGE;
  return syscall(SYS_madvise, address, length, advice);
}
