import type { Colour, Paint } from './colours.ts';
import { escapeControls, pad, textWidth, truncate } from './text.ts';

export interface Column<Item> {
  readonly header: string;
  readonly value: (item: Item) => string;
  readonly colour?: (item: Item) => Colour | undefined;
  /** Numbers are right-aligned. */
  readonly right?: boolean;
  /** Whether the column is truncated first if a line does not fit. @default true for the last column if no column sets it */
  readonly flexible?: boolean;
}

export interface TableStyle {
  readonly paint: Paint;
  /** Columns of the terminal; undefined: nothing is truncated. */
  readonly width: number | undefined;
}

const GAP = ' ';
const MIN_WIDTH = 6;

/** Shrinks the flexible columns, the widest first, until the line fits. */
const fitWidths = (widths: number[], flexible: readonly boolean[], available: number): number[] => {
  const fitted = [...widths];
  const total = (): number =>
    fitted.reduce((sum, width) => sum + width, 0) + GAP.length * (fitted.length - 1);
  const shrink = (canShrink: (at: number) => boolean): void => {
    while (total() > available) {
      const candidates = fitted.map((width, at) => (canShrink(at) && width > MIN_WIDTH ? width : 0));
      const widest = candidates.indexOf(Math.max(...candidates));
      if ((candidates[widest] ?? 0) === 0) return;
      fitted[widest] = (fitted[widest] ?? 0) - 1;
    }
  };
  shrink((at) => flexible[at] === true);
  shrink(() => true);
  return fitted;
};

/**
 * A table in the format of the cmdlets: headers, a line of dashes, and one line per item. An empty table has only headers.
 */
export const renderTable = <Item>(
  columns: readonly Column<Item>[],
  items: readonly Item[],
  { paint, width }: TableStyle,
): string => {
  const rows = items.map((item) => columns.map(({ value }) => escapeControls(value(item))));
  const natural = columns.map(({ header }, at) =>
    Math.max(header.length, ...rows.map((row) => textWidth(row[at] ?? ''))),
  );
  const anyFlexible = columns.some(({ flexible }) => flexible === true);
  const flexible = columns.map((column, at) =>
    anyFlexible ? column.flexible === true : at === columns.length - 1,
  );
  const widths = width === undefined ? natural : fitWidths(natural, flexible, width);
  const line = (cells: readonly string[], colourAt: (at: number) => Colour | undefined): string =>
    cells
      .map((cell, at) => {
        const columnWidth = widths[at] ?? 0;
        const last = at === cells.length - 1 && columns[at]?.right !== true;
        const text = truncate(cell, columnWidth);
        const padded = last ? text : pad(text, columnWidth, columns[at]?.right);
        return paint(colourAt(at), padded);
      })
      .join(GAP)
      .trimEnd();
  const headers = columns.map(({ header }) => header);
  return [
    line(headers, () => 'bold'),
    line(
      headers.map((header) => '-'.repeat(header.length)),
      () => 'dim',
    ),
    ...items.map((item, row) => line(rows[row] ?? [], (at) => columns[at]?.colour?.(item))),
  ]
    .map((text) => `${text}\n`)
    .join('');
};
