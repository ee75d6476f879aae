import type { Client } from '../core/client/index.ts';
import type { OutputStream, SessionRequest, SignalName } from '../core/contract/session.ts';
import type { Io } from './io.ts';

/** The part of the client's session that the CLI uses: bytes from and to a process in a container. */
export interface SessionStream {
  /** Resolves when more can be written. */
  write(bytes: Uint8Array): Promise<void>;
  endInput(): unknown;
  resize(columns: number, rows: number): unknown;
  signal(name: SignalName): unknown;
  onOutput(listener: (stream: OutputStream, bytes: Uint8Array) => void): unknown;
  pause(): void;
  resume(): void;
  readonly exit: Promise<{ readonly exitCode: number | null; readonly reason?: string }>;
  close(): unknown;
  /** Ends the session, but not its process. */
  detach(): unknown;
}

export interface SessionAddress {
  readonly url: string;
  readonly token: string;
  readonly sessionId: string;
}

/** Connects to an opened session. */
export type Connect = (address: SessionAddress) => SessionStream | Promise<SessionStream>;

/** Starts a process in a container, or attaches to its main process. */
export const openContainerSession = async (
  client: Client,
  { connect }: Pick<Io, 'connect'>,
  idOrName: string,
  body: SessionRequest,
): Promise<SessionStream> => {
  const answer = await client.call('openSession', { params: { idOrName }, body });
  return connect(answer as SessionAddress);
};
