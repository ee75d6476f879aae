import { expect, test } from '@jest/globals';
import { cutCommand, SHOWN_COMMAND_LENGTH } from '../../../core/domain/summary.ts';

test('a short command is returned unchanged, as the same array', () => {
  const command = ['sh', '-c', 'x'.repeat(SHOWN_COMMAND_LENGTH - 4)];
  expect(cutCommand(command)).toBe(command);
  expect(cutCommand(undefined)).toBeUndefined();
});

test('a long command is truncated in the word that exceeds the limit', () => {
  const command = ['sh', '-c', 'x'.repeat(SHOWN_COMMAND_LENGTH), 'never shown'];
  const shown = cutCommand(command);
  expect(shown).toEqual(['sh', '-c', `${'x'.repeat(SHOWN_COMMAND_LENGTH - 4)}…`]);
});
