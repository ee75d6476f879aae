#define _GNU_SOURCE
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "../../../probe/probe.h"
#include "helper.h"

_Noreturn void die(const char *what, const char *name) {
  fprintf(stderr, "%s%s%s: %s\n", what, name ? " " : "", name ? name : "", strerror(errno));
  exit(1);
}

const char *next_argument(char **arguments, int *from, const char *name) {
  size_t length = strlen(name);
  for (; arguments[*from] && strcmp(arguments[*from], "--") != 0; (*from)++)
    if (strncmp(arguments[*from], name, length) == 0 && arguments[*from][length] == '=')
      return arguments[(*from)++] + length + 1;
  return NULL;
}

const char *optional_argument(char **arguments, const char *name) {
  int from = 0;
  return next_argument(arguments, &from, name);
}

const char *argument(char **arguments, const char *name) {
  const char *value = optional_argument(arguments, name);
  if (value) return value;
  errno = EINVAL;
  die("missing argument", name);
}

char **operands(char **arguments) {
  for (; *arguments; arguments++)
    if (strcmp(*arguments, "--") == 0) return arguments + 1;
  return arguments;
}

char *join_path(const char *directory, const char *name) {
  char *path;
  if (asprintf(&path, "%s/%s", directory, name) < 0) die("memory", NULL);
  return path;
}

static const struct {
  const char *name;
  int (*run)(char **arguments);
} COMMANDS[] = {{"launch-vm", launch_vm},       {"hold-template", hold_template},   {"run-container", run_container},
                {"mount-layers", mount_layers}, {"unmount-layers", unmount_layers}, {"lookup-user", lookup_user},
                {"list-users", list_users},     {"uname-in", uname_in},             {"relay", relay},
                {"data-ranges", data_ranges},   {"check-disk", check_disk},         {"serve-names", serve_names},
                {"run-program", run_program_command},                           {"probe", probe},
                {"make-network-namespace", make_network_namespace}};

int main(int count, char **arguments) {
  for (size_t i = 0; count > 1 && i < sizeof COMMANDS / sizeof *COMMANDS; i++)
    if (strcmp(arguments[1], COMMANDS[i].name) == 0) return COMMANDS[i].run(arguments + 2);
  fprintf(stderr, "unknown command\n");
  return 2;
}
