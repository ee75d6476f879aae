import { existsSync, mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, expect, test } from '@jest/globals';
import { checkTableFormat } from '../../../bin/local/table-format.ts';
import { TABLE } from '../../../core/contract/deployment.ts';

let stateDir: string;
beforeEach(() => {
  stateDir = mkdtempSync(join(tmpdir(), 'bulkhead-format-'));
});
afterEach(() => rmSync(stateDir, { recursive: true }));

const file = () => join(stateDir, 'table-format.json');
const addTable = () => mkdirSync(join(stateDir, 'dynamodb'));

test('a new state folder gets the format of this version and is accepted afterwards', () => {
  checkTableFormat(stateDir);
  addTable();
  checkTableFormat(stateDir);
  expect(JSON.parse(readFileSync(file(), 'utf8'))).toBe(TABLE.format);
});

test('a table without a format is refused with a suggestion, and stays unchanged', () => {
  addTable();
  expect(() => checkTableFormat(stateDir)).toThrow(
    /written by another version of Bulkhead.*--reset.*--state-dir/s,
  );
  expect(existsSync(file())).toBe(false);
});

test.each(['0', '2', '4', '"3"', 'null', 'not JSON', ''])('a table of format %s is refused', (format) => {
  addTable();
  writeFileSync(file(), format);
  expect(() => checkTableFormat(stateDir)).toThrow(expect.objectContaining({ code: 'other-table-format' }));
});

test('after a reset, which deletes the table, the folder is accepted', () => {
  writeFileSync(file(), '0');
  checkTableFormat(stateDir);
  addTable();
  expect(() => checkTableFormat(stateDir)).not.toThrow();
});
