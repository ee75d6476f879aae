import * as z from 'zod/mini';
import { EndpointSchema } from '../endpoint.ts';

/** What the resolver has to know of a container, in a file named after its address. */
export const ContainerPolicySchema = z.strictObject({
  endpoint: EndpointSchema,
  /** Private ranges that the host's operator lets policies open. */
  allowPrivate: z.array(z.string()),
});
export type ContainerPolicy = z.infer<typeof ContainerPolicySchema>;
