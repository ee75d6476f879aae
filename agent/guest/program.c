#define _GNU_SOURCE
#include "program.h"

#include <errno.h>
#include <limits.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "protocol.h"

#define NAME_SHOWN 200

struct failure {
  int32_t problem;
  char text[500];
};

static const char *search_path(char **environment) {
  for (; *environment; environment++)
    if (strncmp(*environment, "PATH=", 5) == 0) return *environment + 5;
  return "";
}

/* Tries each folder of PATH. A file that exists but cannot be executed is the reason, unless a later folder has the program. */
static void search(char **arguments, char **environment) {
  char file[PATH_MAX];
  int reason = ENOENT;
  for (const char *folder = search_path(environment); *arguments[0] && folder;) {
    const char *end = strchrnul(folder, ':');
    /* An empty folder is the working directory. */
    int length = snprintf(file, sizeof file, "%.*s%s%s", (int)(end - folder), folder, end == folder ? "./" : "/", arguments[0]);
    if (length < (int)sizeof file) execve(file, arguments, environment);
    else errno = ENAMETOOLONG;
    if (errno == E2BIG || errno == ENOMEM) return;
    if (errno != ENOENT && errno != ENOTDIR) reason = errno;
    folder = *end ? end + 1 : NULL;
  }
  errno = reason;
}

void report_start_failure(int failure_fd, int32_t problem, const char *text) {
  struct failure failure = {.problem = problem};
  snprintf(failure.text, sizeof failure.text, "%s", text);
  (void)!write(failure_fd, &failure, offsetof(struct failure, text) + strlen(failure.text));
}

_Noreturn void run_program(int failure_fd, char **arguments, char **environment) {
  if (strchr(arguments[0], '/')) execve(arguments[0], arguments, environment);
  else search(arguments, environment);
  int32_t problem = errno == ENOENT ? START_NOT_FOUND : START_NOT_EXECUTABLE;
  char text[NAME_SHOWN + 100];
  snprintf(text, sizeof text, "cannot run %.*s: %s", NAME_SHOWN, arguments[0], strerror(errno));
  report_start_failure(failure_fd, problem, text);
  _exit(problem == START_NOT_FOUND ? 127 : 126);
}

int32_t read_start_failure(int failure_fd, char *why, size_t size) {
  struct failure failure;
  ssize_t got;
  while ((got = read(failure_fd, &failure, sizeof failure - 1)) < 0 && errno == EINTR) {
  }
  if (got < (ssize_t)sizeof failure.problem) return 0;
  ((char *)&failure)[got] = 0;
  snprintf(why, size, "%s", failure.text);
  return failure.problem < 0 ? failure.problem : START_FAILED;
}
