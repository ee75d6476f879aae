/* lookup-user root=DIR user=WHO: prints `uid gid home` and then one supplementary group a line. 3: no such user. */
#define _GNU_SOURCE
#include <fcntl.h>
#include <stdio.h>

#include "../../../guest/user.h"
#include "helper.h"

int lookup_user(char **arguments) {
  int root = open(argument(arguments, "root"), O_PATH | O_DIRECTORY | O_CLOEXEC);
  if (root < 0) die("root", NULL);
  struct identity identity;
  if (lookup_identity(root, argument(arguments, "user"), &identity)) return 3;
  printf("%u %u %s\n", identity.uid, identity.gid, identity.home);
  for (int i = 0; i < identity.group_count; i++) printf("%u\n", identity.groups[i]);
  return 0;
}
