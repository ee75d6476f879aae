/* What the host asks of the guest itself, by name: one REQUEST, one RESPONSE (in parts where it is long). */
#ifndef BULKHEAD_REQUESTS_H
#define BULKHEAD_REQUESTS_H

#include "protocol.h"

void answer_request(int id, struct fields fields);

#endif
