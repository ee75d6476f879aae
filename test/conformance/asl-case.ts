import { setImmediate as nextTurn } from 'node:timers/promises';
import { createStatesService, DefinitionRefusedError, type StatesService } from '../../local/states/index.ts';
import { ManualCloudClock } from '../helpers/manual-cloud-clock.ts';
import { sameCause, sameEventTypes, sameShape } from './compare-recording.ts';
import type { CaseResult } from './report.ts';

export interface AslCase {
  name: string;
  definition: unknown;
  /** As JSON text or parsed. */
  input: unknown;
  expected: {
    status: string;
    output?: unknown;
    error?: string | null;
    cause?: unknown;
    eventTypes: string[];
  };
}

interface Ended {
  status: string;
  output: unknown;
  error: unknown;
  cause: unknown;
  eventTypes: string[];
}

/** The AWS account in the recordings. */
const ACCOUNT = '111111111111';
const REGION = 'us-east-1';
const MACHINE = { name: 'machine', arn: `arn:aws:states:${REGION}:${ACCOUNT}:stateMachine:machine` };
const STATUS: Record<string, string> = {
  SUCCEEDED: 'ExecutionSucceeded',
  FAILED: 'ExecutionFailed',
  TIMED_OUT: 'ExecutionTimedOut',
  ABORTED: 'ExecutionAborted',
};
/** After this many turns of the event loop and timers, an execution is considered hung. */
const MAX_TURNS = 20_000;
const MAX_TIMERS = 2_000;

async function request(
  service: StatesService,
  operation: string,
  body: object,
): Promise<Record<string, unknown>> {
  const answer = await service.handle(`AWSStepFunctions.${operation}`, body);
  if (answer.status !== 200) throw new Error(`${operation}: ${JSON.stringify(answer.body)}`);
  return answer.body as Record<string, unknown>;
}

interface RecordedEvent {
  type: string;
  [details: string]: unknown;
}

async function history(service: StatesService, executionArn: string): Promise<RecordedEvent[]> {
  const events: RecordedEvent[] = [];
  let nextToken: unknown;
  do {
    const page = await request(service, 'GetExecutionHistory', { executionArn, maxResults: 1000, nextToken });
    events.push(...(page.events as RecordedEvent[]));
    nextToken = page.nextToken;
  } while (nextToken !== undefined);
  return events;
}

/** The error and cause of the final event, from which the recordings have them too. */
function closingDetails(events: RecordedEvent[]): { error?: unknown; cause?: unknown } {
  const last = events.at(-1);
  return Object.entries(last ?? {}).find(([key]) => key.endsWith('EventDetails'))?.[1] ?? {};
}

/** Lets the execution run. When it is idle, advances the clock to its next timer. */
async function untilClosed(service: StatesService, clock: ManualCloudClock): Promise<boolean> {
  let timers = 0;
  for (let turn = 0, idle = 0; turn < MAX_TURNS; turn++) {
    if (service.counters.openExecutions === 0) return true;
    const before = service.counters.transitions;
    await nextTurn();
    idle = service.counters.transitions === before ? idle + 1 : 0;
    if (idle < 20) continue;
    if (timers++ > MAX_TIMERS || !clock.advanceToNext()) return false;
    idle = 0;
  }
  return false;
}

async function execute(recorded: AslCase): Promise<Ended | 'hangs'> {
  const clock = new ManualCloudClock(Date.UTC(2026, 0, 1));
  const service = createStatesService({
    databaseFile: ':memory:',
    region: REGION,
    accountId: ACCOUNT,
    clock,
    invokeLambda: () => Promise.reject(new Error('The cases have no Lambda functions')),
    onStatusChange: () => Promise.resolve(),
  });
  try {
    const { definition, input } = recorded;
    service.createStateMachine({
      ...MACHINE,
      definition: typeof definition === 'string' ? definition : JSON.stringify(definition),
      roleArn: `arn:aws:iam::${ACCOUNT}:role/states`,
    });
    const { executionArn } = await request(service, 'StartExecution', {
      stateMachineArn: MACHINE.arn,
      input: typeof input === 'string' ? input : JSON.stringify(input ?? {}),
    });
    if (!(await untilClosed(service, clock))) return 'hangs';
    const described = await request(service, 'DescribeExecution', { executionArn });
    const events = await history(service, String(executionArn));
    const { error, cause } = closingDetails(events);
    return {
      status: STATUS[String(described.status)] ?? String(described.status),
      output: described.output,
      error,
      cause,
      eventTypes: events.map((event) => event.type),
    };
  } finally {
    await service.close();
  }
}

function differences(expected: AslCase['expected'], actual: Ended): string[] {
  const same = {
    status: expected.status === actual.status,
    output: sameShape(expected.output ?? undefined, actual.output ?? undefined, true),
    error: sameShape(expected.error ?? undefined, actual.error ?? undefined, false),
    cause: sameCause(expected.cause ?? undefined, actual.cause ?? undefined),
  };
  const fields = ['status', 'output', 'error', 'cause'] as const;
  const different = fields
    .filter((field) => !same[field])
    .map(
      (field) =>
        `${field}: expected ${JSON.stringify(expected[field])}, got ${JSON.stringify(actual[field])}`,
    );
  if (!sameEventTypes(expected.eventTypes, actual.eventTypes)) {
    different.push(
      `eventTypes: expected ${expected.eventTypes.join(' ')}, got ${actual.eventTypes.join(' ')}`,
    );
  }
  return different;
}

/** Runs a recorded execution in the embedded service, with a clock that skips waits. */
export async function checkAslCase(recorded: AslCase): Promise<CaseResult> {
  const { name, expected } = recorded;
  try {
    const ended = await execute(recorded);
    if (ended === 'hangs') return { name, outcome: 'wrong', detail: 'the execution does not end' };
    const different = differences(expected, ended);
    return { name, outcome: different.length === 0 ? 'pass' : 'wrong', detail: different.join('; ') };
  } catch (error) {
    if (error instanceof DefinitionRefusedError) return { name, outcome: 'refused', detail: error.message };
    return { name, outcome: 'wrong', detail: String(error) };
  }
}
