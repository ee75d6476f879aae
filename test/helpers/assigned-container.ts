import { randomUUID } from 'node:crypto';
import type { AssignedContainer } from '../../core/contract/agent/commands.ts';
import { DEFAULT_NETWORK } from '../../core/contract/network.ts';
import type { RestartPolicy, RuntimeType } from '../../core/contract/primitives.ts';

export const container = ({
  id = randomUUID(),
  image = 'mini',
  runtimeType = 'Default' as RuntimeType,
  command,
  restartPolicy = { name: 'no' } as RestartPolicy,
  switchName = 'NAT',
  tty = false,
}: {
  id?: string;
  image?: string;
  runtimeType?: RuntimeType;
  command?: string[];
  restartPolicy?: RestartPolicy;
  switchName?: string;
  tty?: boolean;
} = {}): AssignedContainer => ({
  id,
  name: `c-${id.slice(0, 8)}`,
  runtimeType,
  spec: {
    image,
    switchName,
    ...DEFAULT_NETWORK,
    resources: { memoryMB: 128, cpus: 1, diskMB: 256 },
    restartPolicy,
    ...(command ? { command } : {}),
    ...(tty ? { tty } : {}),
  },
});
