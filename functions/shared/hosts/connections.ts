import { Sha256 } from '@smithy/core/checksum';
import { HttpRequest } from '@smithy/core/protocols';
import type { NodeHttpHandler } from '@smithy/node-http-handler';
import { SignatureV4, type SignatureV4Init } from '@smithy/signature-v4';

/**
 * The agents' WebSocket connections, as API Gateway lets them be managed: `POST` and `DELETE` of `@connections/{id}`. Two
 * signed requests whose answers are their status, so they are made here of the SDK's own signer and HTTP client. The SDK's
 * client for them is the only one that speaks REST, and with that protocol would be 30 KB in every bundle that has it.
 */
export interface Connections {
  /** @returns the HTTP status; what fails on the network rejects */
  post(connectionId: string, data: string): Promise<number>;
  /** @returns the HTTP status; what fails on the network rejects */
  close(connectionId: string): Promise<number>;
}

export interface ConnectionsDependencies {
  /** `http://` or `https://`, with the stage in its path. */
  readonly endpoint: string;
  readonly region: SignatureV4Init['region'];
  readonly credentials: SignatureV4Init['credentials'];
  readonly requestHandler: NodeHttpHandler;
  readonly sleep: (milliseconds: number) => Promise<unknown>;
  /** 0 to 1, for jitter. */
  readonly random: () => number;
}

/** The wait before the second and last try, in milliseconds, cut by full jitter. */
const RETRY_WAIT = 100;

const isTransient = (status: number): boolean => status === 429 || status >= 500;

export const createConnections = (dependencies: ConnectionsDependencies): Connections => {
  const { region, credentials, requestHandler, sleep, random } = dependencies;
  const { protocol, hostname, port, host, pathname } = new URL(dependencies.endpoint);
  const signer = new SignatureV4({ service: 'execute-api', region, credentials, sha256: Sha256 });

  const send = async (request: HttpRequest): Promise<number> => {
    // Signed for each try: a signature is of its time.
    const signed = new HttpRequest(await signer.sign(request));
    const { response } = await requestHandler.handle(signed);
    // What is not read keeps its connection from being used again.
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
