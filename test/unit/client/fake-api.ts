import type { Fetch } from '../../../core/client/index.ts';

export interface Call {
  readonly method: string;
  readonly url: string;
  readonly headers: Record<string, string>;
  readonly body: unknown;
}

export interface Reply {
  readonly status: number;
  readonly body?: unknown;
  readonly headers?: Record<string, string>;
}

/** The reply to a call: a response, or a failed connection. */
export type Planned = Reply | Error | ((call: Call) => Reply | Error);

/** An API with scripted responses, in order, which records the calls. A response can be a function of the call. */
export const fakeApi = (...replies: Planned[]) => {
  const calls: Call[] = [];
  const fetch: Fetch = async (url, { method, headers, body }) => {
    const call = { method, url, headers, body: body === undefined ? undefined : JSON.parse(body) };
    const planned = replies[Math.min(calls.length, replies.length - 1)];
    calls.push(call);
    const reply = typeof planned === 'function' ? planned(call) : planned;
    if (reply === undefined) throw new Error('no reply is planned');
    if (reply instanceof Error) throw reply;
    const type = reply.status >= 400 ? 'application/problem+json' : 'application/json';
    const all = new Map(Object.entries({ 'content-type': type, ...reply.headers }));
    return {
      status: reply.status,
      headers: { get: (name) => all.get(name.toLowerCase()) ?? null },
      text: async () => (typeof reply.body === 'string' ? reply.body : JSON.stringify(reply.body ?? '')),
    };
  };
  return { fetch, calls };
};

export const problem = (status: number, code: string, more: object = {}): Reply => ({
  status,
  body: {
    type: `urn:bulkhead:problem:${code}`,
    title: 'Title',
    status,
    code,
    detail: `It is ${code}.`,
    ...more,
  },
});
