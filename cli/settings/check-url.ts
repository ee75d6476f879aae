import { isLoopback } from '../../core/contract/loopback.ts';
import { SettingsError } from '../errors.ts';

/**
 * Plain HTTP would send the token in clear text, so it is only for this machine.
 *
 * @param source who named the URL, for the message
 * @throws SettingsError
 */
export const checkApiUrl = (apiUrl: string, source: string): void => {
  if (!/^https?:\/\/[^\s]+$/.test(apiUrl) || !URL.canParse(apiUrl))
    throw new SettingsError(
      `"${apiUrl}" is no URL of an API (${source}).`,
      'It looks like https://….execute-api.….amazonaws.com, or http://127.0.0.1:8420.',
    );
  const { protocol, hostname } = new URL(apiUrl);
  if (protocol === 'http:' && !isLoopback(hostname))
    throw new SettingsError(
      `"${apiUrl}" would send your token unencrypted (${source}).`,
      'Use https://. Plain http:// is accepted for this machine only, e.g. http://127.0.0.1:8420.',
    );
};
