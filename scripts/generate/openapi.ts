import { SCOPES } from '../../core/contract/http/routes.ts';
import { paths, sharedResponses } from '../documents/openapi/paths.ts';
import { componentSchemas, type Json } from '../documents/openapi/schemas.ts';

const CONVENTIONS = `
Requests that take time start an operation: the response is \`202\` with \`{container, operation}\`, and the \`Location\` of the operation.

Errors are \`application/problem+json\` (RFC 9457). Each has a stable \`code\`, a \`requestId\`, and, if
available, a \`suggestion\`. A pointer in \`errors[]\` is a JSON Pointer into the request in the form
\`{path, query, headers, body}\`: \`/body/resources/memoryMB\`, \`/query/limit\`, \`/headers/if-match\`.

Mutations take \`Idempotency-Key\`: for 24 hours, a repeat with the same key and the same
request returns the first response. A repeat with the same key and another request is refused with \`409 idempotency-key-reused\`. A refused
request changes nothing, and its repeat is processed as a new request. \`dryRun=true\` validates and explains the
request, and changes nothing.

Lists take \`limit\` and \`cursor\`. A page can be shorter than \`limit\`. The list ends when \`nextCursor\` is null.

The response for a resource of another tenant is the same as for one that does not exist.
`.trim();

const document = (): Json => ({
  openapi: '3.1.0',
  info: {
    title: 'Bulkhead',
    version: 'v1',
    summary: 'A control plane for containers on your own hosts, with or without a separate kernel.',
    description: CONVENTIONS,
  },
  paths: paths(),
  components: {
    securitySchemes: {
      token: {
        type: 'http',
        scheme: 'bearer',
        bearerFormat: 'JWT',
        description: `A token of the OIDC issuer. Scopes: ${SCOPES.join(', ')}.`,
      },
    },
    parameters: {
      IdempotencyKey: {
        name: 'Idempotency-Key',
        in: 'header',
        description: 'Identifies repeats of the same request. 1 to 255 visible ASCII characters.',
        schema: { type: 'string', pattern: '^[\\x21-\\x7e]{1,255}$' },
      },
      IfMatch: {
        name: 'If-Match',
        in: 'header',
        description: 'The ETag that the resource must have, or "*". Otherwise the response is 412.',
        schema: { type: 'string' },
        example: '"3"',
      },
    },
    headers: {
      ETag: { description: 'The revision of the resource, for If-Match.', schema: { type: 'string' } },
      Location: { description: 'The operation to wait for.', schema: { type: 'string' } },
    },
    responses: sharedResponses(),
    schemas: componentSchemas(),
  },
});

/** The OpenAPI 3.1 document of the API, from the routes and their schemas. */
export const generate = async (): Promise<Map<string, string>> =>
  new Map([['docs/api/openapi.json', `${JSON.stringify(document(), null, 2)}\n`]]);
