import * as z from 'zod/mini';
import { ComputeProcessSchema, ProcessSchema } from '../../../core/contract/compute-process.ts';
import {
  ContainerSchema,
  ContainerSummarySchema,
  CreateContainerRequestSchema,
  StopContainerRequestSchema,
  UpdateContainerRequestSchema,
} from '../../../core/contract/container.ts';
import { EventSchema } from '../../../core/contract/event.ts';
import {
  EnrollHostRequestSchema,
  EnrollHostResponseSchema,
  EnrollmentTokenRequestSchema,
  EnrollmentTokenSchema,
  HostSchema,
  UpdateHostRequestSchema,
} from '../../../core/contract/host.ts';
import { AcceptedSchema, DryRunSchema, ROUTES } from '../../../core/contract/http/routes.ts';
import { ImageSchema, ImportImageRequestSchema } from '../../../core/contract/image.ts';
import { OperationSchema, OperationSummarySchema } from '../../../core/contract/operation.ts';
import { ProblemSchema } from '../../../core/contract/problem.ts';

/** The JSON of the document. */
export type Json = { readonly [name: string]: unknown };

/** Schemas with their own name in the document. */
const NAMED = {
  Container: ContainerSchema,
  ContainerSummary: ContainerSummarySchema,
  CreateContainerRequest: CreateContainerRequestSchema,
  UpdateContainerRequest: UpdateContainerRequestSchema,
  StopContainerRequest: StopContainerRequestSchema,
  Operation: OperationSchema,
  OperationSummary: OperationSummarySchema,
  Accepted: AcceptedSchema,
  DryRun: DryRunSchema,
  ComputeProcess: ComputeProcessSchema,
  Process: ProcessSchema,
  Host: HostSchema,
  UpdateHostRequest: UpdateHostRequestSchema,
  EnrollmentTokenRequest: EnrollmentTokenRequestSchema,
  EnrollmentToken: EnrollmentTokenSchema,
  EnrollHostRequest: EnrollHostRequestSchema,
  EnrollHostResponse: EnrollHostResponseSchema,
  Image: ImageSchema,
  ImportImageRequest: ImportImageRequestSchema,
  Event: EventSchema,
  Problem: ProblemSchema,
} as const;

const capitalized = (name: string): string => `${name.charAt(0).toUpperCase()}${name.slice(1)}`;

/** Every schema of a body, with its name. A schema that only one route uses is named after the route. */
const nameSchemas = (): ReadonlyMap<z.ZodMiniType, string> => {
  const names = new Map<z.ZodMiniType, string>(Object.entries(NAMED).map(([name, schema]) => [schema, name]));
  const taken = () => new Set(names.values());
  const add = (schema: z.ZodMiniType | null | undefined, name: string) => {
    if (!schema || names.has(schema)) return;
    names.set(schema, taken().has(name) ? `${name}${taken().size}` : name);
  };
  for (const { operationId, body, responses } of ROUTES) {
    add(body, `${capitalized(operationId)}Request`);
    for (const schema of Object.values(responses)) add(schema, `${capitalized(operationId)}Response`);
  }
  return names;
};

const names = nameSchemas();

const strip = ({ $schema: _schema, $id: _id, ...schema }: Json): Json => schema;

/** An inline schema, such as a parameter's. */
export const inlineSchema = (schema: z.ZodMiniType): Json =>
  strip(z.toJSONSchema(schema, { io: 'input' }) as Json);

/** A reference to a schema of a body. */
export const reference = (schema: z.ZodMiniType): Json => ({
  $ref: `#/components/schemas/${names.get(schema) ?? ''}`,
});

/** `components.schemas`. */
export const componentSchemas = (): Json => {
  const registry = z.registry<{ id: string }>();
  for (const [schema, id] of names) registry.add(schema, { id });
  const { schemas } = z.toJSONSchema(registry, {
    io: 'input',
    uri: (id) => `#/components/schemas/${id}`,
  });
  return Object.fromEntries(Object.entries(schemas).map(([name, schema]) => [name, strip(schema as Json)]));
};
