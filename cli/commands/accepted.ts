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
    context.showJson(body);
    return;
  }
  context.write(`It would ${body.wouldDo}.\n`);
  const { placement } = body;
  if (placement === null) return;
  const where = placement.fits ? `It fits on host ${placement.hostId}.` : 'No host has free capacity now.';
  context.write(`${where} ${placement.reason}\n`);
};

/** Waits for an operation and shows its steps. Ctrl-C ends only the wait. @throws {OperationFailedError} */
export const waitWithProgress = async (context: Context, operation: Operation): Promise<Operation> => {
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
      'Stopped waiting. The operation continues.',
      `bulkhead operation wait ${operation.id}`,
    );
  } finally {
    progress.end();
  }
};

const isRemoval = (operation: Operation): boolean => operation.kind === 'remove';

/**
 * Shows the outcome of a mutation. For a dry run: what it would do. With `--no-wait`: the operation. Otherwise: the container,
 * after the operation has ended.
 */
export const showOutcome = async (
  context: Context,
  body: Accepted | DryRun,
  { wait }: { readonly wait: boolean },
): Promise<void> => {
  if (isDryRun(body)) return showDryRun(context, body);
  if (!wait) {
    if (context.isJson) return context.showJson(body);
    return context.showList(OPERATION_COLUMNS, [body.operation]);
  }
  const operation = hasEnded(body.operation)
    ? body.operation
    : await waitWithProgress(context, body.operation);
  if (operation.state !== 'Succeeded') throw new OperationFailedError(operation);
  const { container } = body;
  if (container === undefined || isRemoval(operation)) {
    if (context.isJson) context.showJson({ ...body, operation });
    else if (container !== undefined) context.showNote(`Container "${container.name}" was removed.`);
    return;
  }
  const now = await context.client.call('getContainer', { params: { idOrName: container.id } });
  if (context.isJson) context.showJson({ container: now, operation });
  else context.showList(CONTAINER_COLUMNS, [now]);
};
