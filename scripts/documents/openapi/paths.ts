import type * as z from 'zod/mini';
import { type OperationId, ROUTES, type Route } from '../../../core/contract/http/routes.ts';
import { SUMMARIES } from '../../../core/contract/http/summaries.ts';
import { ProblemSchema } from '../../../core/contract/problem.ts';
import { EXAMPLES } from './examples.ts';
import { inlineSchema, type Json, reference } from './schemas.ts';

const json = (schema: z.ZodMiniType, example?: unknown): Json => ({
  'application/json': { schema: reference(schema), ...(example === undefined ? {} : { example }) },
});

const isOptional = (schema: z.ZodMiniType): boolean => schema.safeParse(undefined).success;

const pathParameters = ({ parameters }: Route): readonly Json[] =>
  Object.entries(parameters?.shape ?? {}).map(([name, schema]) => ({
    name,
    in: 'path',
    required: true,
    schema: inlineSchema(schema as z.ZodMiniType),
  }));

const queryParameters = ({ query }: Route): readonly Json[] =>
  Object.entries(query?.shape ?? {}).map(([name, schema]) => ({
    name,
    in: 'query',
    required: !isOptional(schema as z.ZodMiniType),
    ...(name === 'label' ? { style: 'form', explode: true } : {}),
    schema: inlineSchema(schema as z.ZodMiniType),
  }));

const headerParameters = ({ mutation }: Route): readonly Json[] =>
  mutation === undefined
    ? []
    : [
        { $ref: '#/components/parameters/IdempotencyKey' },
        ...(mutation.ifMatch ? [{ $ref: '#/components/parameters/IfMatch' }] : []),
      ];

const DESCRIPTIONS: Readonly<Record<string, string>> = {
  200: 'Success.',
  201: 'Created.',
  202: 'Accepted. The operation runs in the background.',
  204: 'Success. The response has no body.',
};

const hasEtag = (route: Route): boolean =>
  route.mutation?.ifMatch === true || ['getContainer', 'getHost', 'getImage'].includes(route.operationId);

const responseHeaders = (route: Route, status: string): Json => ({
  ...(hasEtag(route) && status !== '204' ? { ETag: { $ref: '#/components/headers/ETag' } } : {}),
  ...(status === '202' ? { Location: { $ref: '#/components/headers/Location' } } : {}),
});

const success = (route: Route): Json =>
  Object.fromEntries(
    Object.entries(route.responses).map(([status, schema]) => {
      const headers = responseHeaders(route, status);
      return [
        status,
        {
          description: DESCRIPTIONS[status] ?? 'Success.',
          ...(Object.keys(headers).length === 0 ? {} : { headers }),
          ...(schema === null
            ? {}
            : { content: json(schema, EXAMPLES[route.operationId]?.responses?.[status]) }),
        },
      ];
    }),
  );

/** The problems that a route can return, by status; others are under `default`. */
const problems = (route: Route): Json => {
  const statuses = [
    '400',
    ...(route.scope === null ? [] : ['401', '403']),
    ...(route.parameters === undefined ? [] : ['404']),
    ...(route.mutation === undefined ? [] : ['409', '503']),
    ...(route.mutation?.ifMatch ? ['412'] : []),
    ...(route.body === undefined ? [] : ['413', '415']),
    'default',
  ];
  return {
    ...Object.fromEntries(statuses.map((status) => [status, { $ref: '#/components/responses/Problem' }])),
    ...(route.scope === null ? {} : { 429: { $ref: '#/components/responses/TooManyRequests' } }),
  };
};

const requestBody = (route: Route): Json =>
  route.body === undefined
    ? {}
    : {
        requestBody: {
          required: route.bodyOptional !== true,
          content: json(route.body, EXAMPLES[route.operationId]?.request),
        },
      };

const operation = (route: Route): Json => {
  const parameters = [...pathParameters(route), ...queryParameters(route), ...headerParameters(route)];
  return {
    operationId: route.operationId,
    summary: SUMMARIES[route.operationId as OperationId],
    security: route.scope === null ? [] : [{ token: [route.scope] }],
    ...(parameters.length === 0 ? {} : { parameters }),
    ...requestBody(route),
    responses: { ...success(route), ...problems(route) },
  };
};

/** `paths`. */
export const paths = (): Json => {
  const all: Record<string, Record<string, Json>> = {};
  for (const route of ROUTES) {
    // OpenAPI has no notation for API Gateway's parameters with slashes.
    const path = route.path.replace('+}', '}');
    all[path] = { ...all[path], [route.method.toLowerCase()]: operation(route) };
  }
  return all;
};

/** `components.responses`. */
export const sharedResponses = (): Json => ({
  Problem: {
    description: 'A problem document (RFC 9457).',
    content: { 'application/problem+json': { schema: reference(ProblemSchema) } },
  },
  TooManyRequests: {
    description:
      'The tenant has used its share. The request had no effect. Repeat it after the time in Retry-After.',
    headers: {
      'Retry-After': {
        description: 'Time to wait, in seconds.',
        schema: { type: 'integer', minimum: 1 },
      },
    },
    content: { 'application/problem+json': { schema: reference(ProblemSchema) } },
  },
});
