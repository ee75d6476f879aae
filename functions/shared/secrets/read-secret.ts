import { Sha256 } from '@smithy/core/checksum';
import { HttpRequest } from '@smithy/core/protocols';
import type { NodeHttpHandler } from '@smithy/node-http-handler';
import { SignatureV4, type SignatureV4Init } from '@smithy/signature-v4';
import * as z from 'zod/mini';
import { ConfigurationError } from '../errors.ts';

/**
 * Reads one secret from AWS Secrets Manager with a single signed request, made with the SDK's signer and HTTP client. The
 * SDK's client for the service would add 40 KB to every bundle.
 */
export type SecretStage = 'AWSCURRENT' | 'AWSPREVIOUS';

export interface SecretVersion {
  readonly value: string;
  /** Creation time of this version, in milliseconds since 1970. */
  readonly createdAtMs: number;
}

/** @returns undefined if no version of the secret has that stage */
export type ReadSecret = (stage: SecretStage) => Promise<SecretVersion | undefined>;

interface SecretsDependencies {
  readonly endpoint: string;
  readonly region: SignatureV4Init['region'];
  readonly credentials: SignatureV4Init['credentials'];
  readonly requestHandler: NodeHttpHandler;
  readonly sleep: (milliseconds: number) => Promise<unknown>;
  /** 0 to 1, for jitter. */
  readonly random: () => number;
}

/** Maximum wait before the second and last attempt, in milliseconds. */
const RETRY_WAIT = 100;
const OK = 200;
const isTransient = (status: number): boolean => status === 429 || status >= 500;

const AnswerSchema = z.object({ SecretString: z.string(), CreatedDate: z.number() });
const ProblemSchema = z.object({ __type: z.string() });

interface Answer {
  readonly status: number;
  readonly body: unknown;
}

const bodyOf = async (stream: AsyncIterable<Buffer>): Promise<unknown> => {
  const chunks: Buffer[] = [];
  for await (const chunk of stream) chunks.push(chunk);
  try {
    return JSON.parse(Buffer.concat(chunks).toString());
  } catch {
    return undefined;
  }
};

/** @param secretArn the secret to read */
export const createReadSecret = (dependencies: SecretsDependencies, secretArn: string): ReadSecret => {
  const { region, credentials, requestHandler, sleep, random } = dependencies;
  const { protocol, hostname, port, host } = new URL(dependencies.endpoint);
  const signer = new SignatureV4({ service: 'secretsmanager', region, credentials, sha256: Sha256 });

  const call = async (stage: SecretStage): Promise<Answer> => {
    const request = new HttpRequest({
      protocol,
      hostname,
      ...(port !== '' && { port: Number(port) }),
      method: 'POST',
      path: '/',
      headers: {
        host,
        'content-type': 'application/x-amz-json-1.1',
        'x-amz-target': 'secretsmanager.GetSecretValue',
      },
      body: JSON.stringify({ SecretId: secretArn, VersionStage: stage }),
    });
    const { response } = await requestHandler.handle(new HttpRequest(await signer.sign(request)));
    return { status: response.statusCode, body: await bodyOf(response.body) };
  };

  return async (stage) => {
    let answer = await call(stage).catch(() => undefined);
    if (answer === undefined || isTransient(answer.status)) {
      await sleep(RETRY_WAIT * random());
      answer = await call(stage);
    }
    if (answer.status !== OK) {
      const type = ProblemSchema.safeParse(answer.body).data?.__type ?? '';
      if (type.endsWith('ResourceNotFoundException')) return undefined;
      throw new ConfigurationError(`Secrets Manager returned ${answer.status} ${type}`);
    }
    const parsed = AnswerSchema.safeParse(answer.body);
    if (!parsed.success) throw new ConfigurationError('Secrets Manager returned no secret string');
    return { value: parsed.data.SecretString, createdAtMs: parsed.data.CreatedDate * 1000 };
  };
};
