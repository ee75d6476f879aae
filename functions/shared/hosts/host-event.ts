import * as z from 'zod/mini';
import { IdSchema } from '../../../core/contract/primitives.ts';
import type { Connection } from '../../../store/host-links.ts';
import { TENANT_PATTERN } from '../../../store/keys.ts';

/** The members that the functions behind the WebSocket API read of an event. The authorizer adds the principal. */
const HostEventSchema = z.object({
  requestContext: z.object({
    connectionId: z.string().check(z.minLength(1)),
    connectedAt: z._default(z.number(), 0),
    eventType: z.optional(z.string()),
    routeKey: z.optional(z.string()),
    authorizer: z.object({ tenant: z.string().check(z.regex(TENANT_PATTERN)), hostId: IdSchema }),
  }),
  body: z.optional(z.nullable(z.string())),
  isBase64Encoded: z.optional(z.boolean()),
});

interface HostEvent {
  readonly connection: Connection;
  /** Milliseconds since 1970 by the WebSocket API's clock. */
  readonly connectedAt: number;
  readonly routeKey: string;
  readonly body: string;
}

/** @returns undefined for an event without a principal, which API Gateway never sends */
export const parseHostEvent = (event: unknown): HostEvent | undefined => {
  const parsed = HostEventSchema.safeParse(event);
  if (!parsed.success) return undefined;
  const { requestContext, body, isBase64Encoded } = parsed.data;
  const { connectionId, connectedAt, routeKey = '', authorizer } = requestContext;
  const text = body ?? '';
  return {
    connection: { connectionId, tenant: authorizer.tenant, hostId: authorizer.hostId },
    connectedAt,
    routeKey,
    body: isBase64Encoded === true ? Buffer.from(text, 'base64').toString('utf8') : text,
  };
};
