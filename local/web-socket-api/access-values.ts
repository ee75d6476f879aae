import type { AccessLogValues } from '../api-gateway/access-log.ts';
import { requestTime } from '../api-gateway/request-ids.ts';
import type { ConnectionFacts, EventMoment } from './events.ts';

const EVENT_TYPES: Readonly<Record<string, string>> = { $connect: 'CONNECT', $disconnect: 'DISCONNECT' };

/**
 * The `$context` variables of a WebSocket API's access log.
 * @see https://docs.aws.amazon.com/apigateway/latest/developerguide/websocket-api-logging.html
 */
export const accessValues = (
  facts: ConnectionFacts,
  moment: EventMoment,
  routeKey: string,
  status: number,
): AccessLogValues => ({
  apiId: facts.apiId,
  connectedAt: facts.connectedAt,
  connectionId: facts.connectionId,
  domainName: facts.domainName,
  eventType: EVENT_TYPES[routeKey] ?? 'MESSAGE',
  'identity.sourceIp': facts.identity.sourceIp,
  'identity.userAgent': facts.identity.userAgent,
  requestId: moment.requestId,
  extendedRequestId: moment.requestId,
  requestTime: requestTime(moment.time),
  requestTimeEpoch: moment.time,
  routeKey,
  stage: facts.stage,
  status,
});
