import type { AssignedContainer } from '../../core/contract/agent/commands.ts';

/** Steps that need to know the container, for they make something of it. */
const MAKING_STEPS = [
  'createWritableLayer',
  'createUtilityVm',
  'createNetworkEndpoint',
  'attachDisks',
  'mountLayers',
] as const;
/** Steps for which its id is enough. */
const ID_STEPS = [
  'connectGuest',
  'unmountLayers',
  'detachDisks',
  'removeNetworkEndpoint',
  'destroyUtilityVm',
  'removeWritableLayer',
] as const;

type MakingKind = (typeof MAKING_STEPS)[number];
type IdKind = (typeof ID_STEPS)[number];

interface Making<K extends MakingKind> {
  readonly kind: K;
  readonly containerId: string;
  readonly container: AssignedContainer;
}
interface ById<K extends IdKind> {
  readonly kind: K;
  readonly containerId: string;
}
interface SetRuntimeType {
  readonly kind: 'setRuntimeType';
  readonly containerId: string;
  readonly container: AssignedContainer;
  readonly acceptUntrustedDisk: boolean;
}
interface StartProcess {
  readonly kind: 'startProcess';
  readonly containerId: string;
  readonly container: AssignedContainer;
  readonly instanceId: string;
}
interface StopProcess {
  readonly kind: 'stopProcess';
  readonly containerId: string;
  readonly timeoutSeconds: number;
}

/** One thing to do to one container; data only. What does it is in `execute/executors.ts`. */
export type Step =
  | { [K in MakingKind]: Making<K> }[MakingKind]
  | { [K in IdKind]: ById<K> }[IdKind]
  | SetRuntimeType
  | StartProcess
  | StopProcess;

export type StepKind = Step['kind'];
export type StepOf<K extends StepKind> = Extract<Step, { kind: K }>;

/** As an operation's `steps` call it: `createUtilityVm` is `CreateUtilityVm`, like the workflow's own steps. */
export const stepName = (kind: string): string => kind.charAt(0).toUpperCase() + kind.slice(1);
