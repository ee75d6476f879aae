import { randomUUID } from 'node:crypto';
import { createServer, type IncomingMessage, type Server } from 'node:http';
import type { AddressInfo } from 'node:net';
import { importJWK, type JWTPayload, jwtVerify } from 'jose';
import { type WebSocket, WebSocketServer } from 'ws';
import * as z from 'zod/mini';
import { signPayload } from '../../core/authenticity/signing-key.ts';
import type { Command, CommandResult, ObservedContainer } from '../../core/contract/agent/commands.ts';
import {
  type AgentMessage,
  AgentMessageSchema,
  FRAME_BYTES,
  HOST_TOKEN_AUDIENCE,
  HOST_TOKEN_SECONDS,
  MESSAGE_BYTES,
} from '../../core/contract/agent/messages.ts';
import { EnrollHostRequestSchema } from '../../core/contract/host.ts';
import { COMMAND_KEY, signCommand } from './signing.ts';
import { watchFrames } from './websocket-frames.ts';

export const ENROLLMENT_TOKEN = 'fake-enrollment-token-0001';
const TENANT = 'acme';

/** Injected faults of the control plane. They can be changed at any time. */
export interface PlaneFaults {
  /** Whether a message of the agent is dropped, so that it is neither stored nor answered. */
  swallow: (message: AgentMessage) => boolean;
  /** Whether a message is stored but its acknowledgement is lost. */
  loseAck: (message: AgentMessage) => boolean;
  /** Whether the connection is cut when this message arrives, before it is processed. */
  cut: (message: AgentMessage) => boolean;
  /** Delay before each answer, in milliseconds. */
  delayMs: number;
  /** Status with which enrollments are refused; null to accept them. */
  enrollmentStatus: number | null;
  /** Whether an enrollment is accepted but the answer is lost. */
  loseEnrollment: boolean;
}

const messageOf = (command: Command) => ({ action: 'command', ...signCommand(command) });

interface EnrolledHost {
  readonly hostId: string;
  readonly publicKey: string;
  readonly name: string;
}

const harmless = (): PlaneFaults => ({
  swallow: () => false,
  loseAck: () => false,
  cut: () => false,
  delayMs: 0,
  enrollmentStatus: null,
  loseEnrollment: false,
});

/**
 * A control plane as an agent sees it: accepts enrollments and signed connections, sends commands until they are
 * answered, and stores results before it acknowledges them. It follows the contract and checks that the agent does too:
 * violations of the contract by the agent are added to `violations`.
 */
export class FakeControlPlane {
  readonly faults: PlaneFaults = harmless();
  readonly hosts = new Map<string, EnrolledHost>();
  readonly messages: AgentMessage[] = [];
  /** All results of each command, including repetitions. */
  readonly results = new Map<string, CommandResult[]>();
  readonly commands = new Map<string, Command>();
  readonly tokens: JWTPayload[] = [];
  readonly violations: string[] = [];
  /** The newest observation of each container, by its sequence. */
  readonly observed = new Map<string, ObservedContainer>();
  heartbeatSeconds = 30;
  connections = 0;
  #server: Server | null = null;
  #sockets = new WebSocketServer({ noServer: true, maxPayload: MESSAGE_BYTES, perMessageDeflate: false });
  #current: WebSocket | null = null;
  #waiters: { check: () => boolean; resolve: () => void }[] = [];

  get apiUrl(): string {
    const address = this.#server?.address() as AddressInfo | undefined;
    return `http://127.0.0.1:${address?.port}`;
  }

  async start(): Promise<this> {
    const server = createServer((request, response) => {
      this.#enroll(request).then(({ status, body, lost }) => {
        if (lost) response.destroy();
        else response.writeHead(status, { 'content-type': 'application/json' }).end(JSON.stringify(body));
      });
    });
    server.on('upgrade', (request, socket, head) => {
      this.#authorize(request).then((hostId) => {
        if (hostId === null) socket.end('HTTP/1.1 403 Forbidden\r\nConnection: close\r\n\r\n');
        else {
          watchFrames(socket, (bytes) => {
            if (bytes > FRAME_BYTES) this.violations.push(`a frame of ${bytes} bytes`);
          });
          this.#sockets.handleUpgrade(request, socket, head, (ws) => this.#accept(ws, hostId));
        }
      });
    });
    await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
    this.#server = server;
    return this;
  }

  async stop(): Promise<void> {
    for (const socket of this.#sockets.clients) socket.terminate();
    const server = this.#server;
    if (server === null) return;
    server.closeAllConnections();
    await new Promise((resolve) => server.close(resolve));
  }

  /** Adds a command. It is sent now, and again at each hello and heartbeat until it is answered. */
  give(command: Command): void {
    this.commands.set(command.id, command);
    this.deliver(command);
  }

  /** Signs and sends a command without recording it, so it can be sent any number of times. */
  deliver(command: Command): void {
    this.send(messageOf(command));
  }

  send(message: unknown): void {
    this.#current?.send(typeof message === 'string' ? message : JSON.stringify(message));
  }

  cut(): void {
    this.#current?.terminate();
  }

  /** Waits for the result of the command and returns it. */
  async result(commandId: string): Promise<CommandResult> {
    await this.until(() => this.results.has(commandId), `the result of ${commandId}`);
    const result = this.results.get(commandId)?.[0];
    if (result === undefined) throw new TypeError('no result');
    return result;
  }

  /** Resolves once the condition is true. Checks it after each message, and rejects shortly before the test's own limit. */
  async until(check: () => boolean, what: string): Promise<void> {
    if (check()) return;
    await new Promise<void>((resolve, reject) => {
      const waiter = { check, resolve: () => settle(resolve) };
      const timer = setTimeout(
        () => settle(() => reject(new TypeError(`timed out waiting for ${what}`))),
        55_000,
      );
      const settle = (end: () => void) => {
        clearTimeout(timer);
        this.#waiters = this.#waiters.filter((one) => one !== waiter);
        end();
      };
      this.#waiters.push(waiter);
    });
  }

  async #enroll(request: IncomingMessage): Promise<{ status: number; body: unknown; lost?: boolean }> {
    const chunks: Buffer[] = [];
    for await (const chunk of request) chunks.push(chunk);
    if (request.method !== 'POST' || request.url !== '/v1/hosts/enrollments')
      return { status: 404, body: { detail: 'no such route' } };
    if (this.faults.enrollmentStatus !== null)
      return { status: this.faults.enrollmentStatus, body: { code: 'too-busy', detail: 'not now' } };
    const parsed = z.safeParse(EnrollHostRequestSchema, JSON.parse(Buffer.concat(chunks).toString()));
    if (!parsed.success) {
      this.violations.push(`enrollment: ${JSON.stringify(parsed.error.issues)}`);
      return { status: 400, body: { code: 'validation-failed', detail: 'not an enrollment' } };
    }
    const { token, publicKey, name } = parsed.data;
    const before = [...this.hosts.values()].find((host) => host.publicKey === publicKey);
    if (token !== ENROLLMENT_TOKEN || (!before && this.hosts.size > 0))
      return { status: 401, body: { code: 'enrollment-token-invalid', detail: 'The token is not valid.' } };
    const hostId = before?.hostId ?? randomUUID();
    this.hosts.set(hostId, { hostId, publicKey, name });
    const lost = this.faults.loseEnrollment;
    this.faults.loseEnrollment = false;
    return { status: 201, body: this.#enrollment(hostId), lost };
  }

  #enrollment(hostId: string) {
    const commandKeys = [COMMAND_KEY.publicKey];
    return { hostId, tenant: TENANT, webSocketUrl: this.#webSocketUrl(), commandKeys };
  }

  #webSocketUrl(): string {
    return `${this.apiUrl.replace('http', 'ws')}/agents`;
  }

  /** The id of the host whose token is valid; null for an invalid token. */
  async #authorize(request: IncomingMessage): Promise<string | null> {
    const token = /^Bearer (.+)$/.exec(request.headers.authorization ?? '')?.[1] ?? '';
    try {
      const { payload } = await jwtVerify(
        token,
        ({ kid }) =>
          importJWK({ kty: 'OKP', crv: 'Ed25519', x: this.hosts.get(kid ?? '')?.publicKey ?? '' }, 'EdDSA'),
        { algorithms: ['EdDSA'], audience: HOST_TOKEN_AUDIENCE, maxTokenAge: HOST_TOKEN_SECONDS },
      );
      const used = this.tokens.some(({ jti }) => jti === payload.jti);
      const lifetime = (payload.exp ?? Infinity) - (payload.iat ?? 0);
      const right =
        payload.iss === payload.sub && payload.tenant === TENANT && lifetime <= HOST_TOKEN_SECONDS;
      this.tokens.push(payload);
      return right && !used && payload.sub !== undefined ? payload.sub : null;
    } catch {
      return null;
    }
  }

  #accept(socket: WebSocket, hostId: string): void {
    this.connections += 1;
    this.#current = socket;
    let first = true;
    socket.on('message', (data) => {
      const parsed = z.safeParse(AgentMessageSchema, JSON.parse(data.toString()));
      if (!parsed.success) {
        this.violations.push(`message: ${JSON.stringify(parsed.error.issues)}`);
        return;
      }
      if (first && parsed.data.action !== 'hello') this.violations.push('the first message is no hello');
      first = false;
      this.#receive(socket, hostId, parsed.data);
      for (const waiter of [...this.#waiters]) if (waiter.check()) waiter.resolve();
    });
    socket.on('error', () => undefined);
  }

  #receive(socket: WebSocket, hostId: string, message: AgentMessage): void {
    if (this.faults.cut(message)) socket.terminate();
    if (socket.readyState !== socket.OPEN || this.faults.swallow(message)) return;
    this.messages.push(message);
    if (message.action === 'result') this.#store(message.result);
    if (message.action === 'hello' || message.action === 'observed') this.#see(message.observed);
    const lost = this.faults.loseAck(message);
    const answer = (what: unknown) => {
      if (lost) return;
      if (this.faults.delayMs === 0) socket.send(JSON.stringify(what));
      else setTimeout(() => socket.send(JSON.stringify(what)), this.faults.delayMs);
    };
    if (message.action === 'hello')
      answer({
        action: 'welcome',
        messageId: message.messageId,
        protocol: 1,
        heartbeatSeconds: this.heartbeatSeconds,
        leaseSeconds: this.heartbeatSeconds * 3,
        signedTime: signPayload(COMMAND_KEY, 'server-time', {
          hostId,
          messageId: message.messageId,
          nowMs: Date.now(),
        }),
      });
    else if ('messageId' in message) answer({ action: 'ack', messageId: message.messageId });
    if (message.action === 'hello' || message.action === 'heartbeat')
      for (const command of this.commands.values())
        if (!this.results.has(command.id)) socket.send(JSON.stringify(messageOf(command)));
  }

  #store(result: CommandResult): void {
    const before = this.results.get(result.commandId) ?? [];
    this.results.set(result.commandId, [...before, result]);
    if (result.observed) this.#see([result.observed]);
  }

  #see(observed: readonly ObservedContainer[]): void {
    for (const one of observed) {
      const newest = this.observed.get(one.containerId)?.sequence ?? 0;
      if ((one.sequence ?? 0) >= newest) this.observed.set(one.containerId, one);
    }
  }
}
