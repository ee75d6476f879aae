/* Who a process is to run as, looked up in the files of the root directory that the caller stands in. */
#ifndef BULKHEAD_USER_H
#define BULKHEAD_USER_H

#include <stdio.h>
#include <sys/types.h>

#define MAX_GROUPS 64

struct identity {
  uid_t uid;
  gid_t gid;
  gid_t groups[MAX_GROUPS];
  int group_count;
  char home[256];
};

/*
 * `wanted`: `user`, `user:group`, or numbers in place of either; null or empty for root. A number needs no
 * entry in the files, a name does. Returns 0, or -ENOENT for a name that is not there.
 * The files are read beneath the directory `root_fd`, and links in them cannot lead out of it.
 */
int lookup_identity(int root_fd, const char *wanted, struct identity *identity);
/* Opens a regular file of at most 1 MiB beneath the directory, for reading; null when there is no such. */
FILE *open_beneath(int root_fd, const char *path);
/* Name of the uid, or its number as text. */
void lookup_user_name(int root_fd, uid_t uid, char *name, size_t size);

#endif
