import type { RuntimeType } from '../../core/contract/primitives.ts';
import type { ConversionCase } from '../../core/domain/conversion.ts';
import type { ContainerRecord } from '../../store/containers.ts';
import { type HostRecord, parseHost } from '../../store/hosts.ts';
import { parseImage } from '../../store/images.ts';
import { keys } from '../../store/keys.ts';
import type { Table } from '../../store/table.ts';

export interface ConversionInputs {
  readonly host: HostRecord;
  readonly rules: ConversionCase;
}

/** The inputs of the conversion rules. @returns undefined for a container without a host */
export const readConversionInputs = async (
  table: Table,
  container: ContainerRecord,
  to: RuntimeType,
  acceptUntrustedDisk: boolean,
): Promise<ConversionInputs | undefined> => {
  const { tenant, view, ranAs } = container;
  if (view.hostId === null) return undefined;
  const [hostItem, image] = await Promise.all([
    table.get(keys.host(tenant, view.hostId)),
    table.get(keys.image(tenant, view.spec.image)),
  ]);
  if (hostItem === undefined) return undefined;
  const host = parseHost(hostItem);
  const { name, state, facts } = host.view;
  const rules: ConversionCase = {
    from: view.runtimeType,
    to,
    ranAs,
    acceptUntrustedDisk,
    host: { name, state, facts },
    image: image && parseImage(image).view,
  };
  return { host, rules };
};
