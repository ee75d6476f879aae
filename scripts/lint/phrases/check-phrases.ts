import { readdirSync, readFileSync } from 'node:fs';
import { extname, join } from 'node:path';
import { findPhrases } from './find-phrases.ts';
import { type Phrase, readPhrases } from './phrase-table.ts';

/** Folders that still contain refused phrases. Remove a folder here when it has none; the check then covers it. */
export const FOLDERS_NOT_CHECKED_YET: readonly string[] = [];

const STYLE = 'docs/style.md';
const KINDS = new Set(['.ts', '.mts', '.mjs', '.c', '.h', '.inc', '.sh', '.md']);
const GENERATED = ['node_modules', '.git', '.bulkhead', 'cdk.out', 'coverage', 'cli/dist', 'docs/api'];

/**
 * @param root the checkout
 * @param notChecked folders to leave out
 * @returns one line a finding, `file:line: "phrase" is refused; write instead: …`, and one for each folder in
 * `notChecked` that has no finding
 */
export const checkPhrases = (root: string, notChecked = FOLDERS_NOT_CHECKED_YET): readonly string[] => {
  const phrases = readPhrases(readFileSync(join(root, STYLE), 'utf8'));
  const findings = filesBeneath(root).flatMap((path) => findingsOf(root, path, phrases));
  const isLeftOut = (path: string) => notChecked.some((folder) => path.startsWith(`${folder}/`));
  return [
    ...findings.filter(({ path }) => !isLeftOut(path)).map(({ text }) => text),
    ...notChecked
      .filter((folder) => !findings.some(({ path }) => path.startsWith(`${folder}/`)))
      .map((folder) => `${folder}/ has no refused phrase: remove it from FOLDERS_NOT_CHECKED_YET`),
  ];
};

const findingsOf = (root: string, path: string, phrases: readonly Phrase[]) =>
  findPhrases(readFileSync(join(root, path), 'utf8'), phrases).map(({ line, phrase, instead }) => ({
    path,
    text: `${path}:${line}: "${phrase}" is refused; write instead: ${instead}`,
  }));

/** The files to look at, relative to the root. `docs/style.md` quotes the phrases. */
const filesBeneath = (root: string, folder = ''): readonly string[] =>
  readdirSync(join(root, folder), { withFileTypes: true }).flatMap((entry) => {
    const path = folder === '' ? entry.name : `${folder}/${entry.name}`;
    if (GENERATED.includes(entry.name) || GENERATED.includes(path)) return [];
    if (entry.isDirectory()) return filesBeneath(root, path);
    return entry.isFile() && KINDS.has(extname(path)) && path !== STYLE ? [path] : [];
  });
