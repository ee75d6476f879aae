/** What the API's suggestions name, and what a user of the CLI types instead. The first match of a text decides. */
const REPLACEMENTS: readonly (readonly [RegExp, string])[] = [
  [/GET \/v1\/operations\/([\w-]+)(\?waitSeconds=\d+)?/g, '`bulkhead operation wait $1`'],
  [/GET \/v1\/containers\?hostId=([\w-]+)/g, '`bulkhead container list --host-id $1`'],
  [/GET \/v1\/containers\?image=([\w:/.@-]+[\w])/g, '`bulkhead container list --image $1`'],
  [/POST \/v1\/hosts\/enrollment-tokens/g, '`bulkhead host enroll`'],
  [/GET \/v1\/hosts/g, '`bulkhead host list`'],
  [/GET \/v1\/images/g, '`bulkhead image list`'],
  [/POST \/v1\/images/g, '`bulkhead image import`'],
  [/\?force=true/g, '--force'],
  [/set "acceptUntrustedDisk": true/g, 'use --accept-untrusted-disk'],
  [/placement\.hostId/g, '--host-id'],
  [/Omit strategy, or set it to "inPlace"/g, 'Omit --strategy, or use --strategy inPlace'],
  [/without a cursor/g, 'from the start'],
  [/Use a new Idempotency-Key for each new request/g, 'Run the command again'],
  [
    /Repeat it with the same Idempotency-Key, or read the resource/g,
    'Check the result, then run the command again if needed',
  ],
  [/, as the header Retry-After says, then repeat the request/g, ', then run the command again'],
];

const decoded = (text: string): string => {
  try {
    return decodeURIComponent(text);
  } catch {
    return text;
  }
};

/** A suggestion of the API, in terms of the CLI. */
export const inTermsOfCli = (suggestion: string): string =>
  REPLACEMENTS.reduce(
    (text, [pattern, replacement]) => text.replaceAll(pattern, replacement),
    suggestion.replaceAll(/\?image=([\w%.-]+)/g, (_, name: string) => `?image=${decoded(name)}`),
  );
