import type { HostFacts, HostState } from '../contract/host.ts';
import type { ImageFacts } from '../contract/image.ts';
import type { RuntimeType } from '../contract/primitives.ts';
import { type Reservation, reservationFor, roundCpus, subtract } from './capacity.ts';
import { ConflictError } from './errors.ts';
import { imageMismatch } from './image-compatibility.ts';

/** The facts that decide whether a container can be converted. */
export interface ConversionCase {
  readonly from: RuntimeType;
  readonly to: RuntimeType;
  readonly ranAs: readonly RuntimeType[];
  readonly acceptUntrustedDisk: boolean;
  readonly host: { readonly name: string; readonly state: HostState; readonly facts: HostFacts };
  /** Undefined if it is no longer in the catalogue. */
  readonly image: ImageFacts | undefined;
}

/** On Windows only Nano Server hosts convert (Hyper-V containers, preview documentation). */
const CONVERTING_WINDOWS = 'nanoserver';

/** How a host can change a container's runtime type, whatever its agent reports. */
const conversionOn = ({ os, capabilities }: Pick<HostFacts, 'os' | 'capabilities'>) =>
  capabilities.runtimeConversion === 'inPlace' &&
  os.family === 'windows' &&
  os.sku.toLowerCase().replaceAll(' ', '') !== CONVERTING_WINDOWS
    ? 'none'
    : capabilities.runtimeConversion;

const checkHost = ({ host, to }: ConversionCase): void => {
  const { os, capabilities } = host.facts;
  const context = { host: host.name, os };
  if (host.state === 'Lost')
    throw new ConflictError('host-lost', `Host "${host.name}" is lost.`, { context });
  const able = conversionOn(host.facts);
  if (able !== 'inPlace')
    throw new ConflictError(
      'runtime-conversion-unsupported',
      `Host "${host.name}" runs ${os.family} ${os.sku} ${os.version}, which cannot convert a container in place.`,
      {
        suggestion:
          able === 'recreate'
            ? 'This host can recreate the container, which loses the state that its engine cannot keep. Set strategy to "recreate".'
            : `Create a new container with runtimeType "${to}", or use a host that can convert containers.`,
        context,
      },
    );
  if (!capabilities.runtimeTypes.includes(to))
    throw new ConflictError('runtime-type-unsupported', `Host "${host.name}" cannot run ${to}.`, { context });
};

/** Whether the host's kernel would mount a disk that untrusted code has written. */
const hasUntrustedDisk = ({ to, ranAs }: Pick<ConversionCase, 'to' | 'ranAs'>): boolean =>
  to === 'Default' && ranAs.includes('HyperV');

/**
 * Why the image cannot run as the new type. Image facts that contradict the container's current type are wrong for this
 * host and are ignored.
 */
const conversionMismatch = ({ image, host, from, to }: ConversionCase): string | null => {
  if (image === undefined || imageMismatch(image, host.facts, from) !== null) return null;
  return imageMismatch(image, host.facts, to);
};

/**
 * Checks whether a container can be converted.
 * @throws ConflictError `runtime-conversion-unsupported`, `runtime-type-unsupported`, `image-incompatible`,
 *   `untrusted-disk`, `host-lost`
 */
export const checkConversion = (given: ConversionCase): void => {
  checkHost(given);
  const mismatch = conversionMismatch(given);
  if (mismatch)
    throw new ConflictError('image-incompatible', `The container cannot run as ${given.to}: ${mismatch}.`);
  if (hasUntrustedDisk(given) && !given.acceptUntrustedDisk)
    throw new ConflictError(
      'untrusted-disk',
      'The container has run as HyperV, so untrusted code may have written its disk. ' +
        'The kernel of the host would mount that disk.',
      { suggestion: 'If you trust the code that ran in it, set "acceptUntrustedDisk": true.' },
    );
};

interface ConversionReservation {
  /** The reservation after the conversion. */
  readonly after: Reservation;
  /** The reservation during the conversion: enough for either type. */
  readonly during: Reservation;
  /** What must be reserved in addition to the current reservation. */
  readonly extra: Reservation;
}

/** The reservations for converting a container whose current reservation is `before`. */
export const conversionReservation = (
  before: Reservation,
  resources: Reservation,
  to: RuntimeType,
  host: Pick<HostFacts, 'utilityVmOverheadMB'>,
): ConversionReservation => {
  const wanted = reservationFor(resources, to, host);
  const after = { memoryMB: wanted.memoryMB, cpus: roundCpus(wanted.cpus) };
  const during = {
    memoryMB: Math.max(before.memoryMB, after.memoryMB),
    cpus: Math.max(before.cpus, after.cpus),
  };
  return { after, during, extra: subtract(during, before) };
};

export const isNoReservation = ({ memoryMB, cpus }: Reservation): boolean => memoryMB === 0 && cpus === 0;

/** Number of conversions whose downtime is stored, per host and type. */
export const STORED_DOWNTIMES = 9;

/** The median downtime in milliseconds; null if there is none. */
export const expectedDowntime = (recent: readonly number[]): number | null => {
  const sorted = [...recent].sort((a, b) => a - b);
  return sorted[Math.floor(sorted.length / 2)] ?? null;
};
