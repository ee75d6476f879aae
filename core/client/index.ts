/** The TypeScript client of Bulkhead's API. */
export { Client } from './client.ts';
export * from './errors.ts';
export { type ItemOf, itemsOf, type ListId, pagesOf } from './pages.ts';
export { endOfEvents, type ReadEvents, readEvents } from './read-events.ts';
export { LogReader, type ReadLog, readLog } from './read-log.ts';
export type { Answer, BodyOfAnswer, ClientSettings, Fetch, RequestOf } from './types.ts';
export { hasEnded, type WaitOptions, waitForEnd, waitForSuccess } from './wait-for-operation.ts';
