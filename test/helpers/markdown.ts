import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';

/** Path of the checkout, with a trailing slash. */
export const ROOT = new URL('../..', import.meta.url).pathname;

const NOT_OURS = new Set(['node_modules', '.git', '.bulkhead', 'cdk.out', 'coverage', 'dist']);

/** The Markdown files of the checkout, as relative paths. */
export const markdownFiles = (folder = ''): readonly string[] =>
  readdirSync(join(ROOT, folder), { withFileTypes: true }).flatMap((entry) => {
    const path = folder === '' ? entry.name : `${folder}/${entry.name}`;
    if (entry.isDirectory()) return NOT_OURS.has(entry.name) ? [] : markdownFiles(path);
    return entry.isFile() && path.endsWith('.md') ? [path] : [];
  });

export const readDocument = (path: string): string => readFileSync(join(ROOT, path), 'utf8');

export interface CodeBlock {
  readonly path: string;
  /** Line number of the opening fence, beginning at 1. */
  readonly line: number;
  readonly language: string;
  readonly text: string;
  /** The text of the HTML comment on the line before the fence. */
  readonly note: string | undefined;
}

/** The fenced code blocks of a document, including those that are indented in a list. */
export const codeBlocks = (path: string, text = readDocument(path)): readonly CodeBlock[] =>
  [...text.matchAll(/(?:^[ \t]*<!-- *(.*?) *-->\n)?^([ \t]*)```(\S*)\n([\s\S]*?)^\2```$/gm)].map((match) => {
    const [all, note, indent = '', language = '', body = ''] = match;
    const fence = match.index + all.indexOf('```');
    return {
      path,
      line: text.slice(0, fence).split('\n').length,
      language,
      text: body.replaceAll(new RegExp(`^${indent}`, 'gm'), ''),
      note,
    };
  });

/** The prose of a document: its text without fenced code and code spans. */
export const proseOf = (text: string): string =>
  text.replaceAll(/^([ \t]*)```[\s\S]*?^\1```$/gm, '').replaceAll(/`[^`\n]*`/g, '');

/** GitHub's anchor for a heading. */
const anchorOf = (heading: string): string =>
  heading
    .toLowerCase()
    .replaceAll(/[^\p{L}\p{N}\s_-]/gu, '')
    .trim()
    .replaceAll(' ', '-');

export const anchorsOf = (text: string): ReadonlySet<string> =>
  new Set([...proseLines(text).matchAll(/^#+ (.*)$/gm)].map(([, heading = '']) => anchorOf(heading)));

const proseLines = (text: string): string => text.replaceAll(/^([ \t]*)```[\s\S]*?^\1```$/gm, '');
