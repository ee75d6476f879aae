import { readdirSync, readFileSync } from 'node:fs';
import { describe, expect, test } from '@jest/globals';
import { LOG_METRICS, METRIC_NAMESPACE, METRICS } from '../../core/contract/deployment.ts';
import { FUNCTION_GROUPS } from '../../lib/constructs/metrics.ts';
import { runbookEntry } from '../../lib/constructs/observability.ts';
import { FUNCTION_NAMES } from '../../lib/function-specs.ts';
import { resourcesOf, templateOf } from './helpers/synthesized.ts';

const RUNBOOK = new URL('../../docs/runbook/', import.meta.url);
const alarms = resourcesOf(templateOf(), 'AWS::CloudWatch::Alarm').map((alarm) => {
  const name = String(alarm.Properties.AlarmName);
  return { ...alarm, name, id: name.slice(name.lastIndexOf('-') + 1) };
});

test('the dashboard shows each function', () => {
  expect(Object.values(FUNCTION_GROUPS).flat().sort()).toEqual([...FUNCTION_NAMES].sort());
});

test.each(Object.values({ ...METRICS, ...LOG_METRICS }))('the custom metric %s has an alarm', (metric) => {
  const watching = alarms.filter(
    ({ Properties }) => Properties.MetricName === metric && Properties.Namespace === METRIC_NAMESPACE,
  );
  expect(watching).toHaveLength(1);
  // A metric with dimensions is charged once for each combination of them.
  expect(watching[0]?.Properties.Dimensions).toBeUndefined();
});

describe.each(alarms.map(({ id, ...alarm }) => [id, alarm] as const))('%s', (id, alarm) => {
  test('has an entry in the runbook, to which its description links', () => {
    const entry = readFileSync(new URL(`${runbookEntry(id)}.md`, RUNBOOK), 'utf8');
    const headings = entry.split('\n').filter((line) => line.startsWith('#'));
    expect(headings).toEqual([`# ${id}`, '## Description', '## Investigation', '## Resolution']);
    expect(alarm.Properties.AlarmDescription).toContain(`docs/runbook/${runbookEntry(id)}.md`);
  });

  test('defines how missing data is treated, and has one metric, because each is charged', () => {
    expect(alarm.Properties.TreatMissingData).toBeDefined();
    expect(alarm.Properties.Metrics).toBeUndefined();
  });
});

test('every entry of the runbook has an alarm', () => {
  const entries = readdirSync(RUNBOOK).filter((file) => file !== 'README.md');
  expect(entries.sort()).toEqual(alarms.map(({ id }) => `${runbookEntry(id)}.md`).sort());
});
