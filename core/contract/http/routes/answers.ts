import * as z from 'zod/mini';
import { ContainerSchema, ConversionPreviewSchema } from '../../container.ts';
import { CapacitySchema } from '../../host.ts';
import { OperationSchema } from '../../operation.ts';
import { IdSchema } from '../../primitives.ts';

export const AcceptedSchema = z.strictObject({ container: ContainerSchema, operation: OperationSchema });

/** The response of a dry run, which changes nothing. */
export const DryRunSchema = z.strictObject({
  dryRun: z.literal(true),
  wouldDo: z.string(),
  placement: z.nullable(
    z.strictObject({
      fits: z.boolean(),
      hostId: z.nullable(IdSchema),
      reason: z.string(),
      reservation: z.nullable(CapacitySchema),
    }),
  ),
  conversion: z.optional(ConversionPreviewSchema),
});

export const accepted = { 202: AcceptedSchema, 200: z.union([AcceptedSchema, DryRunSchema]) };
