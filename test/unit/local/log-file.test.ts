import { existsSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterAll, expect, test } from '@jest/globals';
import { LogFile } from '../../../local/log-file.ts';
import { removeTemporaryDirectories, temporaryDirectory } from '../../helpers/local-fixtures.ts';

afterAll(removeTemporaryDirectories);

test('a log file is renamed when it reaches its limit, even across restarts', () => {
  const path = join(temporaryDirectory(), 'logs', 'a.log');
  const first = new LogFile(path, 10);
  first.append('12345\n');
  first.close();
  const second = new LogFile(path, 10);
  second.append('678\n');
  expect(readFileSync(path, 'utf8')).toBe('12345\n678\n');
  second.append('x');
  expect([readFileSync(path, 'utf8'), readFileSync(`${path}.1`, 'utf8')]).toEqual(['x', '12345\n678\n']);
  second.close();
});

test('writes after the end of a log file are dropped', () => {
  const path = join(temporaryDirectory(), 'a.log');
  const log = new LogFile(path);
  log.close();
  log.append('late');
  expect(existsSync(path)).toBe(false);
});
