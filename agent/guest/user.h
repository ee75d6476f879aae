/* Looks up the user and groups of a process in the files of a root directory. */
#ifndef BULKHEAD_USER_H
#define BULKHEAD_USER_H

#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <sys/types.h>

#define MAX_GROUPS 256

struct identity {
  uid_t uid;
  gid_t gid;
  gid_t groups[MAX_GROUPS];
  int group_count;
  char home[256];
};

/*
 * `wanted`: `user` or `user:group`, names or ids; null or empty for root. A name needs an entry in the files, an id does not.
 * Ids are 0 to 2^31-1 in decimal, without sign or leading zero. Without a group, the process gets the user's primary group
 * and all groups that list the user as a member. Returns 0; -ENOENT: no such name; -EINVAL: invalid form; -E2BIG: more
 * groups than MAX_GROUPS. The files are opened beneath the directory `root_fd`; links cannot lead out of it.
 */
int lookup_identity(int root_fd, const char *wanted, struct identity *identity);
/* Writes a failure of lookup_identity as text. */
void explain_identity(int problem, const char *wanted, char *text, size_t size);

struct user {
  const char *name, *home;
  uid_t uid;
  gid_t gid;
};
/* The text of /etc/passwd, which the caller frees; null if there is none. */
char *read_users(int root_fd);
/* Consumes the next valid entry of a text; returns false at its end. The strings point into the text. */
bool next_user(char **rest, struct user *user);
/* Opens a regular file of at most 1 MiB beneath the directory for reading; null if there is none. */
FILE *open_beneath(int root_fd, const char *path);
/* The name of the uid, or the number as text if it has no name. */
void lookup_user_name(int root_fd, uid_t uid, char *name, size_t size);

#endif
