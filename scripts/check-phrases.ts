/** A step of `npm run check`: lists phrases that `docs/style.md` refuses, and exits with 1 if there are any. */
import { checkPhrases } from './lint/phrases/check-phrases.ts';

const lines = checkPhrases(new URL('..', import.meta.url).pathname);
for (const line of lines) console.error(line);
process.exitCode = lines.length === 0 ? 0 : 1;
