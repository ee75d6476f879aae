/** Stands in a bundle for reading `~/.aws/config` and `~/.aws/credentials`: in Lambda there are none. */
export const loadSharedConfigFiles = async () => ({ configFile: {}, credentialsFile: {} });
export const CONFIG_PREFIX_SEPARATOR = '.';
