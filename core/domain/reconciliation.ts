import type { ContainerState } from '../contract/container.ts';

/**
 * What a host's report on a container means for the control plane's record.
 *
 * Invariants
 * - While an operation is active, its workflow decides; a report changes nothing.
 * - Of two reports on a container the one with the larger sequence is newer. A repeated report is valid but changes nothing.
 *   A report without a sequence is compared by its epoch: one older than the record may have been in transit while an
 *   operation ran, so it is accepted only in an inventory, which is created on request.
 * - The host's state is authoritative: a container is not started or stopped because the record differs. One exception: a
 *   container that runs without a reservation is stopped if the host has no free capacity.
 * - A container that is missing from a full inventory is not on the host.
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
  /** Whether it is part of an inventory (`hello`) instead of a message about a change. */
  readonly inventory: boolean;
}

export type Reconciliation =
  /** The record already matches. */
  | 'agrees'
  /** Older than the record. */
  | 'stale'
  /** It may be older than the record: request an inventory. */
  | 'ambiguous'
  /** It runs, as recorded; details such as the worker process may be new. */
  | 'runs'
  /** It runs, but is not recorded as running. */
  | 'started'
  /** It has stopped. */
  | 'stopped'
  /** The host does not have it. */
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

/** The state after a report that changes it. */
export const RECONCILED_STATES: Readonly<Record<'started' | 'stopped' | 'lost', ContainerState>> = {
  started: 'Running',
  stopped: 'Off',
  lost: 'Failed',
};

/** How long a container must be an orphan before it is removed, in milliseconds. */
export const ORPHAN_CONFIRMATION_MS = 60_000;
/** Maximum number of removals per round, to limit the damage of a mistake. */
export const ORPHANS_PER_ROUND = 10;

/**
 * Removes orphans in two phases: an orphan becomes a candidate; one that has been a candidate for long enough is confirmed.
 *
 * @param known candidates → when they were first seen, in milliseconds since 1970
 * @param orphans ids of containers on the host that are not placed there
 * @param now milliseconds since 1970, from the same clock
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
