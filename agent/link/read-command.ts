import * as z from 'zod/mini';
import type { Command } from '../../core/contract/agent/commands.ts';
import { CLAIMED_ID_LENGTH } from '../../core/contract/agent/messages.ts';
import { SignedCommandSchema } from '../../core/contract/agent/signed.ts';
import { CommandRefusedError } from '../errors.ts';
import { describe, parseJson, parseLeniently } from './lenient.ts';

type CommandReading =
  | { readonly kind: 'command'; readonly command: Command; readonly expiresAtMs: number }
  /** One that this agent can't carry out, but can answer. */
  | {
      readonly kind: 'refused';
      readonly commandId: string;
      readonly hostId: string;
      readonly expiresAtMs: number;
      readonly error: CommandRefusedError;
    }
  | { readonly kind: 'unreadable' };

/** What can be read of a command whose rest can't. */
const UnreadableSchema = z.object({
  id: z.string(),
  hostId: z.string(),
  expiresAtMs: z.int(),
  arguments: z.optional(z.object({ verb: z.optional(z.string()) })),
});

/** Reads the payload of a verified command. The control plane may be some releases newer: unknown members are ignored. */
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

/** The id that an unverified payload claims, for the audit; empty if it has none. */
export const claimedId = (payload: string): string => {
  const id = z.object({ id: z.string() }).safeParse(parseJson(payload)).data?.id ?? '';
  return id.slice(0, CLAIMED_ID_LENGTH);
};
