import { describe, expect, test } from '@jest/globals';
import { ROUTES } from '../../core/contract/http/routes.ts';
import { formatAccess } from '../../local/api-gateway/access-log.ts';
import { pathOf, resourcesOf, templateOf } from './helpers/synthesized.ts';

type Line = Readonly<Record<string, unknown>>;

const template = templateOf();
const filters = resourcesOf(template, 'AWS::Logs::MetricFilter').map((filter) => {
  const { FilterPattern, LogGroupName, MetricTransformations } = filter.Properties as {
    FilterPattern: string;
    LogGroupName: { Ref: string };
    MetricTransformations: { MetricName: string; MetricValue: string; DefaultValue?: number }[];
  };
  const [transformation] = MetricTransformations;
  const group = Object.entries(template.Resources).find(([id]) => id === LogGroupName.Ref)?.[1];
  return { pattern: FilterPattern, path: group === undefined ? '' : pathOf(group), ...transformation };
});

const valueAt = (line: Line, selector: string): unknown =>
  selector
    .split('.')
    .slice(1)
    .reduce<unknown>((value, name) => (value as Line | undefined)?.[name], line);

/** A string with asterisks at its ends. */
const isLike = (value: unknown, wanted: string): boolean => {
  const inner = wanted.replaceAll(/[.*+?^${}()|[\]\\]/g, '\\$&').replaceAll('\\*', '.*');
  return typeof value === 'string' && new RegExp(`^${inner}$`).test(value);
};

const TERM = /^(\$[\w.]+) (=|!=|>=|<) (?:"([^"]*)"|(\d+))$/;

/** Evaluates the part of CloudWatch's filter syntax that the filters use: terms on strings and numbers, all or any of them. */
const isMatch = (pattern: string, line: Line): boolean => {
  const inside = /^\{ (.*) \}$/.exec(pattern)?.[1] ?? '';
  const isAny = inside.includes(' || ');
  const terms = inside.split(isAny ? ' || ' : ' && ').map((term) => {
    const [, selector = '', operator, text, number] = TERM.exec(term.replace(/^\((.*)\)$/, '$1')) ?? [];
    if (operator === undefined) throw new TypeError(`not understood: ${term}`);
    const value = valueAt(line, selector);
    if (text !== undefined) return isLike(value, text) === (operator === '=');
    if (typeof value !== 'number') return false;
    return operator === '>=' ? value >= Number(number) : value < Number(number);
  });
  return isAny ? terms.includes(true) : !terms.includes(false);
};

/** Metric → values that the filters of a log group extract from a line. */
const extracted = (group: string, line: Line): Record<string, number[]> => {
  const found: Record<string, number[]> = {};
  for (const { pattern, path, MetricName = '', MetricValue } of filters)
    if (path.includes(group) && isMatch(pattern, line))
      found[MetricName] = [...(found[MetricName] ?? []), Number(MetricValue)];
  return found;
};

test('each pattern is as short as CloudWatch requires, and none reports zeros', () => {
  expect(filters).toHaveLength(6);
  for (const { pattern, DefaultValue } of filters) {
    expect(pattern.length).toBeLessThanOrEqual(1024);
    expect(DefaultValue).toBeUndefined();
  }
});

describe('the log of the functions', () => {
  const report = (status: string) => ({ type: 'platform.report', record: { requestId: 'r', status } });

  test.each(['error', 'failure', 'timeout'])('an invocation that ended with %s is an error', (status) => {
    expect(extracted('/FunctionLogs/', report(status))).toEqual({ Error: [1] });
  });

  test('other lines are none', () => {
    expect(extracted('/FunctionLogs/', report('success'))).toEqual({});
    expect(
      extracted('/FunctionLogs/', { type: 'platform.runtimeDone', record: { status: 'error' } }),
    ).toEqual({});
    expect(extracted('/FunctionLogs/', { level: 'error', message: 'host is silent' })).toEqual({});
  });
});

describe('the log of the state machines', () => {
  const ended = (type: string, machine: string) => ({
    type,
    execution_arn: `arn:…:execution:${machine}-x:1`,
  });
  const rule = 'BulkheadConversionByRuleStateMachine';

  test('a stopped execution fires the alarm at once', () => {
    for (const type of ['ExecutionTimedOut', 'ExecutionAborted'])
      for (const machine of ['Convert', rule])
        expect(extracted('/Orchestration/', ended(type, machine))).toEqual({ Error: [5] });
  });

  test('a failed one counts if it settles no operation', () => {
    expect(extracted('/Orchestration/', ended('ExecutionFailed', rule))).toEqual({ Error: [1] });
    expect(extracted('/Orchestration/', ended('ExecutionFailed', 'Convert'))).toEqual({});
  });
});

describe('the access log of the HTTPS API', () => {
  const formats = resourcesOf(template, 'AWS::ApiGatewayV2::Stage').map(
    ({ Properties }) => (Properties.AccessLogSettings as { Format: string } | undefined)?.Format,
  );
  const format = formats.find((one) => one !== undefined) ?? '';
  /** As API Gateway writes it. */
  const line = (routeKey: string, status: number, responseLatency: number): Line =>
    JSON.parse(formatAccess(format, { routeKey, status, responseLatency })) as Line;

  test('an answer of 5xx is an error', () => {
    expect(extracted('/Api/', line('GET /v1/hosts', 503, 10))).toEqual({ Error: [1] });
    expect(extracted('/Api/', line('GET /v1/hosts', 429, 10))).toEqual({});
  });

  test('requests on container routes are slow from three seconds on', () => {
    expect(extracted('/Api/', line('POST /v1/containers', 202, 2999))).toEqual({ ApiSlow: [0] });
    expect(extracted('/Api/', line('POST /v1/containers', 202, 3000))).toEqual({ ApiSlow: [1] });
  });

  test('requests that wait by design do not count', () => {
    const counted = ROUTES.filter(
      ({ method, path }) => 'ApiSlow' in extracted('/Api/', line(`${method} ${path}`, 200, 20_000)),
    );
    expect(counted.map(({ operationId }) => operationId).sort()).toEqual([
      'createContainer',
      'getContainer',
      'killContainer',
      'listContainers',
      'removeContainer',
      'restartContainer',
      'startContainer',
      'stopContainer',
      'updateContainer',
    ]);
  });
});
