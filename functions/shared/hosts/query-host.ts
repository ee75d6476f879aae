import type { CommandArguments, CommandResult } from '../../../core/contract/agent/commands.ts';
import { ConflictError, HostNotAnsweringError } from '../../../core/domain/errors.ts';
import {
  type CommandRecord,
  deleteCommand,
  findCommand,
  giveCommand,
  type SignCommand,
  type UnsignedCommand,
} from '../../../store/commands.ts';
import { getLink } from '../../../store/host-links.ts';
import type { Table } from '../../../store/table.ts';
import type { Dependencies } from '../dependencies.ts';
import { type Push, pushCommand } from './push.ts';

/** Time for the host's answer, in seconds. */
const QUERY_SECONDS = 10;
/** Polling interval for the answer, in milliseconds. */
const FIRST_WAIT_MS = 8;
const LONGEST_WAIT_MS = 100;
/** Bounds the polling delay to a quarter of the time that the answer took. */
const GROWTH = 1.25;

export interface QueryDependencies extends Dependencies {
  readonly table: Table;
  readonly push: Push;
  readonly sign: SignCommand;
}

export interface HostQuery {
  readonly tenant: string;
  readonly hostId: string;
  readonly containerId: string | null;
  readonly epoch: number;
  readonly arguments: CommandArguments;
  /** Time for the host's answer, in seconds. @default 10 */
  readonly seconds?: number;
}

const notAnswering = (hostId: string, why: string): HostNotAnsweringError =>
  new HostNotAnsweringError(`The host ${why}.`, {
    suggestion: 'See GET /v1/hosts for its state; its agent must be running and connected.',
    context: { hostId },
  });

const awaitResult = async (
  { table, monotonic, sleep }: QueryDependencies,
  { tenant, command }: CommandRecord,
  seconds: number,
): Promise<CommandResult | null> => {
  const until = monotonic() + seconds * 1000;
  for (let wait = FIRST_WAIT_MS; ; wait = Math.min(wait * GROWTH, LONGEST_WAIT_MS)) {
    await sleep(wait);
    const result = (await findCommand(table, tenant, command.hostId, command.id))?.result ?? null;
    if (result !== null || monotonic() >= until) return result;
  }
};

/**
 * Sends a query to a host and waits for the answer. A query is a command, so its answer arrives through the table,
 * for any process that waits for it.
 *
 * @throws HostNotAnsweringError if the host is not connected or does not answer in time
 * @throws ConflictError with the host's reason if it refuses
 */
export const queryHost = async (
  dependencies: QueryDependencies,
  { tenant, hostId, containerId, epoch, arguments: given, seconds = QUERY_SECONDS }: HostQuery,
): Promise<Extract<CommandResult, { status: 'succeeded' }>> => {
  const { table, push, sign, newId, now } = dependencies;
  const link = await getLink(table, tenant, hostId);
  if (link === undefined || link.connectionId === null) throw notAnswering(hostId, 'is not connected');
  const query: UnsignedCommand = {
    tenant,
    command: { id: newId(), hostId, containerId, epoch, ttlSeconds: seconds, arguments: given },
    state: 'pending',
    taskToken: null,
    operationId: null,
    step: null,
    result: null,
    expiresAt: now().getTime() + seconds * 1000,
  };
  const record = await giveCommand(table, sign, query);
  try {
    const pushed = await pushCommand(push, link.connectionId, record);
    if (pushed === 'gone') throw notAnswering(hostId, 'is not connected');
    const result = await awaitResult(dependencies, record, seconds);
    if (result === null) throw notAnswering(hostId, `did not answer within ${seconds} seconds`);
    if (result.status === 'succeeded') return result;
    const { code, message, suggestion } = result.error;
    throw new ConflictError(code, message, {
      ...(suggestion !== undefined && { suggestion }),
      context: { hostId },
    });
  } finally {
    await deleteCommand(table, tenant, record.command);
  }
};
