import type { IncomingHttpHeaders } from 'node:http';

/** Prevents DNS rebinding, where a web page makes its own name resolve to this machine: only loopback names are served. */
const loopbackHost = /^(localhost|127(\.\d{1,3}){3}|\[::1\])(:\d+)?$/;

export const isLoopbackHost = ({ host }: IncomingHttpHeaders): boolean => loopbackHost.test(host ?? '');

/** Whether a web page sent the request, by the headers that browsers add. Pages never need AWS's endpoints. */
export const isFromWebPage = (headers: IncomingHttpHeaders): boolean =>
  headers.origin !== undefined || headers['sec-fetch-site'] !== undefined;
