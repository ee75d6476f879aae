/** Maximum number of characters of a command in a list, not counting the `…`. */
export const SHOWN_COMMAND_LENGTH = 256;
const CUT = '…';

/**
 * A command as lists show it: the same array if it has at most {@link SHOWN_COMMAND_LENGTH} characters, otherwise its
 * beginning, which ends with `…`.
 */
export const cutCommand = <Command extends readonly string[] | undefined>(
  command: Command,
): Command | string[] => {
  if (command === undefined) return command;
  let left = SHOWN_COMMAND_LENGTH;
  const shown: string[] = [];
  for (const word of command) {
    if (word.length > left) return [...shown, `${word.slice(0, left)}${CUT}`];
    shown.push(word);
    left -= word.length;
  }
  return command;
};
