import * as z from 'zod/mini';
import { type ControlMessage, ControlMessageSchema } from '../../core/contract/agent/messages.ts';
import { CommandRefusedError, messageOf } from '../errors.ts';

export type Reading =
  | { readonly kind: 'message'; readonly message: ControlMessage }
  /** A command that this agent cannot carry out, but can answer. */
  | { readonly kind: 'refusedCommand'; readonly commandId: string; readonly error: CommandRefusedError }
  | { readonly kind: 'unknown'; readonly why: string };

const KNOWN_ACTIONS: readonly string[] = [
  'welcome',
  'command',
  'ack',
  'inventoryRequest',
  'refused',
  'session',
];

/** What can be read of a command whose rest cannot. */
const UnreadableCommandSchema = z.object({
  action: z.literal('command'),
  command: z.object({ id: z.string(), arguments: z.optional(z.object({ verb: z.optional(z.string()) })) }),
});

/** Reads a message of the control plane, which may be some releases newer: members that are not known are ignored. */
export const readControlMessage = (text: string): Reading => {
  let value: unknown;
  try {
    value = JSON.parse(text);
  } catch (error) {
    return { kind: 'unknown', why: `not JSON: ${messageOf(error)}` };
  }
  const parsed = parseLeniently(ControlMessageSchema, value);
  if (parsed.success) return { kind: 'message', message: parsed.data };
  const command = z.safeParse(UnreadableCommandSchema, value);
  if (command.success) return refuse(command.data.command, parsed.error);
  const action = z.safeParse(z.object({ action: z.string() }), value);
  if (!action.success) return { kind: 'unknown', why: 'it has no action' };
  const known = KNOWN_ACTIONS.includes(action.data.action);
  return {
    kind: 'unknown',
    why: known ? describe(parsed.error) : `the action "${action.data.action.slice(0, 64)}" is not known`,
  };
};

const refuse = (
  { id, arguments: args }: z.infer<typeof UnreadableCommandSchema>['command'],
  error: z.core.$ZodError,
): Reading => {
  const verb = args?.verb ?? '';
  const unknownVerb = error.issues.some(
    ({ path, code }) => code === 'invalid_union' && path.at(-1) === 'verb',
  );
  return {
    kind: 'refusedCommand',
    commandId: id,
    error: unknownVerb
      ? new CommandRefusedError(
          'not-supported-yet',
          `This agent does not know the verb "${verb.slice(0, 64)}".`,
          {
            suggestion: 'Update the agent of the host.',
          },
        )
      : new CommandRefusedError('validation-failed', `The command cannot be read: ${describe(error)}.`),
  };
};

/** Where the first thing is that cannot be read, and why; never its value. */
const describe = (error: z.core.$ZodError): string => {
  const [issue] = error.issues;
  return issue === undefined ? 'unreadable' : `${issue.path.join('.')}: ${issue.code}`;
};

/** Each round removes at least one member, and a message has few places where one can be added. */
const ROUNDS = 8;

const parseLeniently = <T extends z.core.$ZodType>(schema: T, value: unknown) => {
  // Nearly always: and a session's frames come by the hundred.
  const plain = z.safeParse(schema, value);
  if (plain.success) return plain;
  const copy = structuredClone(value);
  let parsed = z.safeParse(schema, copy);
  for (let round = 0; round < ROUNDS && !parsed.success; round += 1) {
    const extra = parsed.error.issues.filter((issue) => issue.code === 'unrecognized_keys');
    if (extra.length === 0) break;
    for (const issue of extra) for (const key of issue.keys) remove(copy, issue.path, key);
    parsed = z.safeParse(schema, copy);
  }
  return parsed;
};

const remove = (root: unknown, path: readonly PropertyKey[], key: string): void => {
  let at: unknown = root;
  for (const part of path) at = at !== null && typeof at === 'object' ? Reflect.get(at, part) : undefined;
  if (at !== null && typeof at === 'object') Reflect.deleteProperty(at, key);
};
