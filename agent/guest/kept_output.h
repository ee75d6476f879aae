/* The newest KEPT_BYTES of the output that the main process wrote while no host was connected. */
#ifndef BULKHEAD_KEPT_OUTPUT_H
#define BULKHEAD_KEPT_OUTPUT_H

#include <stdbool.h>
#include <stdint.h>

#define KEPT_BYTES 262144

/* Drops the oldest pieces when the buffer is full. */
void kept_add(int type, const char *data, uint32_t length);
bool kept_any(void);
/* Moves the oldest piece (at most MAX_PAYLOAD bytes) to `data`; returns its length. */
uint32_t kept_take(int *type, char *data);

#endif
