#define _GNU_SOURCE
#include "user.h"

#include <ctype.h>
#include <errno.h>
#include <fcntl.h>
#include <grp.h>
#include <linux/openat2.h>
#include <pwd.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

/* The files belong to who may want to harm: only a regular file, and only beneath the root. */
FILE *open_beneath(int root_fd, const char *path) {
  struct open_how how = {.flags = O_RDONLY | O_CLOEXEC | O_NONBLOCK | O_NOCTTY, .resolve = RESOLVE_IN_ROOT};
  int fd = syscall(SYS_openat2, root_fd, path, &how, sizeof how);
  struct stat info;
  if (fd < 0) return NULL;
  if (fstat(fd, &info) != 0 || !S_ISREG(info.st_mode) || info.st_size > (1 << 20)) {
    close(fd);
    return NULL;
  }
  return fdopen(fd, "r");
}

static int is_number(const char *text) {
  if (!*text) return 0;
  for (; *text; text++)
    if (!isdigit((unsigned char)*text)) return 0;
  return 1;
}

static int find_user(int root_fd, const char *name, struct identity *identity) {
  int found = 0, numeric = is_number(name);
  uid_t uid = numeric ? strtoul(name, NULL, 10) : 0;
  FILE *file = open_beneath(root_fd, "/etc/passwd");
  for (struct passwd *entry; file && !found && (entry = fgetpwent(file));) {
    if (numeric ? entry->pw_uid != uid : strcmp(entry->pw_name, name) != 0) continue;
    found = 1;
    identity->uid = entry->pw_uid;
    identity->gid = entry->pw_gid;
    snprintf(identity->home, sizeof identity->home, "%s", entry->pw_dir);
  }
  if (file) fclose(file);
  if (!found && numeric) identity->uid = uid;
  return found || numeric ? 0 : -ENOENT;
}

static int find_groups(int root_fd, const char *group, const char *user, struct identity *identity) {
  int found = !group || is_number(group);
  if (group && found) identity->gid = strtoul(group, NULL, 10);
  FILE *file = open_beneath(root_fd, "/etc/group");
  for (struct group *entry; file && (entry = fgetgrent(file));) {
    if (group && !is_number(group) && strcmp(entry->gr_name, group) == 0) {
      identity->gid = entry->gr_gid;
      found = 1;
    }
    for (char **member = entry->gr_mem; !group && *member; member++)
      if (strcmp(*member, user) == 0 && identity->group_count < MAX_GROUPS)
        identity->groups[identity->group_count++] = entry->gr_gid;
  }
  if (file) fclose(file);
  return found ? 0 : -ENOENT;
}

int lookup_identity(int root_fd, const char *wanted, struct identity *identity) {
  memset(identity, 0, sizeof *identity);
  snprintf(identity->home, sizeof identity->home, "/");
  char user[256];
  snprintf(user, sizeof user, "%s", wanted && *wanted ? wanted : "0");
  char *group = strchr(user, ':');
  if (group) *group++ = 0;
  int problem = find_user(root_fd, user, identity);
  return problem ? problem : find_groups(root_fd, group && *group ? group : NULL, user, identity);
}

void lookup_user_name(int root_fd, uid_t uid, char *name, size_t size) {
  snprintf(name, size, "%u", uid);
  FILE *file = open_beneath(root_fd, "/etc/passwd");
  for (struct passwd *entry; file && (entry = fgetpwent(file));)
    if (entry->pw_uid == uid) {
      snprintf(name, size, "%s", entry->pw_name);
      break;
    }
  if (file) fclose(file);
}
