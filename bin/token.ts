#!/usr/bin/env node
/** `npm run token`: creates a token for the local API with the local issuer's key. The API does not need to run. */
import { randomUUID } from 'node:crypto';
import { parseArgs } from 'node:util';
import { SCOPES } from '../core/contract/http/routes.ts';
import { issueToken } from '../local/identity/issue-token.ts';
import { loadSigningKey } from '../local/identity/signing-key.ts';
import { CommandError, describeError } from './local/errors.ts';
import { DEFAULT_STATE_DIR } from './local/options.ts';
import { keyFileOf, parseDuration, parseScopes } from './local/token.ts';

const HELP = `npm run --silent token -- --tenant TENANT [--scopes a,b] [--expires 1h] [--subject NAME] [--json]

Writes a token for the local API to stdout.
  --tenant     tenant of the token
  --scopes     scopes, separated by commas. Default: ${SCOPES.join(',')}
  --expires    validity, such as 90s, 15m, 1h or 7d. Default: 1h
  --subject    actor in the list of events. Default: developer
  --state-dir  state folder of the local Bulkhead. Default: .bulkhead
  --json       write JSON: {token, tenant, scopes, subject, expiresAt}`;

const text = { type: 'string' } as const;
const flag = { type: 'boolean', default: false } as const;
const OPTIONS = {
  ...{ tenant: text, scopes: text, expires: text, subject: text, 'state-dir': text },
  ...{ json: flag, help: flag },
} as const;

const parse = () => {
  try {
    return parseArgs({ options: OPTIONS }).values;
  } catch (error) {
    throw new CommandError('usage', `${(error as Error).message}\n\n${HELP}`);
  }
};

const main = async (): Promise<string> => {
  const values = parse();
  if (values.help) return HELP;
  if (values.tenant === undefined)
    throw new CommandError('usage', `No tenant was given. Use --tenant NAME.\n\n${HELP}`);
  const request = {
    tenant: values.tenant,
    scopes: parseScopes(values.scopes ?? SCOPES.join(',')),
    subject: values.subject ?? 'developer',
    expiresInSeconds: parseDuration(values.expires ?? '1h'),
  };
  const key = await loadSigningKey(keyFileOf(values['state-dir'] ?? DEFAULT_STATE_DIR));
  const token = await issueToken({ key, now: Date.now, newId: randomUUID }, request);
  if (!values.json) return token;
  const { tenant, scopes, subject, expiresInSeconds } = request;
  const expiresAt = new Date(Date.now() + expiresInSeconds * 1000).toISOString();
  return JSON.stringify({ token, tenant, scopes, subject, expiresAt });
};

try {
  console.log(await main());
} catch (error) {
  console.error(describeError(error));
  process.exitCode = 1;
}
