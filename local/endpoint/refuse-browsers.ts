import type { IncomingHttpHeaders } from 'node:http';

/** A web page that makes its own name resolve to this machine must not get in: only loopback names are served. */
const loopbackHost = /^(localhost|127(\.\d{1,3}){3}|\[::1\])(:\d+)?$/;

export const isLoopbackHost = ({ host }: IncomingHttpHeaders): boolean => loopbackHost.test(host ?? '');

/** Browsers say so when a page sends a request, and no page has business with AWS's endpoints. */
export const isFromWebPage = (headers: IncomingHttpHeaders): boolean =>
  headers.origin !== undefined || headers['sec-fetch-site'] !== undefined;
