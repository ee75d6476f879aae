import type { ConversionPreview } from '../../../core/contract/container.ts';
import type { ContainerRecord } from '../../../store/containers.ts';
import type { OperationRecord } from '../../../store/operations.ts';
import type { PlacementPreview } from '../../../workflow/placement/preview-placement.ts';
import type { Answer } from './exchange.ts';
import { etag } from './preconditions.ts';
import { toContainer, toOperation } from './resources.ts';

/** A container and its operation: 202 while the operation runs, 200 if there is nothing to wait for. */
export const answerOperation = (
  status: 200 | 202,
  container: ContainerRecord,
  operation: OperationRecord,
  now: Date,
): Answer => ({
  status,
  headers: { location: `/v1/operations/${operation.id}`, etag: etag(container.revision) },
  body: { container: toContainer(container, now), operation: toOperation(operation) },
});

/** A resource with an ETag. */
export const answerResource = (body: { readonly revision: number }): Answer => ({
  status: 200,
  headers: { etag: etag(body.revision) },
  body,
});

/** @param wouldDo text that continues "it would" */
export const answerDryRun = (
  wouldDo: string,
  placement: PlacementPreview | null = null,
  conversion?: ConversionPreview,
): Answer => ({
  status: 200,
  body: { dryRun: true, wouldDo, placement, ...(conversion && { conversion }) },
});
