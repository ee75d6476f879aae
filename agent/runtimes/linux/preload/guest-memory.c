/*
 * Preloaded into QEMU: in a clone, maps memory that the template has never written as private memory of the VM.
 *
 * A clone maps the template's memory privately. Most of it is a hole. When the VM first writes a page in a hole, the kernel first
 * allocates an empty page in the template's file and then copies it for the VM. The page in the template is never freed. A VM
 * would therefore use up to twice its memory and be killed for it. After the template is mapped, this library maps its holes
 * again as anonymous memory.
 */
#define _GNU_SOURCE
#include <fcntl.h>
#include <linux/userfaultfd.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "../helper/descriptors.h"

/* Shorter holes are not remapped, because each is a separate mapping, and a process can have about 65,000 mappings. */
#define SHORTEST_HOLE (64 * 1024)
#define LARGEST_TABLE (4 * 1024 * 1024)

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

/*
 * When a clone reads a page of the template, the kernel also maps the 15 pages around it, and the worker's resident size is then
 * mostly memory that the VM never uses. The kernel does not do that for a range with userfault notices. No page is ever protected,
 * so there are none. If the kernel refuses, the VM works without this.
 */
static void map_single_pages(char *begin, size_t length) {
  int notices = syscall(SYS_userfaultfd, O_CLOEXEC | UFFD_USER_MODE_ONLY);
  struct uffdio_api api = {.api = UFFD_API, .features = UFFD_FEATURE_PAGEFAULT_FLAG_WP};
  struct uffdio_register range = {.range = {(uintptr_t)begin, length}, .mode = UFFDIO_REGISTER_MODE_WP};
  if (notices < 0) return;
  /* The range is registered until the descriptor is closed. */
  if (ioctl(notices, UFFDIO_API, &api) || ioctl(notices, UFFDIO_REGISTER, &range)) close(notices);
}

void *mmap64(void *address, size_t length, int protection, int flags, int fd, off_t offset) {
  void *mapped = map(address, length, protection, flags, fd, offset);
  if (mapped != MAP_FAILED && offset == 0 && (flags & MAP_PRIVATE) && (protection & PROT_WRITE) && is_template(fd)) {
    cut_holes(mapped, length, protection);
    map_single_pages(mapped, length);
    memory = mapped;
    memory_length = length;
  }
  return mapped;
}

void *mmap(void *address, size_t length, int protection, int flags, int fd, off_t offset) {
  return mmap64(address, length, protection, flags, fd, offset);
}

/*
 * Ignores QEMU's request for huge pages, except for its large buffer of translated code. In the VM's memory and in QEMU's tables
 * for its firmware, few pages are written, and each would take 2 MiB.
 */
int madvise(void *address, size_t length, int advice) {
  char *from = address;
  bool is_guest = from < memory + memory_length && from + length > memory;
  if (advice == MADV_HUGEPAGE && (is_guest || length <= LARGEST_TABLE)) advice = MADV_NOHUGEPAGE;
  return syscall(SYS_madvise, address, length, advice);
}
