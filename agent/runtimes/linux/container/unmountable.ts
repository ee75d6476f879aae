import { RuntimeError } from '../../../errors.ts';

/**
 * The error for a writable layer that this machine's kernel must not mount.
 * @param why completes `… was not mounted: `, for example `it is damaged`
 */
export const unmountable = (containerId: string, why: string): RuntimeError =>
  new RuntimeError('step-failed', `The writable layer of container ${containerId} was not mounted: ${why}`, {
    suggestion:
      'It is damaged, or code in its utility VM has changed it. Run the container as HyperV to save its files, or remove it.',
  });
