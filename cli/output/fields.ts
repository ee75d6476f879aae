import type { TableStyle } from './table.ts';
import { escapeControls, pad, textWidth, wrap } from './text.ts';

/** A name and a value; undefined and null are omitted. */
export type Field = readonly [name: string, value: string | number | boolean | null | undefined];

/** One object with one line per property, like `Format-List`; long values are wrapped. */
export const renderFields = (fields: readonly Field[], { paint, width }: TableStyle): string => {
  const shown = fields.flatMap(([name, value]) =>
    value === undefined || value === null ? [] : [[name, escapeControls(String(value))] as const],
  );
  const nameWidth = Math.max(...shown.map(([name]) => textWidth(name)));
  const indent = ' '.repeat(nameWidth + 3);
  return shown
    .map(([name, value]) => {
      const lines = width === undefined ? [value] : wrap(value, Math.max(20, width - indent.length));
      return `${paint('bold', pad(name, nameWidth))} : ${lines.join(`\n${indent}`)}\n`;
    })
    .join('');
};
