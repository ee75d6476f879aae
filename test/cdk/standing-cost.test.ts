import { describe, expect, test } from '@jest/globals';
import { readIdleCounts } from '../../scripts/documents/cost/read-counts.ts';
import { standingCosts, UnknownCostError } from '../../scripts/documents/cost/standing.ts';
import type { SynthesizedTemplate, TemplateResource } from '../../scripts/documents/template.ts';
import { OIDC_CONTEXT, templateOf } from './helpers/synthesized.ts';

const costsOf = (template: SynthesizedTemplate) => standingCosts(template, readIdleCounts());
const sum = (costs: ReturnType<typeof costsOf>) => costs.reduce((total, { usd }) => total + usd, 0);

/** What a deployment costs although nothing runs. An addition must be recorded here. */
const RECORDED = [
  { what: 'Metrics of alarms', count: 11 },
  { what: 'Secrets', count: 2 },
  { what: 'Sweeps', count: 43_800 },
];

describe.each([
  ['its own user pool', {}],
  ['an existing issuer', OIDC_CONTEXT],
])('a deployment with %s on which nothing runs', (_, context) => {
  const costs = costsOf(templateOf(context));

  test('costs at most USD 2 a month', () => {
    expect(sum(costs)).toBeGreaterThan(1);
    expect(sum(costs)).toBeLessThanOrEqual(2);
  });

  test('has exactly the recorded costs', () => {
    const byName = [...costs].sort((a, b) => a.what.localeCompare(b.what));
    expect(byName.map(({ what, count }) => ({ what, count }))).toEqual(RECORDED);
  });
});

test('a dashboard on request costs USD 3', () => {
  expect(costsOf(templateOf({ dashboard: 'true' }))).toContainEqual({
    what: 'Dashboards',
    count: 1,
    usd: 3,
  });
});

describe('an addition', () => {
  const template = templateOf();
  const withResource = (resource: TemplateResource): SynthesizedTemplate => ({
    ...template,
    Resources: { ...template.Resources, Added: resource },
  });
  const changed = (find: (resource: TemplateResource) => boolean, change: object): SynthesizedTemplate => ({
    ...template,
    Resources: Object.fromEntries(
      Object.entries(template.Resources).map(([id, resource]) => [
        id,
        find(resource) ? { ...resource, Properties: { ...resource.Properties, ...change } } : resource,
      ]),
    ),
  });
  const difference = (other: SynthesizedTemplate) => sum(costsOf(other)) - sum(costsOf(template));

  test('of a type whose cost is not recorded is refused', () => {
    const key = { Type: 'AWS::KMS::Key', Properties: {} };
    expect(() => costsOf(withResource(key))).toThrow(UnknownCostError);
  });

  test('of a property whose cost is not recorded is refused', () => {
    const isTable = ({ Type }: TemplateResource) => Type === 'AWS::DynamoDB::Table';
    const insights = { ContributorInsightsSpecification: { Enabled: true } };
    expect(() => costsOf(changed(isTable, insights))).toThrow('ContributorInsightsSpecification');
  });

  test('of an alarm costs each of its metrics', () => {
    const stat = (Id: string) => ({ Id, MetricStat: {} });
    const Metrics = [stat('a'), stat('b'), { Id: 'sum', Expression: 'a + b' }];
    expect(difference(withResource({ Type: 'AWS::CloudWatch::Alarm', Properties: { Metrics } }))).toBeCloseTo(
      0.2,
    );
  });

  test('of traces or reports of the sweep costs them once a minute', () => {
    const isSweep = ({ Type, Properties }: TemplateResource) =>
      Type === 'AWS::Lambda::Function' && String(Properties.Description).startsWith('Every minute');
    expect(difference(changed(isSweep, { TracingConfig: { Mode: 'Active' } }))).toBeCloseTo(0.219);
    expect(difference(changed(isSweep, { LoggingConfig: { LogFormat: 'JSON' } }))).toBeCloseTo(0.0219);
  });

  test('of another schedule is refused unless its cost is known', () => {
    const Targets = [{ Arn: 'arn' }];
    const hourly = { ScheduleExpression: 'rate(1 hour)', Targets };
    const rule = { Type: 'AWS::Events::Rule', Properties: hourly };
    expect(() => costsOf(withResource(rule))).toThrow('rate(1 hour)');
  });
});
