/** One line of the probe's report, before the comparison with the host's values. */
export interface ReportLine {
  readonly outcome: string;
  readonly detail: string;
}

const LINE = /^([a-z-]{1,40})\t(reached|refused|absent|measured|not-tried)\t([\x20-\x7e]{0,400})$/;
const END = 'end';

/**
 * Parses the output of `agent/probe`. The container may be hostile, so one malformed or repeated line invalidates the report.
 * @returns null if the report is incomplete or malformed
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
