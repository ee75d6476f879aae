import type { AssignedContainer } from '../../core/contract/agent/commands.ts';

/** Steps that need the container's specification. */
const MAKING_STEPS = [
  'createWritableLayer',
  'createUtilityVm',
  'createNetworkEndpoint',
  'attachDisks',
  'mountLayers',
] as const;
/** Steps that need only its id. */
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

/** One step on a container, as data. `execute/executors.ts` executes it. */
export type Step =
  | { [K in MakingKind]: Making<K> }[MakingKind]
  | { [K in IdKind]: ById<K> }[IdKind]
  | SetRuntimeType
  | StartProcess
  | StopProcess;

export type StepKind = Step['kind'];
export type StepOf<K extends StepKind> = Extract<Step, { kind: K }>;

/** The name in an operation's `steps`: `createUtilityVm` becomes `CreateUtilityVm`, like the workflow's steps. */
export const stepName = (kind: string): string => kind.charAt(0).toUpperCase() + kind.slice(1);
