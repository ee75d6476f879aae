import { SynthesisError } from '../errors.ts';

/** Smaller versions of SDK sources. Each throws a SynthesisError if its input is not the source that it was written for. */

const expected = (condition: boolean, what: string): void => {
  if (!condition)
    throw new SynthesisError(`The SDK has changed: ${what}. See lib/bundling/trimmed-sources.ts.`);
};

/** A client reads only the version from its package.json; the bundle would include the whole file. */
export const onlyVersion = (source: string): string => {
  const { name, version } = JSON.parse(source) as { name: string; version?: string };
  expected(typeof version === 'string', `${name} has no version`);
  return JSON.stringify({ version });
};

const CLASS = /^export class (\w+) extends __BaseException \{$[\s\S]*?^\}$/gm;

/**
 * Keeps the error classes of a client that matter: those `named`, and those that the SDK retries because of a mark on the
 * class. Any other error arrives as the client's base class with its own name, status and message, as the SDK handles
 * unknown errors. Importing a class that is not named here fails the bundling.
 */
export const onlyErrors =
  (named: readonly string[]) =>
  (source: string): string => {
    const classes = [...source.matchAll(CLASS)];
    const names = classes.map(([, name]) => name ?? '');
    expected(names.length > 0, 'the error classes are not in the expected place');
    for (const name of named) expected(names.includes(name), `there is no error ${name}`);
    const rest = source.replace(CLASS, '').trim();
    expected(
      /^import [^\n]* as __BaseException [^\n]*$/.test(rest),
      `the list of errors contains something else: ${rest}`,
    );
    const kept = classes.filter(([text, name = '']) => named.includes(name) || text.includes('$retryable'));
    return [rest, ...kept.map(([text]) => text)].join('\n');
  };

const ERRORS_IMPORT = /^import \{ ([\w, ]+?),? \} from "\.\.\/models\/errors";$/m;
const REGISTERED =
  /^export var (\w+)\$ = \[-3, n0, [\s\S]*?^\];\nn0_registry\.registerError\(\1\$, \1\);\n/gm;

/** A client's schemas, with only the errors that {@link onlyErrors} keeps. */
export const onlyRegistered =
  (errors: () => string) =>
  (source: string): string => {
    const kept = [...errors().matchAll(CLASS)].map(([, name]) => name ?? '');
    const imported = ERRORS_IMPORT.exec(source)?.[1]?.split(', ') ?? [];
    const registered = [...source.matchAll(REGISTERED)].map(([, name]) => name);
    expected(imported.length > 0, 'the schemas of the errors are missing');
    expected(
      imported.every((name) => registered.includes(name)),
      'errors are registered differently',
    );
    return source
      .replace(ERRORS_IMPORT, `import { ${kept.join(', ')} } from "../models/errors";`)
      .replace(REGISTERED, (text: string, name: string) => (kept.includes(name) ? text : ''));
  };

/** Partitions are matched by region name patterns. The lists of regions only add descriptions, so they are dropped. */
export const withoutRegions = (source: string): string => {
  const start = 'export const partitionsInfo = ';
  const at = source.indexOf(start);
  expected(at >= 0, 'partitions are written differently');
  const end = source.indexOf('\n};', at) + 2;
  const { partitions } = JSON.parse(source.slice(at + start.length, end)) as {
    partitions: { id: string; regionRegex: string; outputs: object }[];
  };
  const small = partitions.map(({ id, regionRegex, outputs }) => ({ id, regionRegex, outputs, regions: {} }));
  expected(source.slice(end).trim() === ';', 'the partitions contain other code');
  return `${start}${JSON.stringify({ partitions: small })};`;
};

/**
 * The endpoint of a service without the rules engine. Its rules depend on settings that are never used here: account
 * ids, table ARNs, global endpoints of a bus, FIPS and dual stack. Requests for those are refused.
 */
export const endpointResolver = (service: string): string => `
import { partition } from '@aws-sdk/core/client';
export const defaultEndpointResolver = ({ Endpoint, Region, UseFIPS, UseDualStack, EndpointId }) => {
  if (UseFIPS || UseDualStack || EndpointId)
    throw new Error('FIPS, dual-stack and global endpoints are not in this bundle.');
  if (Endpoint !== undefined) return { url: new URL(Endpoint) };
  return { url: new URL('https://${service}.' + Region + '.' + partition(Region).dnsSuffix) };
};`;
