import { resolveAwsSdkSigV4Config } from '@aws-sdk/core/httpAuthSchemes';
import { getSmithyContext, normalizeProvider } from '@smithy/core/client';

/**
 * Replaces the choice of a signature in the EventBridge client: always Signature Version 4 of one Region, as in the other
 * clients. The alternative is for global endpoints, which no function calls.
 */
interface Config {
  readonly region: () => Promise<string>;
  readonly authSchemePreference?: string[] | (() => Promise<string[]>);
}
interface Parameters {
  readonly operation: string;
  readonly region: string;
}

export const defaultEventBridgeHttpAuthSchemeParametersProvider = async (
  config: Config,
  context: object,
): Promise<Parameters> => ({
  operation: (getSmithyContext(context as never) as { operation: string }).operation,
  region: await normalizeProvider(config.region)(),
});

export const defaultEventBridgeHttpAuthSchemeProvider = ({ region }: Parameters) => [
  {
    schemeId: 'aws.auth#sigv4',
    signingProperties: { name: 'events', region },
    propertiesExtractor: (config: unknown, context: unknown) => ({ signingProperties: { config, context } }),
  },
];

export const resolveHttpAuthSchemeConfig = (config: Config) =>
  Object.assign(resolveAwsSdkSigV4Config(config as never), {
    authSchemePreference: normalizeProvider(config.authSchemePreference ?? []),
  });
