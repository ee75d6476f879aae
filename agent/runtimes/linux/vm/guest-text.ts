const LONGEST = 256;

/** Text that a guest, or a QEMU that a guest has compromised, could write, without control characters except newlines. */
export const printable = (text: string): string => text.replace(/[^\x20-\x7e\n]/g, '');

/** A guest's answer of one line. The guest is not trusted: an answer can be a megabyte long and contain control characters. */
export const guestLine = (answer: Buffer): string =>
  answer
    .toString('latin1')
    .replace(/[^\x20-\x7e\t]/g, '')
    .slice(0, LONGEST);
