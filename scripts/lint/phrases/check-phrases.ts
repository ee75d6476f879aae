import { readdirSync, readFileSync } from 'node:fs';
import { extname, join } from 'node:path';
import { findPhrases } from './find-phrases.ts';
import { type Phrase, readPhrases } from './phrase-table.ts';

const STYLE = 'docs/style.md';
const KINDS = new Set(['.ts', '.mts', '.mjs', '.c', '.h', '.inc', '.sh', '.md']);
const GENERATED = ['node_modules', '.git', '.bulkhead', 'cdk.out', 'coverage', 'cli/dist', 'docs/api'];

/**
 * @param root the checkout
 * @returns one line per finding: `file:line: "phrase" is refused; write instead: …`
 */
export const checkPhrases = (root: string): readonly string[] => {
  const phrases = readPhrases(readFileSync(join(root, STYLE), 'utf8'));
  return filesBeneath(root).flatMap((path) => findingsOf(root, path, phrases));
};

const findingsOf = (root: string, path: string, phrases: readonly Phrase[]) =>
  findPhrases(readFileSync(join(root, path), 'utf8'), phrases).map(
    ({ line, phrase, instead }) => `${path}:${line}: "${phrase}" is refused; write instead: ${instead}`,
  );

/** The files to look at, relative to the root. `docs/style.md` quotes the phrases. */
const filesBeneath = (root: string, folder = ''): readonly string[] =>
  readdirSync(join(root, folder), { withFileTypes: true }).flatMap((entry) => {
    const path = folder === '' ? entry.name : `${folder}/${entry.name}`;
    if (GENERATED.includes(entry.name) || GENERATED.includes(path)) return [];
    if (entry.isDirectory()) return filesBeneath(root, path);
    return entry.isFile() && KINDS.has(extname(path)) && path !== STYLE ? [path] : [];
  });
