import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, test } from '@jest/globals';
import { inTermsOfCli } from '../../../cli/output/suggestions.ts';

const ROOT = new URL('../../..', import.meta.url).pathname;
const SOURCES = ['core/domain', 'functions', 'store', 'workflow'];

/** The suggestions in the sources of the API, with each `${…}` filled in. */
const suggestions = (): readonly string[] => {
  const files = SOURCES.flatMap((folder) =>
    readdirSync(join(ROOT, folder), { recursive: true, encoding: 'utf8' }).map((name) => join(folder, name)),
  ).filter((file) => file.endsWith('.ts'));
  return files.flatMap((file) =>
    [...readFileSync(join(ROOT, file), 'utf8').matchAll(/suggestion:[^'`]*?(['`])((?:(?!\1).)+)\1/gs)].map(
      ([, , text = '']) => text.replaceAll(/\$\{[^}]*\}/g, 'web-1'),
    ),
  );
};

describe('suggestions of the API in the CLI', () => {
  test('the sources contain suggestions that name routes', () => {
    expect(suggestions().filter((text) => text.includes('/v1/')).length).toBeGreaterThan(5);
  });

  test.each(suggestions())('%s: names no route, header or member of the API', (suggestion) => {
    expect(inTermsOfCli(suggestion)).not.toMatch(
      /\/v1\/|Idempotency-Key|Retry-After|\?force|hostId|acceptUntrustedDisk/,
    );
  });

  test.each([
    [
      'Wait for it with GET /v1/operations/0e1f-22?waitSeconds=25, or cancel it.',
      'Wait for it with `bulkhead operation wait 0e1f-22`, or cancel it.',
    ],
    [
      'Remove them first: GET /v1/containers?image=registry%2Fapp%3A1.2.',
      'Remove them first: `bulkhead container list --image registry/app:1.2`.',
    ],
    ['Stop it first, or remove it with ?force=true.', 'Stop it first, or remove it with --force.'],
  ])('%s', (suggestion, expected) => {
    expect(inTermsOfCli(suggestion)).toBe(expected);
  });
});
