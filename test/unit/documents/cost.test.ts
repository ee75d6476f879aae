import { expect, test } from '@jest/globals';
import { HEARTBEAT_SECONDS, LEASE_SECONDS } from '../../../core/contract/deployment.ts';
import { idleHostCosts, sumOf } from '../../../scripts/documents/cost/cost.ts';
import { readIdleCounts } from '../../../scripts/documents/cost/read-counts.ts';

test('an idle host costs at most USD 0.06 a month, and its lease is at most five minutes', () => {
  const lease = { heartbeatSeconds: HEARTBEAT_SECONDS, leaseSeconds: LEASE_SECONDS };
  expect(sumOf(idleHostCosts(readIdleCounts(), lease))).toBeLessThanOrEqual(0.06);
  expect(LEASE_SECONDS).toBeLessThanOrEqual(300);
});
