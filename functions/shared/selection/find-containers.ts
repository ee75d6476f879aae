import { type ResolvedSelect, RULE_LIMITS } from '../../../core/contract/conversion-rule.ts';
import type { RuntimeType } from '../../../core/contract/primitives.ts';
import { caseInsensitiveKey } from '../../../core/domain/names.ts';
import { type ContainerFilters, listContainers } from '../../../store/container-list.ts';
import { getContainer, type IndexedContainer, isId } from '../../../store/containers.ts';
import type { Cursors } from '../../../store/cursor.ts';
import type { Table } from '../../../store/table.ts';

interface Found {
  readonly containers: readonly IndexedContainer[];
  /** More containers match, or not all could be checked. */
  readonly truncated: boolean;
}

const PAGE = 200;

const matches = ({ view }: IndexedContainer, { name, image, labels = {} }: ResolvedSelect): boolean =>
  (name === undefined || view.name === name) &&
  (image === undefined || caseInsensitiveKey(view.spec.image) === caseInsensitiveKey(image)) &&
  Object.entries(labels).every(
    ([key, value]) => Object.hasOwn(view.labels, key) && view.labels[key] === value,
  );

/**
 * Containers of the tenant that match a selection, at most `limit`. A selection that can match many finds only containers
 * of the other runtime type, so that the limit applies to conversions. The tenant comes from the rule: a selection cannot
 * reach containers of other tenants.
 */
export const findContainers = async (
  table: Table,
  cursors: Cursors,
  tenant: string,
  select: ResolvedSelect,
  { to, limit }: { readonly to: RuntimeType; readonly limit: number },
): Promise<Found> => {
  const { containerId, name, image, labels = {} } = select;
  if (containerId !== undefined) {
    const record = isId(containerId) ? await getContainer(table, tenant, containerId) : undefined;
    return { containers: record && matches(record, select) ? [record] : [], truncated: false };
  }
  const filters: ContainerFilters = {
    ...(name === undefined ? { runtimeType: to === 'HyperV' ? 'Default' : 'HyperV' } : { name }),
    ...(image !== undefined && { image }),
    labels: Object.entries(labels),
  };
  const found: IndexedContainer[] = [];
  let cursor: string | undefined;
  for (let pages = 0; pages < RULE_LIMITS.containersRead / PAGE; pages += 1) {
    const page = await listContainers(table, cursors, tenant, filters, { limit: PAGE, cursor });
    found.push(...page.items);
    if (found.length > limit) return { containers: found.slice(0, limit), truncated: true };
    if (page.nextCursor === null) return { containers: found, truncated: false };
    cursor = page.nextCursor;
  }
  return { containers: found, truncated: true };
};
