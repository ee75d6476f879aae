import type { ContainerSpec } from '../../../../core/contract/container.ts';
import { RuntimeError } from '../../../errors.ts';
import type { LeaseKind, Leases } from '../leases.ts';
import type { Endpoint } from './endpoint.ts';
import { isPortInUse } from './port-in-use.ts';

const KINDS = ['tcp', 'udp'] as const satisfies readonly LeaseKind[];

/**
 * Reserves a container's published ports on the host: all or none.
 * @throws {RuntimeError} with the port that is in use
 */
export const takePorts = async (
  leases: Leases,
  id: string,
  ports: NonNullable<ContainerSpec['ports']>,
): Promise<Endpoint['ports']> => {
  const taken: Endpoint['ports'] = [];
  try {
    for (const [index, { hostPort: wanted, containerPort, protocol = 'tcp', hostAddress }] of ports.entries())
      taken.push({
        hostPort: await takePort(leases, `${id}/${index}`, protocol, wanted),
        containerPort,
        protocol,
        ...(hostAddress === undefined ? {} : { hostAddress }),
      });
    return taken;
  } catch (error) {
    await leases.release('address', id);
    await releasePorts(leases, id);
    throw error;
  }
};

export const releasePorts = async (leases: Leases, id: string): Promise<void> => {
  for (const kind of KINDS)
    for (const lease of await leases.held(kind))
      if (lease.id.startsWith(`${id}/`)) await leases.release(kind, lease.id);
};

const takePort = async (
  leases: Leases,
  owner: string,
  protocol: 'tcp' | 'udp',
  wanted: number | undefined,
): Promise<number> => {
  const isFree = async (port: number) => !(await isPortInUse(protocol, port));
  if (wanted === undefined) return leases.take(protocol, owner, isFree);
  const refuse = (by: string) =>
    new RuntimeError('step-failed', `Port ${wanted}/${protocol} of the host is in use by ${by}`);
  if (!(await leases.takeExactly(protocol, wanted, owner))) throw refuse('another container');
  if (!(await isFree(wanted))) throw refuse('a program of the host');
  return wanted;
};
