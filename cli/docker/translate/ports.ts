import type { Container } from '../../../core/contract/container.ts';
import { DockerError } from '../errors.ts';

type Port = Container['ports'][number];

interface Binding {
  readonly HostIp?: string;
  readonly HostPort?: string;
}

const number = (text: string, what: string): number => {
  const value = Number(text);
  if (/^\d{1,5}$/.test(text) && value >= 1 && value <= 65_535) return value;
  throw new DockerError(400, `invalid port specification: ${what}`);
};

const fromBinding = (containerPort: number, protocol: 'tcp' | 'udp', binding: Binding): Port => {
  const address = binding.HostIp ?? '';
  if (!['', '0.0.0.0', '127.0.0.1'].includes(address))
    throw new DockerError(
      501,
      `Publishing to the address ${address} is not supported by Bulkhead. Omit the address, or use 127.0.0.1.`,
    );
  const hostAddress = address === '127.0.0.1' ? { hostAddress: '127.0.0.1' as const } : {};
  const given = binding.HostPort ?? '';
  const hostPort = given === '' || given === '0' ? {} : { hostPort: number(given, given) };
  return { ...hostPort, containerPort, protocol, ...hostAddress };
};

/** The ports in `PortBindings`. Ports that are only exposed are not published. */
export const toPorts = (bindings: Readonly<Record<string, readonly Binding[] | null>>): Port[] =>
  Object.entries(bindings).flatMap(([spec, list]) => {
    const [port = '', protocol = 'tcp'] = spec.split('/');
    if (protocol !== 'tcp' && protocol !== 'udp')
      throw new DockerError(501, `Publishing ${spec} is not supported by Bulkhead. Use tcp or udp.`);
    return (list ?? [{}]).map((binding) => fromBinding(number(port, spec), protocol, binding));
  });

const keyOf = ({ containerPort, protocol }: Port): string => `${containerPort}/${protocol ?? 'tcp'}`;

/** @param hostIp the address of the host on which the ports are published; empty: as requested */
export const toBindings = (ports: readonly Port[], hostIp = ''): Record<string, Binding[]> => {
  const bindings: Record<string, Binding[]> = {};
  for (const port of ports) {
    const binding = {
      HostIp: port.hostAddress ?? hostIp,
      HostPort: port.hostPort === undefined ? '' : String(port.hostPort),
    };
    bindings[keyOf(port)] = [...(bindings[keyOf(port)] ?? []), binding];
  }
  return bindings;
};

export const toExposed = (ports: readonly Port[]): Record<string, object> =>
  Object.fromEntries(ports.map((port) => [keyOf(port), {}]));

/** The ports in the format of `docker ps`. */
export const toPortList = (ports: readonly Port[]) =>
  ports.map(({ hostPort, containerPort, protocol, hostAddress }) => ({
    PrivatePort: containerPort,
    Type: protocol ?? 'tcp',
    ...(hostPort === undefined ? {} : { PublicPort: hostPort, IP: hostAddress ?? '0.0.0.0' }),
  }));
