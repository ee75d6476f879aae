/** `npm run check` runs this: no file has a phrase that `docs/style.md` refuses. Ends with 1 when one has. */
import { checkPhrases } from './lint/phrases/check-phrases.ts';

const lines = checkPhrases(new URL('..', import.meta.url).pathname);
for (const line of lines) console.error(line);
process.exitCode = lines.length === 0 ? 0 : 1;
