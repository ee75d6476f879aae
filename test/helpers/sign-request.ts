import { Sha256 } from '@smithy/core/checksum';
import { HttpRequest } from '@smithy/core/protocols';
import { SignatureV4 } from '@smithy/signature-v4';

export interface AwsAccess {
  readonly region: string;
  readonly credentials: { readonly accessKeyId: string; readonly secretAccessKey: string };
}

export interface Unsigned {
  readonly service: string;
  readonly method?: string;
  readonly headers?: Readonly<Record<string, string>>;
  readonly body?: string;
}

/** The headers of a request to an AWS endpoint, signed with the SDK's signer. */
export const signedHeaders = async (
  { region, credentials }: AwsAccess,
  url: string,
  { service, method = 'POST', headers = {}, body }: Unsigned,
): Promise<Record<string, string>> => {
  const { protocol, hostname, host, pathname } = new URL(url);
  const signer = new SignatureV4({ service, region, credentials, sha256: Sha256 });
  const request = { protocol, hostname, method, path: pathname, headers: { host, ...headers } };
  const signed = await signer.sign(new HttpRequest({ ...request, ...(body !== undefined && { body }) }));
  return { ...signed.headers };
};

/** Sends a signed request without an SDK client. */
export const signedFetch = async (access: AwsAccess, url: string, unsigned: Unsigned): Promise<Response> =>
  fetch(url, {
    method: unsigned.method ?? 'POST',
    headers: await signedHeaders(access, url, unsigned),
    ...(unsigned.body !== undefined && { body: unsigned.body }),
  });
