import { EVENT_BUS_NAME } from '../../core/contract/deployment.ts';
import type { LocalCloud } from './local-cloud.ts';
import { signedFetch } from './sign-request.ts';

export interface Sent {
  readonly source: string;
  readonly 'detail-type': string;
  readonly detail: object;
}

/** Puts at most ten events on the local bus, as an AWS SDK would. Throws if an event was not accepted. */
export const putEvents = async (cloud: LocalCloud, events: readonly Sent[]): Promise<void> => {
  const Entries = events.map(({ source, 'detail-type': type, detail }) => ({
    EventBusName: EVENT_BUS_NAME,
    Source: source,
    DetailType: type,
    Detail: JSON.stringify(detail),
  }));
  const response = await signedFetch(cloud, cloud.endpoints.events, {
    service: 'events',
    headers: { 'content-type': 'application/x-amz-json-1.1', 'x-amz-target': 'AWSEvents.PutEvents' },
    body: JSON.stringify({ Entries }),
  });
  const text = await response.text();
  if (response.status !== 200 || JSON.parse(text).FailedEntryCount !== 0) throw new Error(text);
};
