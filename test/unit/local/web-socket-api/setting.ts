/** A WebSocket API with an authorizer and the routes that the tests use. */
import {
  type Event,
  type Resource,
  type Started,
  startApiGateway,
  type TestFunction,
  uriOf,
} from '../../../helpers/api-gateway.ts';
import { ManualCloudClock } from '../../../helpers/manual-cloud-clock.ts';
import { TestClient } from '../../../helpers/web-socket-client.ts';

const route = (key: string, name: string, more: Record<string, unknown> = {}): readonly Resource[] => [
  ['Integration', `I${name}`, { ApiId: '@Ws', IntegrationType: 'AWS_PROXY', IntegrationUri: uriOf(name) }],
  ['Route', `R${name}`, { ApiId: '@Ws', RouteKey: key, Target: `integrations/@I${name}`, ...more }],
];

const AUTHORIZER: Resource = [
  'Authorizer',
  'A',
  {
    ApiId: '@Ws',
    Name: 'a',
    AuthorizerType: 'REQUEST',
    AuthorizerUri: uriOf('authorize'),
    IdentitySource: ['route.request.header.Authorization', 'route.request.querystring.host'],
  },
];

const resources = (secured: boolean, stage: Record<string, unknown>): readonly Resource[] => [
  ['Api', 'Ws', { ProtocolType: 'WEBSOCKET', RouteSelectionExpression: '$request.body.action' }],
  ['Stage', 'S', { ApiId: '@Ws', StageName: 'live', ...stage }],
  ...(secured ? [AUTHORIZER] : []),
  ...route('$connect', 'connect', secured ? { AuthorizationType: 'CUSTOM', AuthorizerId: '@A' } : {}),
  ...route('$disconnect', 'disconnect'),
  ...route('$default', 'fallback'),
  ...route('work', 'work'),
  ...route('ask', 'ask', { RouteResponseSelectionExpression: '$default' }),
  ['RouteResponse', 'RR', { ApiId: '@Ws', RouteId: '@Rask', RouteResponseKey: '$default' }],
];

export interface Bench {
  readonly clock: ManualCloudClock;
  readonly started: Started;
  /** `ws://127.0.0.1:port/live` */
  readonly url: string;
  /** The same over HTTP, for `@connections`. */
  readonly managementUrl: string;
  readonly events: Record<string, Event[]>;
  connect(headers?: Record<string, string>, query?: string, protocols?: string[]): Promise<TestClient>;
  /** The next event of a function. */
  event(name: string): Promise<Event>;
  close(): Promise<void>;
}

export const allow =
  (context?: Record<string, unknown>): TestFunction =>
  (event) => ({
    principalId: 'host-1',
    policyDocument: {
      Version: '2012-10-17',
      Statement: [{ Effect: 'Allow', Action: 'execute-api:Invoke', Resource: event.methodArn }],
    },
    ...(context === undefined ? {} : { context }),
  });

export const openBench = async (
  functions: Readonly<Record<string, TestFunction>> = {},
  { secured = false, stage = {} as Record<string, unknown> } = {},
): Promise<Bench> => {
  const clock = new ManualCloudClock();
  const events: Record<string, Event[]> = {};
  const waiting = new Map<string, ((event: Event) => void)[]>();
  const recorded =
    (name: string): TestFunction =>
    (event) => {
      const waiter = waiting.get(name)?.shift();
      if (waiter === undefined) events[name] = [...(events[name] ?? []), event];
      else waiter(event);
      return (functions[name] ?? (() => ({ statusCode: 200 })))(event);
    };
  const names = ['authorize', 'connect', 'disconnect', 'fallback', 'work', 'ask'];
  const started = await startApiGateway({
    clock,
    resources: resources(secured, stage),
    functions: Object.fromEntries(names.map((name) => [name, recorded(name)])),
  });
  const url = `${started.endpoint('Ws')}/live`;
  const clients: TestClient[] = [];
  return {
    clock,
    started,
    url,
    managementUrl: url.replace('ws://', 'http://'),
    events,
    connect: async (headers, query = '', protocols = []) => {
      const client = await TestClient.connect(url + query, headers, protocols);
      clients.push(client);
      return client;
    },
    event: (name) => {
      const event = events[name]?.shift();
      if (event !== undefined) return Promise.resolve(event);
      return new Promise((resolve) => waiting.set(name, [...(waiting.get(name) ?? []), resolve]));
    },
    close: async () => {
      for (const client of clients) client.socket.terminate();
      await Promise.all(clients.map((client) => client.closed));
      await started.stop();
    },
  };
};
