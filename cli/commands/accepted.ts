import { ClientError, hasEnded, OperationFailedError, waitForEnd } from '../../core/client/index.ts';
import type { Container } from '../../core/contract/container.ts';
import type { Operation } from '../../core/contract/operation.ts';
import type { Context } from '../context.ts';
import { InterruptedError } from '../errors.ts';
import { paintFor } from '../output/colours.ts';
import { StepProgress } from '../output/progress.ts';
import { CONTAINER_COLUMNS } from '../views/container.ts';
import { OPERATION_COLUMNS } from '../views/operation.ts';

interface DryRun {
  readonly dryRun: true;
  readonly wouldDo: string;
  readonly placement: {
    readonly fits: boolean;
    readonly hostId: string | null;
    readonly reason: string;
  } | null;
}

interface Accepted {
  readonly container?: Container;
  readonly operation: Operation;
}

export const isDryRun = (body: object | undefined): body is DryRun => body !== undefined && 'wouldDo' in body;

/** Shows the result of a dry run. */
export const showDryRun = (context: Context, body: DryRun): void => {
  if (context.isJson) {
    context.json(body);
    return;
  }
  context.write(`It would ${body.wouldDo}.\n`);
  const { placement } = body;
  if (placement === null) return;
  const where = placement.fits ? `It fits on host ${placement.hostId}.` : 'No host has free capacity now.';
  context.write(`${where} ${placement.reason}\n`);
};

/** Waits for an operation and shows its steps. Ctrl-C ends the wait, not the operation. @throws {OperationFailedError} */
export const follow = async (context: Context, operation: Operation): Promise<Operation> => {
  const progress = new StepProgress(context.io.stderr, paintFor(context.io.stderr, context.io));
  const { signal } = context;
  try {
    const onProgress = context.isJson ? undefined : (now: Operation) => progress.show(now);
    const ended = await waitForEnd(context.client, operation, { onProgress, signal });
    if (ended.state !== 'Succeeded') throw new OperationFailedError(ended);
    return ended;
  } catch (error) {
    if (!signal.aborted || error instanceof ClientError) throw error;
    throw new InterruptedError(
      'No longer waiting. The operation continues.',
      `bulkhead operation wait ${operation.id}`,
    );
  } finally {
    progress.end();
  }
};

const isGone = (operation: Operation): boolean => operation.kind === 'remove';

/**
 * Handles the response to a mutation of a container: shows a dry run, waits for the operation (without `--no-wait`), and
 * shows the container at the end.
 */
export const finish = async (
  context: Context,
  body: Accepted | DryRun,
  { wait }: { readonly wait: boolean },
): Promise<void> => {
  if (isDryRun(body)) return showDryRun(context, body);
  if (!wait) {
    if (context.isJson) return context.json(body);
    return context.list(OPERATION_COLUMNS, [body.operation]);
  }
  const operation = hasEnded(body.operation) ? body.operation : await follow(context, body.operation);
  if (operation.state !== 'Succeeded') throw new OperationFailedError(operation);
  const { container } = body;
  if (container === undefined || isGone(operation)) {
    if (context.isJson) context.json({ ...body, operation });
    else if (container !== undefined) context.say(`Container "${container.name}" is removed.`);
    return;
  }
  const now = await context.client.call('getContainer', { params: { idOrName: container.id } });
  if (context.isJson) context.json({ container: now, operation });
  else context.list(CONTAINER_COLUMNS, [now]);
};
