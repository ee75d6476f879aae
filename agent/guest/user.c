#define _GNU_SOURCE
#include "user.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/openat2.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#define MAX_FILE (1 << 20)
/* The highest id that container engines accept. */
#define MAX_ID 2147483647UL
#define MAX_ID_DIGITS 10

/* Hostile code may have written the files. Opens only a regular file, only beneath the root, and on the same file system. */
FILE *open_beneath(int root_fd, const char *path) {
  struct open_how how = {.flags = O_RDONLY | O_CLOEXEC | O_NONBLOCK | O_NOCTTY,
                         .resolve = RESOLVE_IN_ROOT | RESOLVE_NO_MAGICLINKS | RESOLVE_NO_XDEV};
  int fd = syscall(SYS_openat2, root_fd, path, &how, sizeof how);
  struct stat info;
  if (fd < 0) return NULL;
  if (fstat(fd, &info) != 0 || !S_ISREG(info.st_mode) || info.st_size > MAX_FILE) {
    close(fd);
    return NULL;
  }
  return fdopen(fd, "r");
}

/* The whole file, terminated by NUL, which the caller frees; null if it cannot be read. */
static char *read_beneath(int root_fd, const char *path) {
  FILE *file = open_beneath(root_fd, path);
  char *text = file ? malloc(MAX_FILE + 1) : NULL;
  if (text) text[fread(text, 1, MAX_FILE, file)] = 0;
  if (file) fclose(file);
  return text;
}

/* Returns 1 for an id, 0 for a name, and -EINVAL for digits that are not a valid id. */
static int parse_id(const char *text, uint32_t *id) {
  size_t digits = strspn(text, "0123456789");
  if (digits == 0 || text[digits]) return 0;
  unsigned long value = digits > MAX_ID_DIGITS ? MAX_ID + 1 : strtoul(text, NULL, 10);
  if (value > MAX_ID || (digits > 1 && text[0] == '0')) return -EINVAL;
  *id = value;
  return 1;
}

/* Splits the next line at its colons. Returns the number of fields, at most `most`; -1 at the end of the text. */
static int next_line(char **rest, char **fields, int most) {
  char *line = strsep(rest, "\n");
  if (!line) return -1;
  int count = 0;
  while (count < most && (fields[count] = strsep(&line, ":"))) count++;
  return count;
}

bool next_user(char **rest, struct user *user) {
  char *fields[6];
  for (int count; (count = next_line(rest, fields, 6)) >= 0;) {
    if (count < 4 || !*fields[0]) continue;
    if (parse_id(fields[2], &user->uid) != 1 || parse_id(fields[3], &user->gid) != 1) continue;
    user->name = fields[0];
    user->home = count == 6 && *fields[5] ? fields[5] : "/";
    return true;
  }
  return false;
}

char *read_users(int root_fd) { return read_beneath(root_fd, "/etc/passwd"); }

struct group {
  const char *name;
  gid_t gid;
  char *members;
};

static bool next_group(char **rest, struct group *group) {
  char *fields[4];
  for (int count; (count = next_line(rest, fields, 4)) >= 0;) {
    if (count < 3 || !*fields[0] || parse_id(fields[2], &group->gid) != 1) continue;
    group->name = fields[0];
    group->members = count == 4 ? fields[3] : NULL;
    return true;
  }
  return false;
}

/* Fills the identity from the user's entry. `name` is set to the name in the entry; empty for an id without an entry. */
static int find_user(int root_fd, const char *wanted, struct identity *identity, char *name, size_t size) {
  uint32_t uid = 0;
  int numeric = parse_id(wanted, &uid);
  if (numeric < 0) return numeric;
  bool found = false;
  char *text = read_users(root_fd), *rest = text;
  for (struct user user; !found && next_user(&rest, &user);) {
    if (numeric ? user.uid != uid : strcmp(user.name, wanted) != 0) continue;
    found = true;
    identity->uid = user.uid;
    identity->gid = user.gid;
    snprintf(identity->home, sizeof identity->home, "%s", user.home);
    snprintf(name, size, "%s", user.name);
  }
  free(text);
  if (!found && numeric) identity->uid = uid;
  return found || numeric ? 0 : -ENOENT;
}

static int find_group(int root_fd, const char *wanted, struct identity *identity) {
  int numeric = parse_id(wanted, &identity->gid);
  if (numeric) return numeric < 0 ? numeric : 0;
  bool found = false;
  char *text = read_beneath(root_fd, "/etc/group"), *rest = text;
  for (struct group group; !found && next_group(&rest, &group);) {
    if (strcmp(group.name, wanted) != 0) continue;
    found = true;
    identity->gid = group.gid;
  }
  free(text);
  return found ? 0 : -ENOENT;
}

static bool has_member(struct group *group, const char *name) {
  for (char *member; (member = strsep(&group->members, ","));)
    if (strcmp(member, name) == 0) return true;
  return false;
}

static int find_memberships(int root_fd, const char *name, struct identity *identity) {
  int problem = 0;
  char *text = read_beneath(root_fd, "/etc/group"), *rest = text;
  for (struct group group; !problem && next_group(&rest, &group);) {
    if (!has_member(&group, name)) continue;
    if (identity->group_count == MAX_GROUPS) problem = -E2BIG;
    else identity->groups[identity->group_count++] = group.gid;
  }
  free(text);
  return problem;
}

int lookup_identity(int root_fd, const char *wanted, struct identity *identity) {
  memset(identity, 0, sizeof *identity);
  snprintf(identity->home, sizeof identity->home, "/");
  char user[256], name[256] = "";
  if (snprintf(user, sizeof user, "%s", wanted && *wanted ? wanted : "0") >= (int)sizeof user) return -EINVAL;
  char *group = strchr(user, ':');
  if (group) *group++ = 0;
  if (!*user || (group && (!*group || strchr(group, ':')))) return -EINVAL;
  int problem = find_user(root_fd, user, identity, name, sizeof name);
  if (problem) return problem;
  if (group) return find_group(root_fd, group, identity);
  return *name ? find_memberships(root_fd, name, identity) : 0;
}

void explain_identity(int problem, const char *wanted, char *text, size_t size) {
  if (problem == -EINVAL)
    snprintf(text, size, "\"%.256s\" is not a valid user: use USER or USER:GROUP, with ids from 0 to %lu", wanted, MAX_ID);
  else if (problem == -E2BIG)
    snprintf(text, size, "the user \"%.256s\" is in more than %d groups", wanted, MAX_GROUPS);
  else
    snprintf(text, size, "the container has no user or group \"%.256s\": use a name from its /etc/passwd or /etc/group, or an id",
             wanted);
}

void lookup_user_name(int root_fd, uid_t uid, char *name, size_t size) {
  snprintf(name, size, "%u", uid);
  char *text = read_users(root_fd), *rest = text;
  for (struct user user; next_user(&rest, &user);)
    if (user.uid == uid) {
      snprintf(name, size, "%s", user.name);
      break;
    }
  free(text);
}
