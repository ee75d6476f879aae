import { Sha256 } from '@smithy/core/checksum';
import { HttpRequest } from '@smithy/core/protocols';
import type { NodeHttpHandler } from '@smithy/node-http-handler';
import { SignatureV4, type SignatureV4Init } from '@smithy/signature-v4';

/**
 * Management of WebSocket connections through API Gateway: `POST` and `DELETE` of `@connections/{id}`. These are two signed
 * requests that return only a status, so they use the SDK's signer and HTTP client directly. The SDK's client for them is
 * the only one with the REST protocol and would add 30 KB to every bundle.
 */
export interface Connections {
  /** @returns the HTTP status. Rejects on a network error. */
  post(connectionId: string, data: string): Promise<number>;
  /** @returns the HTTP status. Rejects on a network error. */
  close(connectionId: string): Promise<number>;
}

interface ConnectionsDependencies {
  /** `http://` or `https://`, with the stage in its path. */
  readonly endpoint: string;
  readonly region: SignatureV4Init['region'];
  readonly credentials: SignatureV4Init['credentials'];
  readonly requestHandler: NodeHttpHandler;
  readonly sleep: (milliseconds: number) => Promise<unknown>;
  /** 0 to 1, for jitter. */
  readonly random: () => number;
}

/** Wait before the second and last attempt in milliseconds, with full jitter. */
const RETRY_WAIT = 100;

const isTransient = (status: number): boolean => status === 429 || status >= 500;

export const createConnections = (dependencies: ConnectionsDependencies): Connections => {
  const { region, credentials, requestHandler, sleep, random } = dependencies;
  const { protocol, hostname, port, host, pathname } = new URL(dependencies.endpoint);
  const signer = new SignatureV4({ service: 'execute-api', region, credentials, sha256: Sha256 });

  const send = async (request: HttpRequest): Promise<number> => {
    // Signed for each attempt, because a signature contains the time.
    const signed = new HttpRequest(await signer.sign(request));
    const { response } = await requestHandler.handle(signed);
    // An unread body prevents the reuse of the connection.
    response.body?.resume();
    return response.statusCode;
  };

  const call = async (method: 'POST' | 'DELETE', connectionId: string, body?: string): Promise<number> => {
    const request = new HttpRequest({
      protocol,
      hostname,
      ...(port !== '' && { port: Number(port) }),
      method,
      path: `${pathname.replace(/\/$/, '')}/@connections/${encodeURIComponent(connectionId)}`,
      headers: { host, ...(body !== undefined && { 'content-length': String(Buffer.byteLength(body)) }) },
      body,
    });
    const first = await send(request).catch(() => undefined);
    if (first !== undefined && !isTransient(first)) return first;
    await sleep(RETRY_WAIT * random());
    return send(request);
  };

  return {
    post: (connectionId, data) => call('POST', connectionId, data),
    close: (connectionId) => call('DELETE', connectionId),
  };
};
