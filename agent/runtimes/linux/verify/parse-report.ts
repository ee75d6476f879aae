/** What the probe printed of one name; the line's own outcome, before the host compares. */
export interface ReportLine {
  readonly outcome: string;
  readonly detail: string;
}

const LINE = /^([a-z-]{1,40})\t(reached|refused|absent|measured|not-tried)\t([\x20-\x7e]{0,400})$/;
const END = 'end';

/**
 * The output of `agent/probe`. It comes out of a container that may be hostile: any line that is not of the form, or
 * comes a second time, makes the whole report worthless.
 * @returns null where it is not complete and well-formed
 */
export const parseReport = (text: string): ReadonlyMap<string, ReportLine> | null => {
  const lines = text.split('\n');
  if (lines.pop() !== '' || lines.pop() !== END) return null;
  const found = new Map<string, ReportLine>();
  for (const line of lines) {
    const [, name, outcome, detail] = LINE.exec(line) ?? [];
    if (name === undefined || outcome === undefined || detail === undefined || found.has(name)) return null;
    found.set(name, { outcome, detail });
  }
  return found;
};
