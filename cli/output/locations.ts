import type { Command } from 'commander';

/** Members of requests that only group others. */
const GROUPS: readonly string[] = ['network', 'egress', 'resources', 'placement', 'select', 'source'];

/** Options whose name differs from the member or header. */
const OPTIONS: Readonly<Record<string, readonly string[]>> = {
  containerId: ['container-id', 'container'],
  cooldownSeconds: ['cooldown'],
  default: ['egress'],
  diskMB: ['disk'],
  dryRun: ['rehearse'],
  hostId: ['host-id', 'host'],
  hostLabels: ['host-label'],
  labels: ['label'],
  memoryMB: ['memory'],
  ports: ['publish'],
  restartPolicy: ['restart'],
  runAsAdministrator: ['administrator'],
  timeoutSeconds: ['timeout'],
};

const kebab = (name: string): string => name.replace(/[A-Z]/g, (letter) => `-${letter.toLowerCase()}`);

/**
 * The option or argument of a command that a pointer into its request refers to: `--memory` for
 * `/body/resources/memoryMB`. The pointer itself if the command has none.
 */
export const locationIn = (command: Command | undefined, pointer: string): string => {
  const [, , ...path] = pointer.split('/');
  const member = path.find((token) => !GROUPS.includes(token)) ?? '';
  const names = OPTIONS[member] ?? [kebab(member)];
  const option = names.find((name) => command?.options.some(({ long }) => long === `--${name}`));
  if (option !== undefined) return `--${option}`;
  const argument = names.find((name) =>
    command?.registeredArguments.some((registered) => registered.name() === name),
  );
  return argument === undefined ? pointer : `<${argument}>`;
};
