import * as z from 'zod/mini';
import type { Command } from '../../core/contract/agent/commands.ts';
import { CLAIMED_ID_LENGTH } from '../../core/contract/agent/messages.ts';
import { SignedCommandSchema } from '../../core/contract/agent/signed.ts';
import { CommandRefusedError } from '../errors.ts';
import { describe, parseJson, parseLeniently } from './lenient.ts';

type CommandReading =
  | { readonly kind: 'command'; readonly command: Command; readonly expiresAtMs: number }
  /** A command that this agent cannot execute but can answer. */
  | {
      readonly kind: 'refused';
      readonly commandId: string;
      readonly hostId: string;
      readonly expiresAtMs: number;
      readonly error: CommandRefusedError;
    }
  | { readonly kind: 'unreadable' };

/** The readable part of an invalid command. */
const UnreadableSchema = z.object({
  id: z.string(),
  hostId: z.string(),
  expiresAtMs: z.int(),
  arguments: z.optional(z.object({ verb: z.optional(z.string()) })),
});

/** Parses the payload of a verified command. Unknown members are ignored, because the control plane may be newer. */
export const readCommand = (payload: string): CommandReading => {
  const value = parseJson(payload);
  const parsed = parseLeniently(SignedCommandSchema, value);
  if (parsed.success) {
    const { expiresAtMs, ...command } = parsed.data;
    return { kind: 'command', command, expiresAtMs };
  }
  const rest = UnreadableSchema.safeParse(value);
  if (!rest.success) return { kind: 'unreadable' };
  const { id, hostId, expiresAtMs, arguments: args } = rest.data;
  return { kind: 'refused', commandId: id, hostId, expiresAtMs, error: refusal(args?.verb, parsed.error) };
};

const refusal = (verb = '', error: z.core.$ZodError): CommandRefusedError => {
  const unknownVerb = error.issues.some(
    ({ path, code }) => code === 'invalid_union' && path.at(-1) === 'verb',
  );
  return unknownVerb
    ? new CommandRefusedError(
        'not-supported-yet',
        `This agent does not know the verb "${verb.slice(0, 64)}".`,
        { suggestion: 'Update the agent of the host.' },
      )
    : new CommandRefusedError('validation-failed', `The command cannot be read: ${describe(error)}.`);
};

/** The id in an unverified payload, for the audit; empty without one. */
export const claimedId = (payload: string): string => {
  const id = z.object({ id: z.string() }).safeParse(parseJson(payload)).data?.id ?? '';
  return id.slice(0, CLAIMED_ID_LENGTH);
};
