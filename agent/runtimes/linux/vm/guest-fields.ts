import { MASKED_PATHS, READ_ONLY_PATHS, type WantedProcess } from '../container/oci-config.ts';
import { openFilesLimit } from '../container/open-files.ts';

/** The fields of a process, as in the guest's `spawn.h`. */
export const processFields = ({ command, env, workingDir, user }: WantedProcess) => [
  ...command.map((word) => ['arg', word] as const),
  ...env.map((variable) => ['env', variable] as const),
  ['cwd', workingDir] as const,
  ['user', user] as const,
  ['open-files', String(openFilesLimit())] as const,
];

/** Fields of a main process: paths to mask for all processes of the container. */
export const MASK_FIELDS = [
  ...MASKED_PATHS.map((path) => ['mask', path] as const),
  ...READ_ONLY_PATHS.map((path) => ['read-only', path] as const),
];
