import * as z from 'zod/mini';
import {
  CLAIMED_ID_LENGTH,
  type ControlMessage,
  ControlMessageSchema,
  declaredProtocol,
  PROTOCOL_VERSION,
} from '../../core/contract/agent/messages.ts';
import { describe, parseJson, parseLeniently } from './lenient.ts';

type Reading =
  | { readonly kind: 'message'; readonly message: ControlMessage }
  /** A command without a signature. */
  | { readonly kind: 'unsigned'; readonly commandId: string }
  /** A welcome of another protocol version. */
  | { readonly kind: 'other-protocol'; readonly protocol: number }
  | { readonly kind: 'unknown'; readonly why: string };

const KNOWN_ACTIONS: readonly string[] = [
  'welcome',
  'command',
  'ack',
  'inventoryRequest',
  'refused',
  'session',
];

const UnsignedCommandSchema = z.object({
  action: z.literal('command'),
  command: z.optional(z.object({ id: z.optional(z.string()) })),
});

/** Parses a message of the control plane. Unknown members are ignored, because it may be newer. */
export const readControlMessage = (text: string): Reading => {
  const value = parseJson(text);
  if (value === undefined) return { kind: 'unknown', why: 'not JSON' };
  const protocol = declaredProtocol(value, 'welcome');
  if (protocol !== null && protocol !== PROTOCOL_VERSION) return { kind: 'other-protocol', protocol };
  const parsed = parseLeniently(ControlMessageSchema, value);
  if (parsed.success) return { kind: 'message', message: parsed.data };
  const unsigned = z.safeParse(UnsignedCommandSchema, value);
  if (unsigned.success)
    return { kind: 'unsigned', commandId: unsigned.data.command?.id?.slice(0, CLAIMED_ID_LENGTH) ?? '' };
  const action = z.safeParse(z.object({ action: z.string() }), value);
  if (!action.success) return { kind: 'unknown', why: 'it has no action' };
  const known = KNOWN_ACTIONS.includes(action.data.action);
  return {
    kind: 'unknown',
    why: known ? describe(parsed.error) : `the action "${action.data.action.slice(0, 64)}" is unknown`,
  };
};
