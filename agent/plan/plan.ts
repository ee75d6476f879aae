import type { AssignedContainer } from '../../core/contract/agent/commands.ts';
import { NO_SWITCH } from '../../core/contract/primitives.ts';
import type { RuntimeContainer } from '../runtimes/runtime.ts';
import type { Step } from './steps.ts';

/** The target state of a container. `Provisioned`: its utility VM answers, but no code of it runs yet. */
export const TARGETS = ['Absent', 'Off', 'Provisioned', 'Running'] as const;
export type Target = (typeof TARGETS)[number];

export interface Assignment {
  readonly containerId: string;
  /** Null if only the id is known: then the container can only be taken down. */
  readonly container: AssignedContainer | null;
  readonly target: Target;
  /** Seconds between the stop signal and SIGKILL, if the main process must end. */
  readonly stopTimeoutSeconds: number;
  /** Id of the run that a start begins; the same id never runs twice. */
  readonly instanceId: string;
  /** Whether this machine's kernel can mount a disk that code in a VM has written. Default: no. */
  readonly acceptUntrustedDisk?: boolean;
}

/**
 * The steps that bring a container from the observed state to the target, in order; none if it is there. A pure function.
 * Executing all steps reaches the target. After a failure, a new plan from the observed state continues from there.
 */
export const plan = (assignment: Assignment, observed: RuntimeContainer | null): Step[] => {
  const { container, target } = assignment;
  if (target === 'Absent' || target === 'Off') return planDown(assignment, observed);
  if (container === null) return [];
  const sameType = observed === null || observed.runtimeType === container.runtimeType;
  if (observed?.process?.running && sameType) return [];
  const down = sameType && !isStale(observed, container) ? [] : takeDown(assignment, observed);
  return [
    ...down,
    ...convert(assignment, container, observed),
    ...bringUp(assignment, container, down.length > 0 || observed === null ? blank(observed) : observed),
  ];
};

/**
 * Whether the current state cannot be reused. Mounted layers without a process are from an ended run or an interrupted start;
 * a process-isolated container must not have a VM, and a VM is used for one run only.
 */
const isStale = (observed: RuntimeContainer | null, container: AssignedContainer): boolean =>
  observed !== null &&
  (observed.layersMounted ||
    observed.disksAttached ||
    observed.utilityVm === 'Spent' ||
    (container.runtimeType === 'Default' && observed.utilityVm !== 'Absent'));

const planDown = (assignment: Assignment, observed: RuntimeContainer | null): Step[] => {
  const { containerId, container, target } = assignment;
  const down = takeDown(assignment, observed);
  if (target === 'Absent')
    return observed?.writableLayer ? [...down, { kind: 'removeWritableLayer', containerId }] : down;
  if (container === null) return down;
  return [
    ...down,
    ...convert(assignment, container, observed),
    ...makeLayer(assignment, container, observed),
  ];
};

const takeDown = (
  { containerId, stopTimeoutSeconds }: Assignment,
  observed: RuntimeContainer | null,
): Step[] => {
  if (observed === null) return [];
  const steps: Step[] = [];
  if (observed.process?.running)
    steps.push({ kind: 'stopProcess', containerId, timeoutSeconds: stopTimeoutSeconds });
  if (observed.layersMounted) steps.push({ kind: 'unmountLayers', containerId });
  if (observed.disksAttached) steps.push({ kind: 'detachDisks', containerId });
  if (observed.networkEndpoint) steps.push({ kind: 'removeNetworkEndpoint', containerId });
  if (observed.utilityVm !== 'Absent') steps.push({ kind: 'destroyUtilityVm', containerId });
  return steps;
};

const convert = (
  { containerId, acceptUntrustedDisk = false }: Assignment,
  container: AssignedContainer,
  observed: RuntimeContainer | null,
): Step[] =>
  observed?.writableLayer && observed.runtimeType !== container.runtimeType
    ? [{ kind: 'setRuntimeType', containerId, container, acceptUntrustedDisk }]
    : [];

const makeLayer = (
  { containerId }: Assignment,
  container: AssignedContainer,
  observed: Pick<RuntimeContainer, 'writableLayer'> | null,
): Step[] => (observed?.writableLayer ? [] : [{ kind: 'createWritableLayer', containerId, container }]);

type Ground = Pick<RuntimeContainer, 'writableLayer' | 'utilityVm' | 'networkEndpoint'>;

/** The state of a container after it was taken down. */
const blank = (observed: RuntimeContainer | null): Ground => ({
  writableLayer: observed?.writableLayer ?? false,
  utilityVm: 'Absent',
  networkEndpoint: false,
});

const bringUp = (assignment: Assignment, container: AssignedContainer, ground: Ground): Step[] => {
  const { containerId, instanceId, target } = assignment;
  const steps = makeLayer(assignment, container, ground);
  const inVm = container.runtimeType === 'HyperV';
  if (inVm && ground.utilityVm === 'Absent') steps.push({ kind: 'createUtilityVm', containerId, container });
  if (inVm && ground.utilityVm !== 'Connected') steps.push({ kind: 'connectGuest', containerId });
  if (target === 'Provisioned') return steps;
  if (!ground.networkEndpoint && container.spec.switchName.toLowerCase() !== NO_SWITCH)
    steps.push({ kind: 'createNetworkEndpoint', containerId, container });
  if (inVm) steps.push({ kind: 'attachDisks', containerId, container });
  steps.push({ kind: 'mountLayers', containerId, container });
  steps.push({ kind: 'startProcess', containerId, container, instanceId });
  return steps;
};
