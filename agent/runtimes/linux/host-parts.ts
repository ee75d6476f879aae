import type { HostFacts } from '../../../core/contract/host.ts';
import type { DefaultContainers } from './container/default-containers.ts';
import type { MainRuns } from './container/main-runs.ts';
import type { ContainerRecords } from './container/records.ts';
import type { UserNamespaces } from './container/user-namespaces.ts';
import type { WritableLayers } from './container/writable-layer.ts';
import type { ImageStore } from './image/image-store.ts';
import type { ImageImporter } from './image/import-image.ts';
import type { NatSwitch } from './network/nat-switch.ts';
import type { VmContainers } from './vm/vm-containers.ts';
import type { VmPool } from './vm/vm-pool.ts';

/** The parts of `LinuxRuntime`; `open-host.ts` creates them. */
export interface HostParts {
  readonly facts: HostFacts;
  readonly records: ContainerRecords;
  readonly images: ImageStore;
  readonly importer: ImageImporter;
  readonly layers: WritableLayers;
  readonly network: NatSwitch;
  readonly userNamespaces: UserNamespaces;
  readonly defaults: DefaultContainers;
  readonly vms: VmContainers;
  readonly runs: MainRuns;
  readonly pool: VmPool;
  readonly close: () => void;
  readonly shutDown: () => Promise<void>;
}
