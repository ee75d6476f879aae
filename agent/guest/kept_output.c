#include "kept_output.h"

#include <string.h>

struct piece_head {
  uint32_t type, length;
};

static char ring[KEPT_BYTES];
static uint32_t from, have;

static void copy_out(void *target, uint32_t length) {
  for (uint32_t i = 0; i < length; i++) ((char *)target)[i] = ring[(from + i) % KEPT_BYTES];
  from = (from + length) % KEPT_BYTES;
  have -= length;
}

static void copy_in(const void *source, uint32_t length) {
  for (uint32_t i = 0; i < length; i++) ring[(from + have + i) % KEPT_BYTES] = ((const char *)source)[i];
  have += length;
}

static void drop_oldest(void) {
  struct piece_head head;
  copy_out(&head, sizeof head);
  from = (from + head.length) % KEPT_BYTES;
  have -= head.length;
}

bool kept_any(void) { return have > 0; }

void kept_add(int type, const char *data, uint32_t length) {
  struct piece_head head = {type, length};
  while (KEPT_BYTES - have < sizeof head + length) drop_oldest();
  copy_in(&head, sizeof head);
  copy_in(data, length);
}

uint32_t kept_take(int *type, char *data) {
  struct piece_head head;
  copy_out(&head, sizeof head);
  copy_out(data, head.length);
  *type = head.type;
  return head.length;
}
