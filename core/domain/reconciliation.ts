import type { ContainerState } from '../contract/container.ts';

/**
 * What a host's report on a container means for what the control plane holds of it.
 *
 * Invariants
 * - While an operation is active, its workflow decides; a report changes nothing.
 * - Of two reports on a container the one with the larger sequence is the newer; the same one again is no news, and
 *   still true. A report without a sequence is
 *   judged by its epoch: one older than the record may have been under way while an operation ran, and counts
 *   only in an inventory, which is made when it is asked for.
 * - Reality wins: nobody starts or stops a container because the record says otherwise. The one exception is a
 *   container that runs without room being held for it, where none is left: it is stopped.
 * - What is not in a whole inventory is not on the host.
 */
interface ReconciledRecord {
  readonly state: ContainerState;
  readonly active: boolean;
  readonly epoch: number;
  readonly observedSequence: number | null;
}

export interface Report {
  readonly phase: 'Absent' | 'Off' | 'Running';
  readonly epoch: number;
  readonly sequence?: number | undefined;
  /** Whether it is part of an inventory (`hello`), not of a message on something that changed. */
  readonly inventory: boolean;
}

export type Reconciliation =
  /** Nothing to change. */
  | 'agrees'
  /** Older than what is known. */
  | 'stale'
  /** It cannot be told whether it is older than what is known: ask for an inventory. */
  | 'ambiguous'
  /** It runs, as the record says; details such as the worker process may be new. */
  | 'runs'
  /** It runs although the record doesn't say so. */
  | 'started'
  /** It has ended. */
  | 'stopped'
  /** The host has nothing of it. */
  | 'lost';

const age = (record: ReconciledRecord, report: Report): 'newer' | 'stale' | 'ambiguous' => {
  if (report.sequence !== undefined && record.observedSequence !== null)
    return report.sequence >= record.observedSequence ? 'newer' : 'stale';
  if (report.inventory || report.epoch >= record.epoch) return 'newer';
  return 'ambiguous';
};

const MEANINGS = {
  Running: (state: ContainerState): Reconciliation => (state === 'Running' ? 'runs' : 'started'),
  Off: (state: ContainerState): Reconciliation =>
    state === 'Off' || state === 'Failed' ? 'agrees' : 'stopped',
  Absent: (state: ContainerState): Reconciliation => (state === 'Failed' ? 'agrees' : 'lost'),
} as const;

/** @returns what the report means; see the invariants above. */
export const reconcile = (record: ReconciledRecord, report: Report): Reconciliation => {
  if (record.active) return 'agrees';
  const newness = age(record, report);
  return newness === 'newer' ? MEANINGS[report.phase](record.state) : newness;
};

/** State after a report, for those that change it. */
export const RECONCILED_STATES: Readonly<Record<'started' | 'stopped' | 'lost', ContainerState>> = {
  started: 'Running',
  stopped: 'Off',
  lost: 'Failed',
};

/** How long a container has to be seen where it does not belong before it is removed there, in milliseconds. */
export const ORPHAN_CONFIRMATION_MS = 60_000;
/** Removed at the most in one round, so that a mistake stays small. */
export const ORPHANS_PER_ROUND = 10;

/**
 * Removal in two phases: what is a stranger on the host now becomes a candidate; what was one already, for
 * long enough, is confirmed.
 *
 * @param known candidates so far → when they were first seen, milliseconds since 1970
 * @param orphans ids of containers that the host holds and that are not its to hold
 * @param now milliseconds since 1970, of the same clock
 */
export const judgeOrphans = (
  known: Readonly<Record<string, number>>,
  orphans: readonly string[],
  now: number,
): { readonly candidates: Readonly<Record<string, number>>; readonly confirmed: readonly string[] } => {
  const candidates = Object.fromEntries(orphans.map((id) => [id, known[id] ?? now]));
  const confirmed = orphans
    .filter((id) => now - (candidates[id] ?? now) >= ORPHAN_CONFIRMATION_MS)
    .slice(0, ORPHANS_PER_ROUND);
  return { candidates, confirmed };
};
