import { describe, expect, test } from '@jest/globals';
import { validate } from '@probelabs/maid';
import { codeBlocks, markdownFiles } from '../../helpers/markdown.ts';

const diagrams = markdownFiles()
  .flatMap((path) => codeBlocks(path))
  .filter(({ language }) => language === 'mermaid');

/** Kinds for which the parser has a grammar; it accepts any text of another kind. */
const CHECKED = ['flowchart', 'sequence', 'state', 'class', 'pie'];

describe('Mermaid diagrams', () => {
  test.each(diagrams.map((block) => [`${block.path}:${block.line}`, block.text] as const))(
    '%s parses',
    (_, text) => {
      const { type, errors } = validate(text);
      expect(CHECKED).toContain(type);
      expect(errors).toEqual([]);
    },
  );

  test('the architecture shows the parts, a create and a conversion', () => {
    expect(diagrams.filter(({ path }) => path === 'docs/architecture.md')).toHaveLength(3);
  });

  test.each([
    ['a flowchart with an open bracket', 'flowchart LR\n  a[One --> b'],
    ['a sequence with an unknown arrow', 'sequenceDiagram\n  A=>B: hello'],
    ['a sequence with an open block', 'sequenceDiagram\n  alt one\n  A->>B: hello'],
  ])('the parser refuses %s', (_, text) => {
    expect(validate(text).errors).not.toEqual([]);
  });
});
