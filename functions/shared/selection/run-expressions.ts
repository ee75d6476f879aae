import * as z from 'zod/mini';
import { askExpressionProcess } from './expression-process.ts';

const FaultSchema = z.object({ code: z.nullable(z.string()), position: z.nullable(z.int()) });
const ValueSchema = z.union([
  z.object({ text: z.string() }),
  z.object({ none: z.literal(true) }),
  z.object({ fault: FaultSchema }),
]);
export type Value = z.infer<typeof ValueSchema>;

/** The value of each expression on the event; undefined if they exceeded the time or memory limit. */
export const evaluateExpressions = async (
  tenant: string,
  expressions: readonly string[],
  event: unknown,
): Promise<readonly Value[] | undefined> => {
  if (expressions.length === 0) return [];
  const answers = await askExpressionProcess(tenant, { expressions, event });
  return answers === undefined ? undefined : z.parse(z.array(ValueSchema), answers);
};

/** For each text the reason why it is not an allowed expression; null if it is allowed. */
export const checkExpressions = async (
  tenant: string,
  expressions: readonly string[],
): Promise<readonly (string | null)[]> => {
  if (expressions.length === 0) return [];
  const answers = await askExpressionProcess(tenant, { check: true, expressions });
  if (answers === undefined) return expressions.map(() => 'it takes too long to parse');
  return z.parse(z.array(z.nullable(z.string())), answers);
};
