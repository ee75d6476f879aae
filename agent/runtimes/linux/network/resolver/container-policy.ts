import * as z from 'zod/mini';
import { EndpointSchema } from '../endpoint.ts';

/** The resolver's file for a container, which is named after the container's address. */
export const ContainerPolicySchema = z.strictObject({
  endpoint: EndpointSchema,
  /** Private ranges that the host's operator allows policies to open. */
  allowPrivate: z.array(z.string()),
});
export type ContainerPolicy = z.infer<typeof ContainerPolicySchema>;
