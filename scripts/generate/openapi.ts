import { SCOPES } from '../../core/contract/http/routes.ts';
import { paths, sharedResponses } from '../documents/openapi/paths.ts';
import { componentSchemas, type Json } from '../documents/openapi/schemas.ts';

const CONVENTIONS = `
Everything that takes time is an operation: \`202\` with \`{container, operation}\`, and \`Location\` of the operation.

Errors are \`application/problem+json\` (RFC 9457). Each has a stable \`code\`, a \`requestId\`, and, if
available, a \`suggestion\`. A pointer in \`errors[]\` is a JSON Pointer into the request in the form
\`{path, query, headers, body}\`: \`/body/resources/memoryMB\`, \`/query/limit\`, \`/headers/if-match\`.

Mutations take \`Idempotency-Key\`: a repeat with the same key and the same request gets the first answer again, for 24
hours; a repeat with the same key and another request is refused with \`409 idempotency-key-reused\`. A refused
request has changed nothing, and its repeat is processed as a new request. \`dryRun=true\` validates and explains the
request, and changes nothing.

Lists take \`limit\` and \`cursor\`. A page may be shorter than \`limit\`; the list ends when \`nextCursor\` is null.

A resource of another tenant gives the same answer as one that does not exist.
`.trim();

const document = (): Json => ({
  openapi: '3.1.0',
  info: {
    title: 'Bulkhead',
    version: 'v1',
    summary: 'A control plane for containers on your own hosts, with or without a separate kernel.',
    description: CONVENTIONS,
    license: { name: 'Apache-2.0', identifier: 'Apache-2.0' },
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
        description: 'The ETag that the resource must have (412 if it has another), or "*".',
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
