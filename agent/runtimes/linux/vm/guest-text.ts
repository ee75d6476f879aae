const LONGEST = 256;

/** A guest's answer of one line. The guest is not trusted: an answer can be a megabyte long and contain control characters. */
export const guestLine = (answer: Buffer): string =>
  answer
    .toString('latin1')
    .replace(/[^\x20-\x7e\t]/g, '')
    .slice(0, LONGEST);
