import type { RuntimeType } from '../../../core/contract/primitives.ts';
import { DockerError } from '../errors.ts';

/** `--isolation` as a runtime type; without it the control plane decides. */
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

/** The value for inspect: `default` is resolved when the container is created. */
export const toIsolation = (runtimeType: RuntimeType): 'hyperv' | 'process' =>
  runtimeType === 'HyperV' ? 'hyperv' : 'process';
