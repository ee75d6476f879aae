import { SynthesisError } from '../errors.ts';

/** Sources of the SDK, made smaller. Each throws a SynthesisError when what it is given is not what it was written for. */

const expected = (condition: boolean, what: string): void => {
  if (!condition)
    throw new SynthesisError(`The SDK has changed: ${what}. See lib/bundling/trimmed-sources.ts.`);
};

/** A client asks its package.json for the version alone, and a bundle would hold all of it. */
export const onlyVersion = (source: string): string => {
  const { name, version } = JSON.parse(source) as { name: string; version?: string };
  expected(typeof version === 'string', `${name} has no version`);
  return JSON.stringify({ version });
};

const CLASS = /^export class (\w+) extends __BaseException \{$[\s\S]*?^\}$/gm;

/**
 * Of a client's errors, those that somebody tells apart: those `named`, and those that the SDK itself repeats for a mark on
 * their class. Any other comes as the client's base class with its own name, status and message, which is what the SDK does
 * with errors that it does not know; importing a class that is not named here fails the bundling.
 */
export const onlyErrors =
  (named: readonly string[]) =>
  (source: string): string => {
    const classes = [...source.matchAll(CLASS)];
    const names = classes.map(([, name]) => name ?? '');
    expected(names.length > 0, 'no errors where there were');
    for (const name of named) expected(names.includes(name), `there is no error ${name}`);
    const rest = source.replace(CLASS, '').trim();
    expected(
      /^import [^\n]* as __BaseException [^\n]*$/.test(rest),
      `more than errors among the errors: ${rest}`,
    );
    const kept = classes.filter(([text, name = '']) => named.includes(name) || text.includes('$retryable'));
    return [rest, ...kept.map(([text]) => text)].join('\n');
  };

const ERRORS_IMPORT = /^import \{ ([\w, ]+?),? \} from "\.\.\/models\/errors";$/m;
const REGISTERED =
  /^export var (\w+)\$ = \[-3, n0, [\s\S]*?^\];\nn0_registry\.registerError\(\1\$, \1\);\n/gm;

/** A client's schemas, of whose errors those are left that are among its errors ({@link onlyErrors}). */
export const onlyRegistered =
  (errors: () => string) =>
  (source: string): string => {
    const kept = [...errors().matchAll(CLASS)].map(([, name]) => name ?? '');
    const imported = ERRORS_IMPORT.exec(source)?.[1]?.split(', ') ?? [];
    const registered = [...source.matchAll(REGISTERED)].map(([, name]) => name);
    expected(imported.length > 0, 'no schema of an error');
    expected(
      imported.every((name) => registered.includes(name)),
      'errors are registered in another way',
    );
    return source
      .replace(ERRORS_IMPORT, `import { ${kept.join(', ')} } from "../models/errors";`)
      .replace(REGISTERED, (text: string, name: string) => (kept.includes(name) ? text : ''));
  };

/** Partitions are found by patterns of regions' names; the lists of regions beside them add their descriptions. */
export const withoutRegions = (source: string): string => {
  const start = 'export const partitionsInfo = ';
  const at = source.indexOf(start);
  expected(at >= 0, 'partitions are written in another way');
  const end = source.indexOf('\n};', at) + 2;
  const { partitions } = JSON.parse(source.slice(at + start.length, end)) as {
    partitions: { id: string; regionRegex: string; outputs: object }[];
  };
  const small = partitions.map(({ id, regionRegex, outputs }) => ({ id, regionRegex, outputs, regions: {} }));
  expected(source.slice(end).trim() === ';', 'more than partitions among the partitions');
  return `${start}${JSON.stringify({ partitions: small })};`;
};

/**
 * The endpoint of a service without the engine of rules and the service's rules, which decide by what is never given here:
 * account ids, ARNs for names of tables, global endpoints of a bus, FIPS and dual stack. What can be asked for is refused.
 */
export const endpointResolver = (service: string): string => `
import { partition } from '@aws-sdk/core/client';
export const defaultEndpointResolver = ({ Endpoint, Region, UseFIPS, UseDualStack, EndpointId }) => {
  if (UseFIPS || UseDualStack || EndpointId)
    throw new Error('FIPS, dual-stack and global endpoints are not in this bundle.');
  if (Endpoint !== undefined) return { url: new URL(Endpoint) };
  return { url: new URL('https://${service}.' + Region + '.' + partition(Region).dnsSuffix) };
};`;
