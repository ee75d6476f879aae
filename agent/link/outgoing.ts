import { createHash } from 'node:crypto';
import type { CommandResult, ObservedContainer } from '../../core/contract/agent/commands.ts';
import { type AgentMessage, type ImageRange, MESSAGE_BYTES } from '../../core/contract/agent/messages.ts';
import type { ImageFacts } from '../../core/contract/image.ts';

const LONGEST_MESSAGE_ID = 128;
/** Room beside the list or the result that a message carries: action, ids and, in a hello, what is said of the host. */
const ENVELOPE_BYTES = 512;
export const RESULT_BYTES = MESSAGE_BYTES - ENVELOPE_BYTES;

export const encode = (message: AgentMessage): Buffer => Buffer.from(JSON.stringify(message), 'utf8');

/** The same result has the same id at each sending, also after a restart. */
export const resultMessageId = (commandId: string): string => {
  const plain = `result:${commandId}`;
  return plain.length <= LONGEST_MESSAGE_ID
    ? plain
    : `result:${createHash('sha256').update(commandId).digest('hex')}`;
};

/** The same report has the same id at each sending. */
export const refusalMessageId = (commandId: string, reason: string): string =>
  `refused:${createHash('sha256').update(`${reason}:${commandId}`).digest('hex')}`;

export const encodeResult = (result: CommandResult): Buffer =>
  encode({ action: 'result', messageId: resultMessageId(result.commandId), result });

/**
 * Divides observations into those that fit in a message beside `taken` bytes, and the rest. The first
 * always fits: one observation is far smaller than a message.
 */
export const divideObserved = (
  observed: readonly ObservedContainer[],
  taken: number,
): { fitting: ObservedContainer[]; rest: ObservedContainer[] } => {
  let room = MESSAGE_BYTES - ENVELOPE_BYTES - taken;
  const until = observed.findIndex((one, index) => {
    room -= Buffer.byteLength(JSON.stringify(one), 'utf8') + 1;
    return room < 0 && index > 0;
  });
  const at = until < 0 ? observed.length : until;
  return { fitting: observed.slice(0, at), rest: observed.slice(at) };
};

/** Images leave room for observations: neither waits for all of the other. */
const IMAGES_BYTES = MESSAGE_BYTES / 2;

interface ImagesPart {
  readonly images: ImageFacts[];
  /** Undefined where these are all that there are. */
  readonly imageRange?: ImageRange;
}

const compare = (a: ImageFacts, b: ImageFacts): number => {
  const [left, right] = [a.name.toLowerCase(), b.name.toLowerCase()];
  return left < right ? -1 : Number(left > right);
};

/** The images whose names come after `after`, as many as a message takes; null: from the first. */
export const imagesAfter = (all: readonly ImageFacts[], after: string | null): ImagesPart => {
  const left = [...all].sort(compare).filter(({ name }) => after === null || name.toLowerCase() > after);
  let room = IMAGES_BYTES;
  const until = left.findIndex((image, index) => {
    room -= Buffer.byteLength(JSON.stringify(image), 'utf8') + 1;
    return room < 0 && index > 0;
  });
  const images = until < 0 ? left : left.slice(0, until);
  const last = images.at(-1);
  const through = until < 0 || last === undefined ? null : last.name.toLowerCase();
  return after === null && through === null ? { images } : { images, imageRange: { after, through } };
};
