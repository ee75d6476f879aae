/** A parsed Resource of a Task. */
export type TaskResource =
  | { kind: 'lambda-function'; functionArn: string }
  | { kind: 'lambda-invoke'; token: boolean }
  | { kind: 'start-execution'; mode: 'request' | 'sync' | 'sync:2' | 'token' }
  | { kind: 'put-events' }
  | { kind: 'dynamodb'; operation: 'getItem' | 'putItem' | 'updateItem' | 'deleteItem' };

const DYNAMODB = ['getItem', 'putItem', 'updateItem', 'deleteItem'] as const;

const INTEGRATIONS: Record<string, TaskResource> = {
  'lambda:invoke': { kind: 'lambda-invoke', token: false },
  'lambda:invoke.waitForTaskToken': { kind: 'lambda-invoke', token: true },
  'states:startExecution': { kind: 'start-execution', mode: 'request' },
  'states:startExecution.sync': { kind: 'start-execution', mode: 'sync' },
  'states:startExecution.sync:2': { kind: 'start-execution', mode: 'sync:2' },
  'states:startExecution.waitForTaskToken': { kind: 'start-execution', mode: 'token' },
  'events:putEvents': { kind: 'put-events' },
  ...Object.fromEntries(
    DYNAMODB.map((operation) => [`dynamodb:${operation}`, { kind: 'dynamodb' as const, operation }]),
  ),
};

/** @returns undefined for a resource that is not implemented */
export const parseResource = (resource: string): TaskResource | undefined => {
  if (/^arn:[^:]*:lambda:[^:]*:[^:]*:function:[^:]+(:[^:]+)?$/.test(resource)) {
    return { kind: 'lambda-function', functionArn: resource };
  }
  const integration = /^arn:[^:]*:states:[^:]*:[^:]*:(.+)$/.exec(resource)?.[1];
  return integration === undefined ? undefined : INTEGRATIONS[integration];
};

/** The `resourceType` and `resource` in history events. */
export const resourceNames = (resource: string): { resourceType: string; resource: string } => {
  const [, resourceType = '', name = ''] = /^arn:[^:]*:states:[^:]*:[^:]*:([^:]+):(.+)$/.exec(resource) ?? [];
  return { resourceType, resource: name };
};
