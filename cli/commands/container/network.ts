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
      new Option(
        '--egress <default>',
        'default without a matching rule: allow (public addresses) or deny',
      ).choices(['allow', 'deny']),
    )
    .option('--allow <rule>', 'destination to allow: DESTINATION[:PORTS][/tcp|udp]; can be repeated', rule)
    .option('--deny <rule>', 'destination to deny; has priority over --allow; can be repeated', rule)
    .addOption(
      new Option('--peers <which>', 'access to other containers of the tenant on the same switch').choices([
        'none',
        'switch',
      ]),
    );

/** The syntax of rules, at the end of a command's help. */
export const RULE_HELP = `
Rules: ${RULE_SYNTAX}. The destination is an address, a CIDR range or a domain
name. *.example.com matches every name below example.com. An IPv6 destination with
ports requires brackets. Examples: example.com:443/tcp  8.8.8.0/24  [2001:4860::/32]:53,853`;

/** The policy in the options; undefined if they contain none. */
export const networkOf = ({ egress, allow, deny, peers }: NetworkOptions): NetworkPolicy | undefined => {
  const rules = { default: egress, allow, deny };
  const hasRules = Object.values(rules).some((one) => one !== undefined);
  if (!hasRules && peers === undefined) return undefined;
  return { ...(hasRules && { egress: rules }), ...(peers !== undefined && { peers }) };
};

const mergeRules = (before: readonly NetworkRule[], more: readonly NetworkRule[] = []): NetworkRule[] => [
  ...new Map([...before, ...more].map((one) => [formatRule(one), one])).values(),
];

/** Applies the changes in the options to a policy. */
export const changedNetwork = (
  { egress, peers }: Container['network'],
  options: NetworkOptions & { readonly clearRules?: true },
): NetworkPolicy => {
  const kept = options.clearRules === true ? { allow: [], deny: [] } : egress;
  return {
    egress: {
      default: options.egress ?? egress.default,
      allow: mergeRules(kept.allow, options.allow),
      deny: mergeRules(kept.deny, options.deny),
    },
    peers: options.peers ?? peers,
  };
};

const MAX_POLLS = 20;
const POLL_MS = 150;

/** Waits a few seconds for the host to confirm the policy. @returns the container as it was last read */
export const waitForConfirmation = async (context: Context, container: Container): Promise<Container> => {
  let now = container;
  for (let poll = 0; now.networkPending && poll < MAX_POLLS; poll += 1) {
    await sleep(POLL_MS, undefined, { signal: context.signal });
    now = await context.client.call('getContainer', { params: { idOrName: container.id } });
  }
  if (now.networkPending)
    context.showNote(
      'The host has not confirmed the network policy yet. It gets the policy when it connects.',
    );
  return now;
};
