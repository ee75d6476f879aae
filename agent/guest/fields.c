#define _GNU_SOURCE
#include "protocol.h"

#include <stdlib.h>
#include <string.h>

const char *field_after(struct fields fields, const char *from, const char *name) {
  size_t length = strlen(name);
  for (const char *at = from; at < fields.end; at += strlen(at) + 1)
    if (strncmp(at, name, length) == 0 && at[length] == '=') return at + length + 1;
  return NULL;
}

long field_number(struct fields fields, const char *name, long otherwise) {
  const char *value = field(fields, name);
  return value ? strtol(value, NULL, 10) : otherwise;
}

char **field_list(struct fields fields, const char *name) {
  size_t count = 0;
  for (const char *at = field(fields, name); at; at = field_after(fields, at + strlen(at) + 1, name)) count++;
  char **list = calloc(count + 1, sizeof *list);
  if (!list) return NULL;
  size_t index = 0;
  for (const char *at = field(fields, name); at; at = field_after(fields, at + strlen(at) + 1, name))
    list[index++] = (char *)at;
  return list;
}
