import type { ConversionPreview } from '../../core/contract/container.ts';
import { reservationFits } from '../../core/domain/capacity.ts';
import { conversionReservation, expectedDowntime } from '../../core/domain/conversion.ts';
import type { ContainerRecord } from '../../store/containers.ts';
import { readDowntimes } from '../../store/downtimes.ts';
import type { Table } from '../../store/table.ts';
import type { ConversionInputs } from './conversion-case.ts';

/** What a conversion would do, without doing it. */
export const previewConversion = async (
  table: Table,
  container: ContainerRecord,
  { host, rules }: ConversionInputs,
): Promise<ConversionPreview> => {
  const { reservation, view, tenant } = container;
  const { os } = host.view.facts;
  const restarts = view.state === 'Running';
  const room =
    reservation && conversionReservation(reservation, view.spec.resources, rules.to, host.view.facts);
  const recent = restarts ? await readDowntimes(table, tenant, host.id, rules.to) : [];
  const medianMs = expectedDowntime(recent);
  return {
    from: rules.from,
    to: rules.to,
    hostId: host.id,
    hostOs: `${os.family} ${os.sku} ${os.version}`,
    restarts,
    reservation: { now: reservation, during: room?.during ?? null, after: room?.after ?? null },
    fits: room === null || reservationFits(room.extra, host.free),
    expectedDowntime: medianMs === null ? null : { medianMs, conversions: recent.length },
    // Once a container has run as HyperV its disk is untrusted.
    rollback: {
      onFailure: rules.to === 'HyperV' && restarts ? 'asItWasOrInVm' : 'asItWas',
      later: rules.to === 'HyperV' && restarts ? 'acceptUntrustedDisk' : 'convert',
    },
  };
};
