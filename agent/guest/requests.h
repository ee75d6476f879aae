/* Requests to the guest itself, by name. Each REQUEST gets one RESPONSE, which is split into parts if it is long. */
#ifndef BULKHEAD_REQUESTS_H
#define BULKHEAD_REQUESTS_H

#include "protocol.h"

void answer_request(int id, struct fields fields);

#endif
