/*
 * Loaded into a cloned QEMU before its own libraries: what the template has never touched is memory of the VM's own.
 *
 * A clone maps the template's memory privately. Most of that is a hole, and the kernel fills the hole of a memory file
 * before it copies it: each page that the VM is the first to touch is there twice, once of its own and once, empty and
 * for good, in the template. So a VM took up to twice its memory, and was killed for it. Here, once the template is
 * mapped, its holes are mapped again as empty memory.
 */
#define _GNU_SOURCE
#include <stdbool.h>
#include <stddef.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "../helper/descriptors.h"

/* Each hole is a mapping of its own, and a process may have some 65,000: shorter ones stay as they are. */
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

/* A hole that cannot be mapped again only costs memory. */
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

/* QEMU asks for huge pages; an idle VM, which has touched a page here and there, would take many times its memory. */
int madvise(void *address, size_t length, int advice) {
  char *from = address;
  if (advice == MADV_HUGEPAGE && from < memory + memory_length && from + length > memory) advice = MADV_NOHUGEPAGE;
  return syscall(SYS_madvise, address, length, advice);
}
