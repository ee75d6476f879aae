import { messageOf } from '../../../errors.ts';
import type { LinuxDeps } from '../deps.ts';
import { runCommand } from '../run-command.ts';
import type { Endpoint } from './endpoint.ts';
import { readHostAddresses } from './host-addresses.ts';

type Port = Endpoint['ports'][number];

/** Options of `conntrack`, which select the connections to forget. */
type Selection = readonly string[];

/**
 * NAT rules apply only to the first packet of a connection. The kernel remembers a connection as long as its client sends, and a
 * UDP client may send for hours. So connections must be forgotten when a publication begins, even those without NAT, and when it
 * ends. Other engines had this bug for years: https://github.com/moby/moby/issues/8795.
 */
export class Connections {
  readonly #log: LinuxDeps['log'];
  readonly #inRouter: (...command: string[]) => string[];
  readonly #routerAddress: string;

  /** @param inRouter the command line of `nsenter` that runs a command in the router's namespace */
  constructor(
    { log }: Pick<LinuxDeps, 'log'>,
    inRouter: (...command: string[]) => string[],
    routerAddress: string,
  ) {
    this.#log = log;
    this.#inRouter = inRouter;
    this.#routerAddress = routerAddress;
  }

  /** Must be called when the rules of published ports are in force. */
  async published(ports: readonly Port[]): Promise<void> {
    const udp = ports.filter(({ protocol }) => protocol === 'udp').map(({ hostPort }) => String(hostPort));
    if (udp.length === 0) return;
    const addresses = await readHostAddresses();
    const selected = (port: string) => ['-p', 'udp', '--orig-port-dst', port];
    await Promise.all([
      ...udp.map((port) => this.#forgetInRouter(selected(port))),
      ...udp.flatMap((port) => addresses.map((address) => this.#forget([...selected(port), '-d', address]))),
    ]);
  }

  /** Must be called when a container's rules are removed: no other container may receive the rest of its connections. */
  async removed({ address, ports }: Endpoint): Promise<void> {
    await Promise.all([
      this.#forgetInRouter(['-s', address]),
      this.#forgetInRouter(['-r', address]),
      ...ports.map(({ protocol, hostPort }) =>
        this.#forget(['-p', protocol, '--orig-port-dst', String(hostPort), '-r', this.#routerAddress]),
      ),
    ]);
  }

  #forgetInRouter(selection: Selection): Promise<void> {
    return this.#run('nsenter', this.#inRouter('conntrack', '-D', ...selection));
  }

  #forget(selection: Selection): Promise<void> {
    return this.#run('conntrack', ['-D', ...selection]);
  }

  /** conntrack fails if no connection is selected. A failure must not prevent a start or a removal. */
  async #run(program: string, args: readonly string[]): Promise<void> {
    try {
      const { code, stderr } = await runCommand(program, args);
      if (code !== 0 && !/\b0 flow entries/.test(stderr))
        this.#log.warn('could not forget connections', { reason: stderr.trim() });
    } catch (error) {
      this.#log.warn('could not forget connections', { reason: messageOf(error) });
    }
  }
}
