import { ConflictError } from '../core/domain/errors.ts';
import { toItem } from './item.ts';
import { keys } from './keys.ts';
import { parseContainer } from './parse.ts';
import { containerItem } from './put.ts';
import type { ContainerRecord, OperationRecord } from './records.ts';
import { ConditionFailed, type Table, type Write } from './table.ts';
import { addOperation } from './writes.ts';

const UUID = /^[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}$/i;

/** Whether a text is an id, in either case: such a text is never a name. */
export const isId = (text: string): boolean => UUID.test(text);

/**
 * Reads at half a unit first. What is not found may only just have been made, so a miss is looked at once more,
 * consistently: whoever was answered that it is accepted can read it at once.
 */
const getFresh = async (table: Table, key: { pk: string; sk: string }) =>
  (await table.get(key)) ?? (await table.get(key, { consistent: true }));

export const getContainer = async (
  table: Table,
  tenant: string,
  id: string,
): Promise<ContainerRecord | undefined> => {
  const item = await getFresh(table, keys.container(tenant, id));
  return item && parseContainer(item);
};

/** For a decision: as it stands now. One read unit. */
export const getContainerNow = async (
  table: Table,
  tenant: string,
  id: string,
): Promise<ContainerRecord | undefined> => {
  const item = await table.get(keys.container(tenant, id), { consistent: true });
  return item && parseContainer(item);
};

/** Id of the container of that name. */
export const findContainerId = async (
  table: Table,
  tenant: string,
  name: string,
): Promise<string | undefined> => (await getFresh(table, keys.containerName(tenant, name)))?.containerId?.S;

/** Id of a container out of its id, in either case, or its name. Undefined for a name that there is not. */
export const resolveContainerId = async (
  table: Table,
  tenant: string,
  idOrName: string,
): Promise<string | undefined> =>
  isId(idOrName) ? idOrName.toLowerCase() : findContainerId(table, tenant, idOrName);

interface NewContainer {
  readonly container: ContainerRecord;
  readonly operation: OperationRecord;
  /** The answer's own write, if it is kept for repeats. */
  readonly remember: readonly Write[];
  /** Makes a repeat of the transaction within ten minutes the same. */
  readonly token: string;
}

const NAME_WRITE = 1;

/** Why a name can't be had. @param holder id of the container that has it */
export const nameTaken = (name: string, holder: string | undefined): ConflictError =>
  new ConflictError('name-taken', `The name "${name}" is taken by container ${holder ?? 'of that name'}.`, {
    suggestion: 'Choose another name, or remove the container that has it.',
    context: { name, containerId: holder },
  });

/**
 * Container, name, operation and kept answer in one transaction.
 * @throws ConflictError `name-taken`
 */
export const createContainer = async (
  table: Table,
  { container, operation, remember, token }: NewContainer,
): Promise<void> => {
  const { tenant, id } = container;
  const { name } = container.view;
  try {
    await table.transact(
      [
        { put: { Item: containerItem(container), ConditionExpression: 'attribute_not_exists(pk)' } },
        {
          put: {
            Item: toItem({ ...keys.containerName(tenant, name), entity: 'containerName', containerId: id }),
            ConditionExpression: 'attribute_not_exists(pk)',
          },
        },
        addOperation(operation),
        ...remember,
      ],
      token,
    );
  } catch (error) {
    if (error instanceof ConditionFailed && error.index === NAME_WRITE)
      throw nameTaken(name, error.item?.containerId?.S);
    throw error;
  }
};
