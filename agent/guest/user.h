/* Who a process is to run as, looked up in the files of the root directory that the caller stands in. */
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
 * `wanted`: `user` or `user:group`, names or ids; null or empty for root. An id needs no entry in the files, a name
 * does. Ids are 0 to 2^31-1 in decimal, without sign or leading zero. Without a group, the user's own and all that
 * have the user as a member are taken. Returns 0; -ENOENT: no such name; -EINVAL: not of that form; -E2BIG: more
 * groups than MAX_GROUPS. The files are read beneath the directory `root_fd`; links in them cannot lead out of it.
 */
int lookup_identity(int root_fd, const char *wanted, struct identity *identity);
/* A failure of lookup_identity in words. */
void explain_identity(int problem, const char *wanted, char *text, size_t size);

struct user {
  const char *name, *home;
  uid_t uid;
  gid_t gid;
};
/* The text of /etc/passwd, for the caller to free; null if there is none. */
char *read_users(int root_fd);
/* The next valid entry of a text, which is consumed; false at its end. The strings point into the text. */
bool next_user(char **rest, struct user *user);
/* Opens a regular file of at most 1 MiB beneath the directory, for reading; null when there is no such. */
FILE *open_beneath(int root_fd, const char *path);
/* Name of the uid, or its number as text. */
void lookup_user_name(int root_fd, uid_t uid, char *name, size_t size);

#endif
