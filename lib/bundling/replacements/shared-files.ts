/** Replaces the reading of `~/.aws/config` and `~/.aws/credentials`: they do not exist in Lambda. */
export const loadSharedConfigFiles = async () => ({ configFile: {}, credentialsFile: {} });
export const CONFIG_PREFIX_SEPARATOR = '.';
