import { isLoopback } from '../../core/contract/loopback.ts';

/** Whether the URL is safe for secrets: it uses TLS or a loopback address. */
export const isProtectedUrl = (
  text: string,
  schemes: { readonly tls: string; readonly plain: string },
): boolean => {
  if (!URL.canParse(text)) return false;
  const { protocol, hostname } = new URL(text);
  return protocol === schemes.tls || (protocol === schemes.plain && isLoopback(hostname));
};
