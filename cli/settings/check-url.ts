import { isLoopback } from '../../core/contract/loopback.ts';
import { SettingsError } from '../errors.ts';

/**
 * Refuses plain HTTP except to this machine, because it would send the token in clear text.
 *
 * @param source where the URL was set, for the message
 * @throws SettingsError
 */
export const checkApiUrl = (apiUrl: string, source: string): void => {
  if (!/^https?:\/\/[^\s]+$/.test(apiUrl) || !URL.canParse(apiUrl))
    throw new SettingsError(
      `"${apiUrl}" is not the URL of an API (${source}).`,
      'Use a URL such as https://….execute-api.….amazonaws.com, or http://127.0.0.1:8420.',
    );
  const { protocol, hostname } = new URL(apiUrl);
  if (protocol === 'http:' && !isLoopback(hostname))
    throw new SettingsError(
      `"${apiUrl}" would send your token unencrypted (${source}).`,
      'Use https://. Plain http:// is accepted for this machine only, e.g. http://127.0.0.1:8420.',
    );
};
