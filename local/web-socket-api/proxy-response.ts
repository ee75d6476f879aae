/** The response of a function behind a WebSocket route (Lambda proxy integration). */
export interface ProxyResponse {
  readonly statusCode: number;
  /** Lower-case names. */
  readonly headers: Readonly<Record<string, string>>;
  readonly body?: string;
}

/** Undefined if it is not a valid response of a Lambda proxy integration. */
export const parseProxyResponse = (payload: string): ProxyResponse | undefined => {
  const answer: unknown = JSON.parse(payload);
  if (typeof answer !== 'object' || answer === null || !('statusCode' in answer)) return undefined;
  const { statusCode, headers, body } = answer as Readonly<Record<string, unknown>>;
  const status = Number(statusCode);
  if (!Number.isInteger(status)) return undefined;
  const named = typeof headers === 'object' && headers !== null ? Object.entries(headers) : [];
  return {
    statusCode: status,
    headers: Object.fromEntries(named.map(([name, value]) => [name.toLowerCase(), String(value)])),
    ...(typeof body === 'string' ? { body } : {}),
  };
};
