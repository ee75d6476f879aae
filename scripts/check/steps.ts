/** A step of `npm run check`. */
export interface Step {
  readonly name: string;
  readonly command: readonly string[];
  /** What to do when it fails. */
  readonly advice: string;
}

const NODE = process.execPath;

export const STEPS: readonly Step[] = [
  {
    name: 'types',
    command: [NODE, 'node_modules/typescript/bin/tsc', '--noEmit', '--pretty', 'false'],
    advice: 'Each line above is a type error, at file(line,column).',
  },
  {
    name: 'format and lint',
    command: [
      NODE,
      'node_modules/@biomejs/biome/bin/biome',
      'ci',
      '--error-on-warnings',
      '--colors=off',
      '.',
    ],
    advice: 'Run: npx biome check --write .   It corrects the format and applies safe fixes.',
  },
  {
    name: 'import rules',
    command: [
      NODE,
      'node_modules/dependency-cruiser/bin/dependency-cruiser.mjs',
      '--config',
      '.dependency-cruiser.mjs',
      '.',
    ],
    advice: 'The rules and their reasons are in .dependency-cruiser.mjs.',
  },
  {
    name: 'generated documents',
    command: [NODE, 'scripts/generate-docs.ts', '--check'],
    advice: 'Run: npm run docs   and commit the result.',
  },
  {
    name: 'phrases',
    command: [NODE, 'scripts/check-phrases.ts'],
    advice: 'Rewrite each phrase. docs/style.md has the list, the rules and examples.',
  },
];
