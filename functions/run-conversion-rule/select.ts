import { createCursors } from '../../store/cursor.ts';
import { beginRun, noteSelection, type Selection } from '../../store/rule-runs.ts';
import { findContainers } from '../shared/selection/find-containers.ts';
import { resolveSelect } from '../shared/selection/resolve-select.ts';
import type { RunDependencies } from './dependencies.ts';
import { type Plan, planOf, type Started } from './plan.ts';

/** The output for the machine: only ids and settings. */
export interface Selected {
  readonly tenant: string;
  readonly run: { readonly ruleId: string; readonly at: string } | null;
  readonly actor: string;
  readonly runtimeType: string;
  readonly cooldownSeconds: number;
  readonly dryRun: boolean;
  readonly maxConcurrency: number;
  readonly items: readonly { readonly containerId: string; readonly name: string }[];
}

const NOTHING: Selected = {
  tenant: '',
  run: null,
  actor: '',
  runtimeType: 'HyperV',
  cooldownSeconds: 0,
  dryRun: true,
  maxConcurrency: 1,
  items: [],
};

const choose = async (
  { table, randomBytes }: RunDependencies,
  { tenant, select, event, runtimeType, maxContainers }: Plan,
): Promise<{ readonly items: Selected['items']; readonly selection: Selection }> => {
  const resolution = await resolveSelect(tenant, select, event);
  if (resolution.kind === 'nothing')
    return { items: [], selection: { matched: 0, truncated: false, reason: resolution.reason } };
  const cursors = createCursors(table, randomBytes);
  const { containers, truncated } = await findContainers(table, cursors, tenant, resolution.select, {
    to: runtimeType,
    limit: maxContainers,
  });
  const reason = containers.length > 0 ? null : 'no container of the other type matches';
  return {
    items: containers.map(({ id, view }) => ({ containerId: id, name: view.name })),
    selection: { matched: containers.length, truncated, reason },
  };
};

/** The step Select: records the event, once, and finds the selected containers. */
export const createSelect =
  (deps: RunDependencies) =>
  async (started: Started): Promise<Selected> => {
    const { table, logger, eventTenants } = deps;
    const plan = await planOf(table, started, eventTenants);
    if (typeof plan === 'string') {
      logger.info('nothing to convert', { execution: started.execution, reason: plan });
      return NOTHING;
    }
    const { tenant, ruleId, at, eventId, actor, runtimeType, maxConcurrency, cooldownSeconds, dryRun } = plan;
    const { execution, startedAt } = started;
    const isOurs = await beginRun(table, { tenant, ruleId, at, eventId, execution, startedAt });
    if (!isOurs) {
      logger.info('the event was processed before', { tenant, ruleId, eventId });
      return NOTHING;
    }
    const { items, selection } = await choose(deps, plan);
    await noteSelection(table, { tenant, ruleId, at }, selection);
    return {
      tenant,
      run: { ruleId, at },
      actor,
      runtimeType,
      cooldownSeconds,
      dryRun,
      maxConcurrency,
      items,
    };
  };
