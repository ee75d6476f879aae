import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, test } from '@jest/globals';
import { toCliSuggestion } from '../../../cli/output/suggestions.ts';
import { ROUTES } from '../../../core/contract/http/routes.ts';
import { ProblemSchema } from '../../../core/contract/problem.ts';
import { fakeApi, problem } from '../client/fake-api.ts';
import { containerOf, operationOf } from '../client/records.ts';
import { run } from './harness.ts';

const ROOT = new URL('../../..', import.meta.url).pathname;
/** The folders whose errors can reach a user of the CLI. */
const SOURCES = ['agent', 'core', 'functions', 'store', 'workflow'];

/** The end of an expression that begins at `start`: the first comma, semicolon or closing bracket outside of brackets. */
const endOfExpression = (source: string, start: number): number => {
  let depth = 0;
  let quote = '';
  for (let at = start; at < source.length; at += 1) {
    const character = source[at] ?? '';
    if (quote !== '') {
      if (character === '\\') at += 1;
      else if (character === quote) quote = '';
    } else if ('\'"`'.includes(character)) quote = character;
    else if ('([{'.includes(character)) depth += 1;
    else if (')]}'.includes(character)) depth -= 1;
    if (depth < 0 || (depth === 0 && quote === '' && ',;'.includes(character))) return at;
  }
  return source.length;
};

/** The sentences of every expression after `suggestion:`, with each `${…}` filled in. */
const suggestionsIn = (source: string): readonly string[] =>
  [...source.matchAll(/\bsuggestion:/g)].flatMap(({ index, 0: { length } }) => {
    const expression = source.slice(index + length, endOfExpression(source, index + length));
    return [...expression.matchAll(/(['`])((?:(?!\1)[^\\]|\\.)+)\1/gs)]
      .map(([, , text = '']) => text.replaceAll(/\$\{[^}]*\}/g, 'HyperV'))
      .filter((text) => text.includes(' '));
  });

const suggestions: readonly string[] = SOURCES.flatMap((folder) =>
  readdirSync(join(ROOT, folder), { recursive: true, encoding: 'utf8' })
    .filter((name) => name.endsWith('.ts'))
    .flatMap((name) => suggestionsIn(readFileSync(join(ROOT, folder, name), 'utf8'))),
);

const API_TERMS =
  /\b(GET|POST|PUT|PATCH|DELETE) \/|\/v1\/|Idempotency-Key|Retry-After|If-Match|\?force|hostId|runtimeType|acceptUntrustedDisk|strategy "|cursor/;

const commandsIn = (text: string): readonly string[] =>
  [...text.matchAll(/`bulkhead ([^`]+)`/g)].map(([, command = '']) => command);

describe('suggestions of the API in the CLI', () => {
  test('are found in the sources, including in conditional expressions', () => {
    expect(suggestions.filter((text) => text.includes('/v1/')).length).toBeGreaterThan(5);
    expect(suggestions.some((text) => text.includes('strategy to "recreate"'))).toBe(true);
  });

  test.each(suggestions)('%s: has no route, header or member of the API', (suggestion) => {
    expect(toCliSuggestion(suggestion)).not.toMatch(API_TERMS);
  });

  test.each(suggestions.filter((text) => text.includes('/v1/')))(
    '%s: has a command that exists',
    async (text) => {
      const commands = commandsIn(toCliSuggestion(text));
      expect(commands.length).toBeGreaterThan(0);
      for (const command of commands) expect((await run([...command.split(' '), '--help'])).exitCode).toBe(0);
    },
  );

  test.each([
    [
      'Wait for it with GET /v1/operations/0e1f-22?waitSeconds=25, or cancel it.',
      'Wait for it with `bulkhead operation wait 0e1f-22`, or cancel it.',
    ],
    [
      'Remove them first: GET /v1/containers?image=registry%2Fapp%3A1.2.',
      'Remove them first: `bulkhead container list --image registry/app:1.2`.',
    ],
    ['See GET /v1/hosts.', 'See `bulkhead host list`.'],
    [
      'Use POST /v1/hosts/enrollment-tokens, or GET /v1/images/registry/app.',
      'Use `bulkhead host enroll`, or `bulkhead image get registry/app`.',
    ],
    ['Stop it first, or remove it with ?force=true.', 'Stop it first, or remove it with --force.'],
    ['Set strategy to "recreate".', 'Use --strategy recreate.'],
    ['Wait 3 s (header Retry-After), then repeat the request.', 'Wait 3 s, then run the command again.'],
    ['See GET /v1/no-such-route.', 'See GET /v1/no-such-route.'],
  ])('%s', (suggestion, expected) => {
    expect(toCliSuggestion(suggestion)).toBe(expected);
  });

  test.each(ROUTES.map((route) => [`${route.method} ${route.path}`, route.operationId] as const))(
    '%s becomes a command that exists, or stays if there is none',
    async (route, operationId) => {
      const text = toCliSuggestion(`See ${route.replaceAll(/\{[^}]+\}/g, 'web')}.`);
      const [command] = commandsIn(text);
      const withoutCommand = ['revokeSession', 'enrollHost', 'getHealth', 'getOpenApi'];
      expect(command === undefined).toBe(withoutCommand.includes(operationId));
      if (command !== undefined) expect((await run([...command.split(' '), '--help'])).exitCode).toBe(0);
    },
  );
});

describe('the CLI shows a suggestion of the API in its own terms', () => {
  const suggestion = 'See GET /v1/hosts.';
  const expected = 'See `bulkhead host list`.';
  const reply = problem(409, 'invalid-state', { suggestion });
  const failure = ProblemSchema.parse(reply.body);

  test('in an error as text and as JSON', async () => {
    const text = await run(['container', 'get', 'web'], { fetch: fakeApi(reply).fetch });
    expect(text.stderr).toContain(`Try:   ${expected}`);
    const json = await run(['container', 'get', 'web', '-o', 'json'], { fetch: fakeApi(reply).fetch });
    expect(JSON.parse(json.stderr).error.suggestion).toBe(expected);
  });

  test.each([
    ['container', containerOf({ lastError: failure })],
    ['operation', operationOf({ state: 'Failed', error: failure })],
  ])('in the last error of a %s', async (group, body) => {
    const { stdout } = await run([group, 'get', 'web'], { fetch: fakeApi({ status: 200, body }).fetch });
    expect(stdout).toContain(expected);
  });
});
