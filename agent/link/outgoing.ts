import { createHash } from 'node:crypto';
import type { CommandResult, ObservedContainer } from '../../core/contract/agent/commands.ts';
import { type AgentMessage, type ImageRange, MESSAGE_BYTES } from '../../core/contract/agent/messages.ts';
import type { ImageFacts } from '../../core/contract/image.ts';

const LONGEST_MESSAGE_ID = 128;
/** Space besides the list or the result in a message: action, ids and, in a hello, the facts of the host. */
const ENVELOPE_BYTES = 512;
export const RESULT_BYTES = MESSAGE_BYTES - ENVELOPE_BYTES;

export const encode = (message: AgentMessage): Buffer => Buffer.from(JSON.stringify(message), 'utf8');

/** A result has the same message id at each attempt, even after a restart. */
export const resultMessageId = (commandId: string): string => {
  const plain = `result:${commandId}`;
  return plain.length <= LONGEST_MESSAGE_ID
    ? plain
    : `result:${createHash('sha256').update(commandId).digest('hex')}`;
};

/** A report has the same message id at each attempt. */
export const refusalMessageId = (commandId: string, reason: string): string =>
  `refused:${createHash('sha256').update(`${reason}:${commandId}`).digest('hex')}`;

export const encodeResult = (result: CommandResult): Buffer =>
  encode({ action: 'result', messageId: resultMessageId(result.commandId), result });

/**
 * Splits observations into those that fit into a message with `taken` used bytes, and the rest. The first one always fits,
 * because an observation is far smaller than a message.
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

/** Images leave space for observations, so that neither delays the other. */
const IMAGES_BYTES = MESSAGE_BYTES / 2;

interface ImagesPart {
  readonly images: ImageFacts[];
  /** Undefined if `images` has all images of the host. */
  readonly imageRange?: ImageRange;
}

const compare = (a: ImageFacts, b: ImageFacts): number => {
  const [left, right] = [a.name.toLowerCase(), b.name.toLowerCase()];
  return left < right ? -1 : Number(left > right);
};

/** The images with names after `after` that fit into a message; null: from the first. */
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
