const LOOPBACK = /^(localhost|127(\.\d{1,3}){3}|\[::1\])$/;

/** Whether the URL is safe for secrets: it uses TLS, or it stays within this machine. */
export const isProtectedUrl = (
  text: string,
  schemes: { readonly tls: string; readonly plain: string },
): boolean => {
  if (!URL.canParse(text)) return false;
  const { protocol, hostname } = new URL(text);
  return protocol === schemes.tls || (protocol === schemes.plain && LOOPBACK.test(hostname));
};
