import { readFileSync } from 'node:fs';
import { resolve } from 'node:path';
import { describe, expect, test } from '@jest/globals';
import { COMMANDS, commandList } from '../../../scripts/bootstrap/commands.mjs';
import { SYSTEM_PROGRAMS } from '../../../scripts/bootstrap/system-programs.mjs';

describe('the developer commands', () => {
  test('are exactly the scripts of package.json', () => {
    const file = readFileSync(resolve(import.meta.dirname, '../../../package.json'), 'utf8');
    const { scripts } = JSON.parse(file) as { scripts: Record<string, string> };
    const viaBootstrap = Object.keys(COMMANDS).map((name) => [name, `node scripts/bootstrap.mjs ${name}`]);
    expect(scripts).toEqual(Object.fromEntries(viaBootstrap));
  });

  test('need only existing groups of programs', () => {
    const groups = SYSTEM_PROGRAMS.map(({ group }) => group);
    for (const { needs = [] } of Object.values(COMMANDS))
      expect(groups).toEqual(expect.arrayContaining([...needs]));
  });

  test('are listed with a summary', () => {
    for (const [name, { summary }] of Object.entries(COMMANDS))
      expect(commandList()).toMatch(new RegExp(`^ +${name} +${summary}`, 'm'));
  });
});
