import { expect, test } from '@jest/globals';
import { cutCommand, SHOWN_COMMAND_LENGTH } from '../../../core/domain/summary.ts';

test('a command that fits is the same array', () => {
  const command = ['sh', '-c', 'x'.repeat(SHOWN_COMMAND_LENGTH - 4)];
  expect(cutCommand(command)).toBe(command);
  expect(cutCommand(undefined)).toBeUndefined();
});

test('a longer command is cut in the word that exceeds the limit', () => {
  const command = ['sh', '-c', 'x'.repeat(SHOWN_COMMAND_LENGTH), 'never shown'];
  const shown = cutCommand(command);
  expect(shown).toEqual(['sh', '-c', `${'x'.repeat(SHOWN_COMMAND_LENGTH - 4)}…`]);
});
