import type { Io } from './io.ts';
import type { SessionStream } from './session.ts';

/** Connects the CLI's terminal to a session: bytes in both directions and the window size. Restores the terminal at the end. */
type Input = NodeJS.ReadableStream & Partial<Pick<NodeJS.ReadStream, 'isTTY' | 'setRawMode'>>;

/** The detach keys, as in docker: Ctrl-P, Ctrl-Q. */
const DETACH = [0x10, 0x11] as const;

export interface Joined {
  readonly exitCode: number | null;
  readonly reason: string | undefined;
}

const sizeOf = (io: Io): { columns: number; rows: number } | undefined => {
  const { columns, rows } = io.stdout as { readonly columns?: number; readonly rows?: number };
  return columns === undefined || rows === undefined ? undefined : { columns, rows };
};

export const terminalSize = sizeOf;

export const isTerminal = ({ stdin, stdout }: Io): boolean =>
  (stdin as Input).isTTY === true && stdout.isTTY === true;

/** Finds the detach keys in the input, across chunks; everything else is passed on. */
export const createDetachKeys = () => {
  let armed = false;
  return (bytes: Uint8Array): { readonly pass: Uint8Array; readonly detach: boolean } => {
    const pass: number[] = [];
    for (const byte of bytes) {
      if (armed && byte === DETACH[1]) return { pass: Uint8Array.from(pass), detach: true };
      if (armed) pass.push(DETACH[0]);
      armed = byte === DETACH[0];
      if (!armed) pass.push(byte);
    }
    return { pass: Uint8Array.from(pass), detach: false };
  };
};

const pipeInput = (input: Input, session: SessionStream, tty: boolean): (() => void) => {
  const detachKeys = createDetachKeys();
  const onData = (chunk: Buffer): void => {
    const { pass, detach } = tty ? detachKeys(chunk) : { pass: chunk, detach: false };
    input.pause();
    const sent = pass.length === 0 ? Promise.resolve() : session.write(pass);
    sent.then(
      () => void (detach ? session.detach() : input.resume()),
      () => undefined,
    );
  };
  const onEnd = (): void => void session.endInput();
  input.on('data', onData);
  input.on('end', onEnd);
  input.resume();
  return () => {
    input.off('data', onData);
    input.off('end', onEnd);
    input.pause();
  };
};

/** Writes output, and pauses the session while the reader is slow. */
const pipeOutput = (io: Io, session: SessionStream): void => {
  session.onOutput((stream, bytes) => {
    const output = (stream === 'stderr' ? io.stderr : io.stdout) as NodeJS.WritableStream;
    if (output.write(bytes) !== false) return;
    session.pause();
    output.once?.('drain', () => session.resume());
  });
};

/** Connects the terminal with the session until the session ends. */
export const joinTerminal = async (
  io: Io,
  session: SessionStream,
  { tty, stdin }: { readonly tty: boolean; readonly stdin: boolean },
): Promise<Joined> => {
  const input = io.stdin as Input;
  const onResize = (): void => {
    const size = sizeOf(io);
    if (size !== undefined) session.resize(size.columns, size.rows);
  };
  const output = io.stdout as NodeJS.WriteStream;
  if (tty) {
    input.setRawMode?.(true);
    output.on?.('resize', onResize);
  }
  pipeOutput(io, session);
  const release = stdin ? pipeInput(input, session, tty) : () => undefined;
  const onInterrupt = (): void => void session.signal('INT');
  io.interrupted.addEventListener('abort', onInterrupt);
  try {
    const { exitCode, reason } = await session.exit;
    return { exitCode, reason };
  } finally {
    io.interrupted.removeEventListener('abort', onInterrupt);
    release();
    if (tty) {
      output.off?.('resize', onResize);
      input.setRawMode?.(false);
    }
  }
};
