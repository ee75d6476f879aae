/**
 * Docker's ids are hexadecimal and are shown by their first twelve digits; Bulkhead's are UUIDs. So Docker's id of a
 * container is its UUID without the dashes.
 */
export const toDockerId = (uuid: string): string => uuid.replaceAll('-', '');

const FULL = /^([0-9a-f]{8})([0-9a-f]{4})([0-9a-f]{4})([0-9a-f]{4})([0-9a-f]{12})$/;

/** The UUID for a full id of either form, in either case; undefined for a prefix or a name. */
export const toUuid = (id: string): string | undefined => {
  const digits = FULL.exec(id.toLowerCase().replaceAll('-', ''));
  return digits === null ? undefined : digits.slice(1).join('-');
};

export const isIdPrefix = (text: string): boolean => /^[0-9a-f]{1,31}$/.test(text);
