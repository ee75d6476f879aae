import type { ComputeProcess, Process } from '../../core/contract/compute-process.ts';
import type { Container } from '../../core/contract/container.ts';
import type { Host } from '../../core/contract/host.ts';
import type { Stage } from './stage.ts';

/** Container names. Another control plane may already have them. */
export interface Scenario {
  readonly host: Host;
  readonly image: string;
  /** The main process, after "--"; without it the image's default. */
  readonly command: readonly string[];
  readonly hyperv: string;
  readonly plain: string;
  readonly converted: string;
}

const switchOf = (host: Host, wanted: string): string =>
  host.switches.find((name) => name.toLowerCase() === wanted.toLowerCase()) ?? host.switches[0] ?? 'NAT';

export class Workflow {
  readonly #stage: Stage;
  readonly #scenario: Scenario;

  constructor(stage: Stage, scenario: Scenario) {
    this.#stage = stage;
    this.#scenario = scenario;
  }

  get(name: string): Promise<Container> {
    return this.#stage.client.call('getContainer', { params: { idOrName: name } });
  }

  async processes(name: string): Promise<Process[]> {
    const answer = await this.#stage.client.call('listContainerProcesses', { params: { idOrName: name } });
    return answer.items;
  }

  async hostProcesses(): Promise<Process[]> {
    const { id } = this.#scenario.host;
    return (await this.#stage.client.call('listHostProcesses', { params: { id } })).items;
  }

  async computeProcess(name: string): Promise<ComputeProcess> {
    const { id } = await this.get(name);
    return this.#stage.client.call('getComputeProcess', { params: { id } });
  }

  async creation(): Promise<void> {
    const { host, image, hyperv, plain, command } = this.#scenario;
    const place = ['--host-id', host.id];
    const main = command.length === 0 ? [] : ['--', ...command];
    const virtualSwitch = switchOf(host, 'Virtual Switch');
    await this.#stage.row({
      cmdlet: `New-Container -Name ${hyperv} -ContainerImageName ${image} -SwitchName "Virtual Switch" -RuntimeType HyperV`,
      commands: [
        [
          ...['container', 'create', image, '--name', hyperv, '--switch-name', virtualSwitch],
          ...['--runtime-type', 'HyperV', ...place, ...main],
        ],
      ],
      check: async () =>
        (await this.get(hyperv)).runtimeType === 'HyperV' && (await this.get(hyperv)).state === 'Off',
      proves: 'The runtime type is a parameter. A new container is Off, and its uptime is 00:00:00.',
    });
    await this.#stage.row({
      cmdlet: `New-Container -Name ${plain} -ContainerImageName ${image.toLowerCase()} -SwitchName NAT`,
      commands: [
        [
          'container',
          'create',
          image.toLowerCase(),
          '--name',
          plain,
          '--switch-name',
          switchOf(host, 'NAT'),
          ...place,
          ...main,
        ],
      ],
      check: async () => (await this.get(plain)).runtimeType === 'Default',
      proves: 'Without the parameter, the runtime type is Default. The case of image names is ignored.',
    });
    await this.#stage.row({
      cmdlet:
        "Get-Container | Select ContainerName, RuntimeType;  … Select ContainerId | Where RuntimeType -eq 'Hyperv'",
      commands: [
        ['container', 'list', '--host-id', host.id, '--select', 'ContainerName,RuntimeType'],
        ['container', 'list', '--host-id', host.id, '--select', 'ContainerId', '--runtime-type', 'Hyperv'],
      ],
      check: async () => {
        const query = { runtimeType: 'Hyperv', name: hyperv };
        return (await this.#stage.client.call('listContainers', { query })).items.length === 1;
      },
      proves: 'Lists can be filtered by the runtime type, in any case.',
    });
  }

  async conversion(): Promise<void> {
    const { host, image, converted } = this.#scenario;
    await this.#stage.run([
      'container',
      'create',
      image.toLowerCase(),
      '--name',
      converted,
      '--host-id',
      host.id,
      '--no-wait',
    ]);
    await this.#settled(converted);
    await this.#stage.row({
      cmdlet: `Set-Container $con -RuntimeType HyperV   (on a host that can convert: ${host.os.sku})`,
      commands: [
        ['container', 'set', converted, '--runtime-type', 'HyperV'],
        ['container', 'list', '--name', converted, '--select', 'Name,State,RuntimeType'],
      ],
      check: async () => (await this.get(converted)).runtimeType === 'HyperV',
      proves: 'An existing container is converted. Its runtime type is then HyperV.',
    });
  }

  /** On Windows, only Nano Server hosts convert. Any other host refuses and changes nothing. */
  async refusedConversion(other: Host): Promise<void> {
    const { image, converted } = this.#scenario;
    const name = `${converted}-CORE`;
    await this.#stage.run([
      'container',
      'create',
      image.toLowerCase(),
      '--name',
      name,
      '--host-id',
      other.id,
      '--no-wait',
    ]);
    await this.#settled(name);
    await this.#stage.row({
      cmdlet: `Set-Container $con -RuntimeType HyperV   (on ${other.os.sku}, which does not support it)`,
      commands: [['container', 'set', name, '--runtime-type', 'HyperV']],
      exitCode: 5,
      check: async () => (await this.get(name)).runtimeType === 'Default',
      proves: 'A host that cannot convert refuses the request, and nothing changes.',
    });
    await this.#stage.run(['container', 'remove', name]);
  }

  async start(): Promise<void> {
    const { hyperv, plain } = this.#scenario;
    await this.#stage.row({
      cmdlet: `Start-Container ${hyperv}; Start-Container ${plain}`,
      commands: [
        ['container', 'start', hyperv],
        ['container', 'start', plain],
      ],
      check: async () =>
        (await this.get(hyperv)).state === 'Running' && (await this.get(plain)).state === 'Running',
      proves: 'Both are started in the same way. The steps show that one of them has a utility VM.',
    });
  }

  async session(question: readonly string[], expected: RegExp): Promise<void> {
    const { hyperv } = this.#scenario;
    await this.#stage.row({
      cmdlet: `Enter-PSSession -ContainerId (Get-Container ${hyperv}).ContainerId -RunAsAdministrator`,
      commands: [['container', 'enter', hyperv, '--administrator', '--no-tty', '--', ...question]],
      check: async () => {
        const body = { command: [...question] };
        const result = await this.#stage.client.call('execInContainer', {
          params: { idOrName: hyperv },
          body,
        });
        return 'stdout' in result && result.exitCode === 0 && expected.test(result.stdout);
      },
      proves: 'A session in the container can run as its administrator, and needs no network.',
    });
  }

  async computeProcesses(): Promise<void> {
    const { hyperv } = this.#scenario;
    const { id } = await this.get(hyperv);
    await this.#stage.row({
      cmdlet: 'Get-ComputeProcess',
      commands: [['compute-process', 'list', '--host-id', this.#scenario.host.id]],
      check: async () => {
        const { id: own, owner, type } = await this.computeProcess(hyperv);
        return own === id.toUpperCase() && owner === 'VMMS' && type === 'Container';
      },
      proves: 'Running containers are listed with the upper-case id, the owner VMMS and the type Container.',
    });
    await this.#stage.row({
      cmdlet: `Get-Process vmwp -IncludeUserName | Where UserName -like "*$((Get-Container ${hyperv}).ContainerId)"`,
      commands: [['compute-process', 'get', id]],
      check: async () => {
        const { workerProcess } = await this.computeProcess(hyperv);
        const onHost = (await this.hostProcesses()).filter(({ userName }) => userName === id.toUpperCase());
        return workerProcess !== null && onHost.some(({ pid }) => pid === workerProcess.pid);
      },
      proves: 'The HyperV container has one worker process, whose user is named after the container’s id.',
    });
  }

  async isolationReports(): Promise<void> {
    const { hyperv, plain } = this.#scenario;
    for (const [name, sharedKernel] of [
      [plain, true],
      [hyperv, false],
    ] as const)
      await this.#stage.row({
        cmdlet: `(Get-Process in ${name} and on the host, compared)`,
        commands: [['container', 'isolation', name]],
        check: async () => {
          const params = { idOrName: name };
          const report = await this.#stage.client.call('getContainerIsolation', { params });
          return report.sharedKernel === sharedKernel && report.visibleOnHost.length > 0 === sharedKernel;
        },
        proves: sharedKernel
          ? 'A Default container shares the host’s kernel, and its processes are visible on the host.'
          : 'A HyperV container has its own kernel, and none of its processes is visible on the host.',
      });
  }

  async end(): Promise<void> {
    const { hyperv, plain, converted } = this.#scenario;
    await this.#stage.row({
      cmdlet: `Stop-Container ${hyperv}; Remove-Container ${hyperv}; Remove-Container ${plain} -Force`,
      commands: [
        ['container', 'stop', hyperv, '--timeout', '1'],
        ['container', 'remove', hyperv],
        ['container', 'remove', plain, '--force'],
      ],
      check: async () => {
        const { items } = await this.#stage.client.call('listContainers', { query: { limit: '200' } });
        return !items.some(({ name }) => name === hyperv || name === plain);
      },
      proves:
        'A stopped container is removed, and a running one with --force. Neither leaves anything behind.',
    });
    await this.remove(converted);
  }

  /** Removes a container that the demo may have left, and ignores failures. */
  async remove(name: string): Promise<void> {
    const request = { params: { idOrName: name }, query: { force: 'true' as const } };
    await this.#stage.client.call('removeContainer', request).catch(() => undefined);
  }

  async #settled(name: string): Promise<void> {
    const { activeOperationId } = await this.get(name);
    if (activeOperationId !== null) await this.#stage.run(['operation', 'wait', activeOperationId]);
  }
}
