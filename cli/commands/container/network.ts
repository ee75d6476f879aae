import { setTimeout as sleep } from 'node:timers/promises';
import { type Command, InvalidArgumentError, Option } from 'commander';
import type { Container } from '../../../core/contract/container.ts';
import type { NetworkPolicy, NetworkRule } from '../../../core/contract/network.ts';
import type { Context } from '../../context.ts';
import { formatRule, parseRule, RULE_SYNTAX } from '../../network-rule.ts';

export interface NetworkOptions {
  readonly egress?: 'allow' | 'deny';
  readonly allow?: NetworkRule[];
  readonly deny?: NetworkRule[];
  readonly peers?: 'none' | 'switch';
}

const rule = (text: string, before: readonly NetworkRule[] = []): NetworkRule[] => {
  const parsed = parseRule(text);
  if (typeof parsed === 'string') throw new InvalidArgumentError(parsed);
  return [...before, parsed];
};

export const addNetworkOptions = (command: Command): Command =>
  command
    .addOption(
      new Option('--egress <default>', 'without a matching rule: allow (public addresses) or deny').choices([
        'allow',
        'deny',
      ]),
    )
    .option('--allow <rule>', 'allow DESTINATION[:PORTS][/tcp|udp]; can be repeated', rule)
    .option('--deny <rule>', 'deny a destination; has priority over --allow', rule)
    .addOption(
      new Option('--peers <which>', 'reachable containers of the tenant on the same switch').choices([
        'none',
        'switch',
      ]),
    );

/** The syntax of rules, for the end of a command's help. */
export const RULE_HELP = `
Rules: ${RULE_SYNTAX}. The destination is an address, a CIDR range or a domain
name; *.example.com is every name below example.com. IPv6 stands in brackets where
ports follow. Examples: example.com:443/tcp  8.8.8.0/24  [2001:4860::/32]:53,853`;

/** The policy in the options; undefined if they contain none. */
export const networkOf = ({ egress, allow, deny, peers }: NetworkOptions): NetworkPolicy | undefined => {
  const rules = { default: egress, allow, deny };
  const hasRules = Object.values(rules).some((one) => one !== undefined);
  if (!hasRules && peers === undefined) return undefined;
  return { ...(hasRules && { egress: rules }), ...(peers !== undefined && { peers }) };
};

const added = (before: readonly NetworkRule[], more: readonly NetworkRule[] = []): NetworkRule[] => [
  ...new Map([...before, ...more].map((one) => [formatRule(one), one])).values(),
];

/** A policy with the changes of the options. */
export const changedNetwork = (
  { egress, peers }: Container['network'],
  options: NetworkOptions & { readonly clearRules?: true },
): NetworkPolicy => {
  const kept = options.clearRules === true ? { allow: [], deny: [] } : egress;
  return {
    egress: {
      default: options.egress ?? egress.default,
      allow: added(kept.allow, options.allow),
      deny: added(kept.deny, options.deny),
    },
    peers: options.peers ?? peers,
  };
};

const LOOKS = 20;
const LOOK_MS = 150;

/** Waits a few seconds for the host to confirm the policy. @returns the container as last read */
export const untilConfirmed = async (context: Context, container: Container): Promise<Container> => {
  let now = container;
  for (let look = 0; now.networkPending && look < LOOKS; look += 1) {
    await sleep(LOOK_MS, undefined, { signal: context.signal });
    now = await context.client.call('getContainer', { params: { idOrName: container.id } });
  }
  if (now.networkPending)
    context.say('The host has not confirmed the network policy yet. It gets the policy when it connects.');
  return now;
};
