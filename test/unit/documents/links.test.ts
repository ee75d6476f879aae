import { existsSync } from 'node:fs';
import { dirname, join, normalize } from 'node:path';
import { describe, expect, test } from '@jest/globals';
import { anchorsOf, markdownFiles, proseOf, ROOT, readDocument } from '../../helpers/markdown.ts';

const linksOf = (path: string): readonly string[] =>
  [...proseOf(readDocument(path)).matchAll(/\]\(([^)\s]+)\)/g)]
    .map(([, target = '']) => target)
    .filter((target) => !/^[a-z]+:/.test(target));

const isBroken = (path: string, link: string): boolean => {
  const [file = '', anchor] = link.split('#');
  const target = file === '' ? path : normalize(join(dirname(path), file));
  if (!existsSync(join(ROOT, target))) return true;
  return anchor !== undefined && !anchorsOf(readDocument(target)).has(anchor);
};

describe('relative links', () => {
  test.each(markdownFiles())('of %s point to existing files and headings', (path) => {
    expect(linksOf(path).filter((link) => isBroken(path, link))).toEqual([]);
  });

  test('are found and checked', () => {
    expect(linksOf('README.md')).toContain('docs/style.md');
    expect(isBroken('docs/style.md', '#glossary')).toBe(false);
    expect(isBroken('docs/style.md', '#no-such-heading')).toBe(true);
    expect(isBroken('docs/style.md', 'no-such-file.md')).toBe(true);
  });
});
