import { createHash } from 'node:crypto';
import type { RunItem } from '../../core/contract/conversion-rule.ts';
import { WORKFLOW_ERRORS } from '../../core/contract/deployment.ts';
import type { RuntimeType } from '../../core/contract/primitives.ts';
import { ConflictError } from '../../core/domain/errors.ts';
import { isEnded } from '../../core/domain/operation-state.ts';
import { type ContainerRecord, getContainerNow } from '../../store/containers.ts';
import { getOperationNow, type OperationRecord, replaceOperation } from '../../store/operations.ts';
import { retryOnConflict } from '../../store/retry-on-conflict.ts';
import { coolDown, noteIsolation } from '../../store/rule-runs.ts';
import { beginConversion } from '../../workflow/conversion/begin-conversion.ts';
import { decideConversion } from '../../workflow/conversion/decide-conversion.ts';
import { reasonToSkip } from '../../workflow/conversion/rule-cooldown.ts';
import { outcomeOf } from '../../workflow/conversion/run-outcome.ts';
import { beginOperation } from '../../workflow/operation/begin-operation.ts';
import { nextOperation } from '../../workflow/operation/next-records.ts';
import { startAccepted } from '../shared/steps/start-workflow.ts';
import type { RunDependencies } from './dependencies.ts';
import { REQUESTS } from './plan.ts';

/** One container of a run. */
interface ConvertInput {
  readonly tenant: string;
  readonly run: { readonly ruleId: string; readonly at: string };
  readonly actor: string;
  readonly containerId: string;
  readonly runtimeType: RuntimeType;
  readonly cooldownSeconds: number;
  readonly dryRun: boolean;
  readonly taskToken: string;
}

type Outcome = Pick<RunItem, 'outcome' | 'operationId' | 'why'>;

type Done =
  | { readonly kind: 'answer'; readonly outcome: Outcome }
  /** The operation answers the task when it ends. */
  | { readonly kind: 'waits'; readonly start: OperationRecord | null }
  /** The container has another active operation: try later. */
  | { readonly kind: 'busy'; readonly operationId: string };

const skipped = (why: string): Done => ({
  kind: 'answer',
  outcome: { outcome: 'skipped', operationId: null, why },
});

/** The operation id, stable per run and container, so that a repeated step starts the operation once. */
const operationIdOf = ({ tenant, run, containerId }: ConvertInput): string => {
  const hash = createHash('sha256')
    .update(JSON.stringify([tenant, run.ruleId, run.at, containerId]))
    .digest('hex');
  const variant = ((Number.parseInt(hash.charAt(16), 16) & 3) | 8).toString(16);
  return [
    hash.slice(0, 8),
    hash.slice(8, 12),
    `5${hash.slice(13, 16)}`,
    `${variant}${hash.slice(17, 20)}`,
    hash.slice(20, 32),
  ].join('-');
};

/** The operation that an earlier invocation of the step has started. */
const resume = async (
  { table, now }: RunDependencies,
  { taskToken }: ConvertInput,
  operation: OperationRecord,
): Promise<Done> => {
  if (isEnded(operation.view.state)) return { kind: 'answer', outcome: outcomeOf(operation) };
  if (operation.notify === taskToken) return { kind: 'waits', start: operation };
  const next = nextOperation(operation, { notify: taskToken }, now().toISOString());
  await table.transact([replaceOperation(operation, next)]);
  return { kind: 'waits', start: next };
};

/** The outcome for a container with an active operation. A conversion to the same type counts as done. */
const blockingOperation = async (
  { table }: RunDependencies,
  { tenant, runtimeType }: ConvertInput,
  { view }: ContainerRecord,
): Promise<Done> => {
  const operationId = view.activeOperationId ?? '';
  const active = await getOperationNow(table, tenant, operationId);
  const same = active?.view.kind === 'convert' && active.parameters.runtimeType === runtimeType;
  return same ? skipped('converting') : { kind: 'busy', operationId };
};

/** A request without a rule has no cooldown. */
const isOfRule = ({ run }: ConvertInput): boolean => run.ruleId !== REQUESTS;

const begin = async (
  { table, now }: RunDependencies,
  input: ConvertInput,
  before: ContainerRecord,
): Promise<Done> => {
  const { actor, runtimeType: to, taskToken: notify, cooldownSeconds, containerId } = input;
  const moment = now();
  const operationId = operationIdOf(input);
  const { container, operation } = beginConversion(before, {
    operationId,
    actor,
    to,
    now: moment,
    notify,
    // The conversion was requested because the container's code is suspect.
    failsClosed: true,
  });
  const rest = { tenant: input.tenant, ruleId: input.run.ruleId };
  const remember = [
    ...(cooldownSeconds > 0 ? [coolDown(rest, containerId, moment.getTime() + cooldownSeconds * 1000)] : []),
    ...(isOfRule(input) && to === 'HyperV' ? [noteIsolation(input.tenant, containerId, moment)] : []),
  ];
  await beginOperation(table, { before, after: container, operation, remember, token: operation.id });
  return { kind: 'waits', start: operation };
};

const convert = async (deps: RunDependencies, input: ConvertInput): Promise<Done> => {
  const { table, now } = deps;
  const { tenant, containerId, runtimeType, run, dryRun, cooldownSeconds } = input;
  const known = await getOperationNow(table, tenant, operationIdOf(input));
  if (known !== undefined) return resume(deps, input, known);
  const container = await getContainerNow(table, tenant, containerId);
  if (container === undefined) return skipped('not-found');
  const given = { tenant, ruleId: run.ruleId, containerId, to: runtimeType, cooldownSeconds };
  const rests = isOfRule(input) ? await reasonToSkip(table, given, now()) : null;
  try {
    const decision = await decideConversion(table, container, runtimeType, false);
    if (decision.kind === 'unchanged') return skipped('already');
    if (rests !== null) return skipped(rests);
    return dryRun ? skipped('dry-run') : await begin(deps, input, container);
  } catch (error) {
    if (!(error instanceof ConflictError)) throw error;
    return error.code === 'operation-in-progress'
      ? blockingOperation(deps, input, container)
      : skipped(error.code);
  }
};

/** The step Convert for one container: starts the conversion, which answers the task when it ends, or returns why not. */
export const createConvert =
  (deps: RunDependencies) =>
  async (input: ConvertInput): Promise<void> => {
    const { tasks, startWorkflow, logger } = deps;
    const done = await retryOnConflict(() => convert(deps, input));
    switch (done.kind) {
      case 'answer':
        await tasks.succeed(input.taskToken, { ...done.outcome });
        return;
      case 'busy':
        await tasks.fail(
          input.taskToken,
          WORKFLOW_ERRORS.busy,
          `Operation ${done.operationId} is in progress on the container.`,
        );
        return;
      case 'waits':
        if (done.start !== null) await startAccepted(startWorkflow, done.start, logger);
    }
  };
