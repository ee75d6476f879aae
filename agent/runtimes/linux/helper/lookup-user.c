/*
 * lookup-user root=DIR user=USER: prints `uid gid home` and then one supplementary group per line. Exit code 3: no such user,
 * with the reason on stderr.
 * list-users root=DIR: prints `uid name` of every user, one per line.
 */
#define _GNU_SOURCE
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>

#include "../../../guest/user.h"
#include "helper.h"

static int open_root(char **arguments) {
  const char *path = argument(arguments, "root");
  int root = open(path, O_PATH | O_DIRECTORY | O_CLOEXEC);
  if (root < 0) die("root", path);
  return root;
}

int lookup_user(char **arguments) {
  struct identity identity;
  const char *user = argument(arguments, "user");
  int problem = lookup_identity(open_root(arguments), user, &identity);
  if (problem) {
    char text[400];
    explain_identity(problem, user, text, sizeof text);
    fprintf(stderr, "%s\n", text);
    return 3;
  }
  printf("%u %u %s\n", identity.uid, identity.gid, identity.home);
  for (int i = 0; i < identity.group_count; i++) printf("%u\n", identity.groups[i]);
  return 0;
}

int list_users(char **arguments) {
  char *text = read_users(open_root(arguments)), *rest = text;
  for (struct user user; next_user(&rest, &user);) printf("%u %s\n", user.uid, user.name);
  free(text);
  return 0;
}
