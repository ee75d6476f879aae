/** The newest and the oldest supported version of Docker's API. */
export const API_VERSION = '1.47';
export const OLDEST_API_VERSION = '1.24';

/** Compares versions of Docker's API. */
export const isOlder = (version: string, than: string): boolean => {
  const [major = 0, minor = 0] = version.split('.').map(Number);
  const [thanMajor = 0, thanMinor = 0] = than.split('.').map(Number);
  return major < thanMajor || (major === thanMajor && minor < thanMinor);
};
