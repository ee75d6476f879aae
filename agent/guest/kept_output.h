/* Output of the main process from while no host was connected: the newest KEPT_BYTES of it. */
#ifndef BULKHEAD_KEPT_OUTPUT_H
#define BULKHEAD_KEPT_OUTPUT_H

#include <stdbool.h>
#include <stdint.h>

#define KEPT_BYTES 262144

/* Drops the oldest pieces where there is no room. */
void kept_add(int type, const char *data, uint32_t length);
bool kept_any(void);
/* Takes the oldest piece (at most MAX_PAYLOAD bytes) into `data`; returns its length. */
uint32_t kept_take(int *type, char *data);

#endif
