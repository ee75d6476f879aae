import type { Client } from '../core/client/index.ts';
import type { OutputStream, SessionRequest, SignalName } from '../core/contract/session.ts';
import type { Io } from './io.ts';

/** The bytes of a process in a container, both ways: the part of the client's session that the CLI uses. */
export interface SessionStream {
  /** Resolves when there is room for more. */
  write(bytes: Uint8Array): Promise<void>;
  endInput(): unknown;
  resize(columns: number, rows: number): unknown;
  signal(name: SignalName): unknown;
  onOutput(listener: (stream: OutputStream, bytes: Uint8Array) => void): unknown;
  pause(): void;
  resume(): void;
  readonly exit: Promise<{ readonly exitCode: number | null; readonly reason?: string }>;
  close(): unknown;
}

export interface SessionAddress {
  readonly url: string;
  readonly token: string;
  readonly sessionId: string;
}

/** Connects to a session that has been opened. */
export type Connect = (address: SessionAddress) => SessionStream | Promise<SessionStream>;

/** Starts a process in a container, or joins its main one. */
export const openContainerSession = async (
  client: Client,
  { connect }: Pick<Io, 'connect'>,
  idOrName: string,
  body: SessionRequest,
): Promise<SessionStream> => {
  const answer = await client.call('openSession', { params: { idOrName }, body });
  return connect(answer as SessionAddress);
};
