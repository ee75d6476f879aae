#!/usr/bin/env node
/** The CLI `bulkhead`. */
import { homedir } from 'node:os';
import { main } from '../cli/main.ts';
import { connect } from './bulkhead/connect.ts';

const interrupted = new AbortController();
let signals = 0;
for (const signal of ['SIGINT', 'SIGTERM'] as const)
  process.on(signal, () => {
    signals += 1;
    interrupted.abort();
    if (signals > 1) process.exit(130);
  });
// A reader that closes the pipe early (`| head`) is not an error.
process.stdout.on('error', (error: NodeJS.ErrnoException) => {
  if (error.code === 'EPIPE') process.exit(0);
  throw error;
});

process.exitCode = await main(process.argv.slice(2), {
  stdout: process.stdout,
  stderr: process.stderr,
  stdin: process.stdin,
  env: process.env,
  cwd: process.cwd(),
  home: homedir(),
  userId: process.getuid?.(),
  fetch,
  connect,
  interrupted: interrupted.signal,
});
