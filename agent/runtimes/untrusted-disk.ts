import type { AssignedContainer } from '../../core/contract/agent/commands.ts';
import { RuntimeError } from '../errors.ts';

/**
 * For `setRuntimeType`: this machine's kernel may mount a disk that code in a VM may have written only with explicit consent,
 * whatever command the control plane sends.
 * @throws {RuntimeError} `untrusted-disk`
 */
export const refuseUntrustedDisk = (
  { untrustedDisk }: { readonly untrustedDisk: boolean },
  { id, runtimeType }: AssignedContainer,
  accepted: boolean,
): void => {
  if (runtimeType !== 'Default' || !untrustedDisk || accepted) return;
  throw new RuntimeError(
    'untrusted-disk',
    `Code of container ${id} has run in a utility VM and may have written its disk, which the host's kernel would mount.`,
    {
      suggestion:
        'If you trust that code, convert the container to Default with "acceptUntrustedDisk": true.',
    },
  );
};
