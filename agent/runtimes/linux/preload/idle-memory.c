/*
 * Preloaded into QEMU: on SIGURG, returns memory to the host that an idle VM does not need. The agent sends the signal
 * (`vm/idle-memory.ts`). A QEMU without this library ignores it.
 *
 * Most of it is translated code, which QEMU keeps until its buffer is full. A VM that continues translates its code again. The
 * VM's own memory is not touched.
 */
#define _GNU_SOURCE
#include <link.h>
#include <malloc.h>
#include <pthread.h>
#include <signal.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <unistd.h>

/* The start of QEMU's buffer has its entry code, which is never translated again. */
#define ENTRY_CODE (64 * 1024)

/* Functions of QEMU (include/exec and hw/core). Without one of them, only other memory is returned. */
typedef union {
  void *pointer;
  uint64_t number;
} run_on_cpu_data;
typedef void run_on_cpu_func(void *cpu, run_on_cpu_data data);
__attribute__((weak)) void *qemu_get_cpu(int index);
__attribute__((weak)) void tb_flush(void *cpu);
__attribute__((weak)) size_t tcg_code_size(void);
__attribute__((weak)) void async_safe_run_on_cpu(void *cpu, run_on_cpu_func *work, run_on_cpu_data data);

static char *code;
static size_t code_length;

/* QEMU makes only its buffer of translated code executable, in one or more parts. */
int mprotect(void *address, size_t length, int protection) {
  int result = syscall(SYS_mprotect, address, length, protection);
  if (result || !(protection & PROT_EXEC)) return result;
  if (!code) code = address;
  code_length = (char *)address + length - code;
  return result;
}

/* Runs while no processor of the VM runs. Code must not be discarded before QEMU has forgotten it. */
static void discard_code(void *cpu, run_on_cpu_data data) {
  (void)data;
  tb_flush(cpu);
  if (code_length > ENTRY_CODE && tcg_code_size() == 0)
    madvise(code + ENTRY_CODE, code_length - ENTRY_CODE, MADV_DONTNEED);
  malloc_trim(0);
}

/* Program code is read from its file again when it is next executed. */
static int discard_program(struct dl_phdr_info *info, size_t size, void *unused) {
  (void)size;
  (void)unused;
  size_t page = sysconf(_SC_PAGESIZE);
  for (int i = 0; i < info->dlpi_phnum; i++) {
    const ElfW(Phdr) *part = &info->dlpi_phdr[i];
    if (part->p_type != PT_LOAD || (part->p_flags & PF_W)) continue;
    uintptr_t from = (info->dlpi_addr + part->p_vaddr) & ~(page - 1);
    madvise((void *)from, info->dlpi_addr + part->p_vaddr + part->p_memsz - from, MADV_DONTNEED);
  }
  return 0;
}

static void *serve(void *signals) {
  for (int number; sigwait(signals, &number) == 0;) {
    bool translates = qemu_get_cpu && tb_flush && tcg_code_size && async_safe_run_on_cpu;
    void *cpu = translates ? qemu_get_cpu(0) : NULL;
    if (cpu) async_safe_run_on_cpu(cpu, discard_code, (run_on_cpu_data){0});
    else malloc_trim(0);
    dl_iterate_phdr(discard_program, NULL);
  }
  return NULL;
}

/* Blocks the signal in all threads, because they inherit it, so that only this thread receives it. */
__attribute__((constructor)) static void begin(void) {
  static sigset_t signals;
  pthread_t thread;
  sigemptyset(&signals);
  sigaddset(&signals, SIGURG);
  pthread_sigmask(SIG_BLOCK, &signals, NULL);
  pthread_create(&thread, NULL, serve, &signals);
}
