import type { RuntimeType } from '../../../core/contract/primitives.ts';
import { DockerError } from '../errors.ts';

/** The runtime type for `--isolation`. Undefined: the control plane chooses it. */
export const toRuntimeType = (isolation: string): RuntimeType | undefined => {
  switch (isolation.toLowerCase()) {
    case '':
    case 'default':
      return undefined;
    case 'process':
      return 'Default';
    case 'hyperv':
      return 'HyperV';
    default:
      throw new DockerError(
        400,
        `invalid isolation (${isolation}): Windows supports 'default', 'process', or 'hyperv'`,
      );
  }
};

/** The value of `--isolation` in `docker inspect`, where `default` is already resolved. */
export const toIsolation = (runtimeType: RuntimeType): 'hyperv' | 'process' =>
  runtimeType === 'HyperV' ? 'hyperv' : 'process';
