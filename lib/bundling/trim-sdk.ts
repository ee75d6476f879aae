import { existsSync, readFileSync } from 'node:fs';
import { createRequire } from 'node:module';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import type { Plugin } from 'esbuild';
import { SynthesisError } from '../errors.ts';
import {
  endpointResolver,
  onlyErrors,
  onlyRegistered,
  onlyVersion,
  withoutRegions,
} from './trimmed-sources.ts';

/**
 * Replacements for large parts of the SDK that are useless in Lambda: every byte makes a cold start longer. Paths are
 * relative to `node_modules`. Bundling fails, naming the file, if a file no longer exists, no longer looks as expected,
 * or exports something that its replacement lacks. So an SDK update cannot bring back trimmed code or trim other code
 * unnoticed.
 */
export type Trims = Readonly<Record<string, (source: string) => string>>;

/** Clients in the bundles: the name of the service in its endpoint, and the errors that the functions distinguish. */
const CLIENTS = {
  dynamodb: {
    service: 'dynamodb',
    errors: ['ConditionalCheckFailedException', 'TransactionCanceledException'],
  },
  eventbridge: { service: 'events', errors: [] },
  sfn: {
    service: 'states',
    errors: ['ExecutionAlreadyExists', 'InvalidToken', 'TaskDoesNotExist', 'TaskTimedOut'],
  },
} as const;

const replacement = (file: string) => {
  const path = fileURLToPath(new URL(`./replacements/${file}`, import.meta.url));
  return () => readFileSync(path, 'utf8');
};

const SMITHY = '@smithy/core/dist-es/submodules';
const AWS = '@aws-sdk/core/dist-es/submodules';

/** The head of each replacement states what it replaces, and why that is not needed. */
const REPLACEMENTS: Trims = {
  '@aws-sdk/credential-provider-node/dist-es/index.js': replacement('environment-credentials.ts'),
  '@aws-sdk/signature-v4-multi-region/dist-es/SignatureV4MultiRegion.js':
    replacement('single-region-signing.ts'),
  '@aws-sdk/client-eventbridge/dist-es/auth/httpAuthSchemeProvider.js': replacement('eventbridge-auth.ts'),
  '@aws/lambda-invoke-store/dist-es/invoke-store.js': replacement('invoke-store.ts'),
  '@aws-sdk/endpoint-cache/dist-es/index.js': replacement('endpoint-cache.ts'),
  '@smithy/signature-v4/dist-es/HeaderFormatter.js': replacement('event-headers.ts'),
  [`${AWS}/client/emitWarningIfUnsupportedVersion.js`]: replacement('node-version.ts'),
  [`${AWS}/client/util-endpoints/lib/aws/partitions.js`]: withoutRegions,
  [`${SMITHY}/checksum/sha256/Sha256Js.js`]: replacement('sha256-js.ts'),
  [`${SMITHY}/config/config-resolver/regionConfig/getInstanceMetadataRegion.js`]:
    replacement('instance-metadata.ts'),
  [`${SMITHY}/config/defaults-mode/resolveDefaultsModeConfig.js`]: replacement('defaults-mode.ts'),
  [`${SMITHY}/config/shared-ini-file-loader/loadSharedConfigFiles.js`]: replacement('shared-files.ts'),
  [`${SMITHY}/endpoints/middleware-endpoint/service-customizations/index.js`]: replacement('s3-endpoints.ts'),
  [`${SMITHY}/retry/util-retry/AdaptiveRetryStrategy.js`]: replacement('adaptive-retry.ts'),
  [`${SMITHY}/serde/date-utils.js`]: replacement('dates.ts'),
  [`${SMITHY}/serde/util-stream/sdk-stream-mixin.browser.js`]: replacement('browser-streams.ts'),
};

const clientTrims = ([client, { service, errors }]: [
  string,
  { readonly service: string; readonly errors: readonly string[] },
]): Trims => {
  const folder = `@aws-sdk/client-${client}`;
  return {
    [`${folder}/package.json`]: onlyVersion,
    [`${folder}/dist-es/models/errors.js`]: onlyErrors(errors),
    [`${folder}/dist-es/schemas/schemas_0.js`]: onlyRegistered(() =>
      onlyErrors(errors)(readFileSync(locate(`${folder}/dist-es/models/errors.js`), 'utf8')),
    ),
    [`${folder}/dist-es/endpoint/endpointResolver.js`]: () => endpointResolver(service),
  };
};

export const TRIMS: Trims = Object.assign({}, REPLACEMENTS, ...Object.entries(CLIENTS).map(clientTrims));

/**
 * The path of `file`, resolved as Node resolves its package.
 * @throws SynthesisError naming the file if it does not exist
 */
const locate = (file: string): string => {
  const places = createRequire(import.meta.url).resolve.paths(file) ?? [];
  const found = places.map((place) => join(place, file)).find((path) => existsSync(path));
  if (found === undefined)
    throw new SynthesisError(`${file} should be trimmed but does not exist. See lib/bundling/trim-sdk.ts.`);
  return found;
};

const loaderOf = (file: string) => (file.endsWith('.json') ? 'json' : 'ts');

/**
 * The plugin that trims.
 * @param onTrimmed called once for each trimmed file
 */
export const trimSdk = (trims: Trims, onTrimmed: (file: string) => void): Plugin => ({
  name: 'trim-sdk',
  setup: ({ onStart, onLoad }) => {
    onStart(() => {
      for (const file of Object.keys(trims)) locate(file);
    });
    onLoad({ filter: /[\\/]node_modules[\\/]@(aws|aws-sdk|smithy)[\\/]/ }, ({ path }) => {
      const file = path.replaceAll('\\', '/').split('/node_modules/').at(-1) ?? '';
      const trim = trims[file];
      if (trim === undefined) return null;
      onTrimmed(file);
      return { contents: trim(readFileSync(path, 'utf8')), loader: loaderOf(file) };
    });
  },
});
