import * as z from 'zod/mini';
import { ResolvedNetworkPolicySchema } from '../../../../core/contract/network.ts';
import { addMembers, type RecordFormat } from '../../../formats/record-format.ts';

const PortSchema = z.strictObject({
  hostPort: z.int(),
  containerPort: z.int(),
  protocol: z.enum(['tcp', 'udp']),
  hostAddress: z.optional(z.literal('127.0.0.1')),
});

/** A container's network endpoint. The record is written before any part is created, and again when all parts exist. */
export const EndpointSchema = z.strictObject({
  /** The router's end of the link. */
  device: z.string(),
  /** The network namespace of a Default container. */
  namespace: z.nullable(z.string()),
  address: z.string(),
  mac: z.string(),
  ports: z.array(PortSchema),
  policy: ResolvedNetworkPolicySchema,
  complete: z.boolean(),
});
export type Endpoint = z.infer<typeof EndpointSchema>;

export const EndpointFormat: RecordFormat<Endpoint> = {
  name: 'network endpoint',
  schema: EndpointSchema,
  // Version 2: ports can have a host address.
  upgrades: [addMembers(), addMembers()],
};

/** Where `ip netns` mounts its namespaces. */
const NAMESPACES = '/run/netns';
export const namedNamespace = (name: string): string => `${NAMESPACES}/${name}`;
export const namespacePath = ({ namespace }: Endpoint): string | null =>
  namespace === null ? null : namedNamespace(namespace);
