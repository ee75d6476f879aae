export type QueryLanguage = 'JSONPath' | 'JSONata';

export const STATE_TYPES = ['Pass', 'Task', 'Choice', 'Wait', 'Succeed', 'Fail', 'Parallel', 'Map'] as const;
export type StateType = (typeof STATE_TYPES)[number];

const COMMON = ['Type', 'Comment', 'QueryLanguage'];
const FLOW = ['Next', 'End'];
const PATHS = ['InputPath', 'OutputPath'];
const RECOVERY = ['Retry', 'Catch'];
const RESULT = ['ResultPath', 'ResultSelector'];
const TIMEOUTS = ['TimeoutSeconds', 'HeartbeatSeconds'];
const MAP = ['ItemProcessor', 'Iterator', 'ItemSelector', 'MaxConcurrency', 'Label'];
const TOLERANCE = ['ToleratedFailureCount', 'ToleratedFailurePercentage'];

const BOTH: Record<StateType, string[]> = {
  Pass: [...FLOW, 'Assign'],
  Task: [...FLOW, ...RECOVERY, ...TIMEOUTS, 'Assign', 'Resource'],
  Choice: ['Choices', 'Default', 'Assign'],
  Wait: [...FLOW, 'Assign', 'Seconds', 'Timestamp'],
  Succeed: [],
  Fail: ['Error', 'Cause'],
  Parallel: [...FLOW, ...RECOVERY, 'Assign', 'Branches'],
  Map: [...FLOW, ...RECOVERY, ...MAP, ...TOLERANCE, 'Assign'],
};

const JSON_PATH: Record<StateType, string[]> = {
  Pass: [...PATHS, 'Parameters', 'Result', 'ResultPath'],
  Task: [...PATHS, ...RESULT, 'Parameters', 'TimeoutSecondsPath', 'HeartbeatSecondsPath'],
  Choice: PATHS,
  Wait: [...PATHS, 'SecondsPath', 'TimestampPath'],
  Succeed: PATHS,
  Fail: ['ErrorPath', 'CausePath'],
  Parallel: [...PATHS, ...RESULT, 'Parameters'],
  Map: [
    ...PATHS,
    ...RESULT,
    'Parameters',
    'ItemsPath',
    'MaxConcurrencyPath',
    'ToleratedFailureCountPath',
    'ToleratedFailurePercentagePath',
  ],
};

const JSONATA: Record<StateType, string[]> = {
  Pass: ['Output'],
  Task: ['Arguments', 'Output'],
  Choice: ['Output'],
  Wait: ['Output'],
  Succeed: ['Output'],
  Fail: [],
  Parallel: ['Arguments', 'Output'],
  Map: ['Items', 'Output'],
};

/** The allowed fields of a state of this type in this query language. */
export const allowedFields = (type: StateType, language: QueryLanguage): Set<string> => {
  const own = language === 'JSONPath' ? JSON_PATH[type] : JSONATA[type];
  return new Set([...COMMON, ...BOTH[type], ...own]);
};

/** The reason why a field is refused. */
export const refusalOf = (field: string, type: StateType, language: QueryLanguage): string => {
  const other: QueryLanguage = language === 'JSONPath' ? 'JSONata' : 'JSONPath';
  if (allowedFields(type, other).has(field)) {
    return `The QueryLanguage is set to '${language}', but field '${field}' is only supported for the '${other}' QueryLanguage`;
  }
  return `Field '${field}' is not supported in a ${type} state`;
};

/** The comparisons of a Choice rule, and the types that they compare. */
const ORDERINGS = ['Equals', 'LessThan', 'GreaterThan', 'LessThanEquals', 'GreaterThanEquals'];
export const COMPARISONS = new Set([
  ...['String', 'Numeric', 'Timestamp'].flatMap((type) =>
    ORDERINGS.flatMap((ordering) => [`${type}${ordering}`, `${type}${ordering}Path`]),
  ),
  'BooleanEquals',
  'BooleanEqualsPath',
  'StringMatches',
  'IsNull',
  'IsPresent',
  'IsNumeric',
  'IsString',
  'IsBoolean',
  'IsTimestamp',
]);
