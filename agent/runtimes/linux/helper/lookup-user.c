/*
 * lookup-user root=DIR user=WHO: prints `uid gid home` and then one supplementary group a line. 3: no such user.
 * list-users root=DIR: prints `uid name` of every user, one a line.
 */
#define _GNU_SOURCE
#include <fcntl.h>
#include <pwd.h>
#include <stdio.h>

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
  if (lookup_identity(open_root(arguments), argument(arguments, "user"), &identity)) return 3;
  printf("%u %u %s\n", identity.uid, identity.gid, identity.home);
  for (int i = 0; i < identity.group_count; i++) printf("%u\n", identity.groups[i]);
  return 0;
}

int list_users(char **arguments) {
  FILE *file = open_beneath(open_root(arguments), "/etc/passwd");
  for (struct passwd *entry; file && (entry = fgetpwent(file));) printf("%u %s\n", entry->pw_uid, entry->pw_name);
  return 0;
}
