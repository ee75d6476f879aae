import { HOST_ENROLLMENT_ROUTES } from '../../core/contract/http/routes/host-enrollment.ts';
import { ValidationError } from '../../core/domain/errors.ts';
import { enrollHost, newEnrollmentToken, readEnrollmentToken } from '../../store/enrollment.ts';
import type { HostRecord } from '../../store/hosts.ts';
import type { Table } from '../../store/table.ts';
import { answerDryRun } from '../shared/http/answers.ts';
import {
  createHttpHandler,
  type HttpDependencies,
  type LambdaHandler,
} from '../shared/http/create-http-handler.ts';
import type { RouteHandler } from '../shared/http/exchange.ts';
import { pointerTo } from '../shared/http/issues.ts';
import { type CommandSigning, publicKeysOf } from '../shared/secrets/command-signing.ts';
import { isEd25519PublicKey } from './public-key.ts';

interface HostEnrollmentDependencies extends HttpDependencies, Pick<CommandSigning, 'keys'> {
  readonly table: Table;
  readonly webSocketUrl: string;
}

export const createHandler = (dependencies: HostEnrollmentDependencies): LambdaHandler => {
  const { table, now, newId, randomBytes, webSocketUrl, keys } = dependencies;

  const createToken: RouteHandler<'createEnrollmentToken'> = async ({ identity, body, dryRun, remember }) => {
    if (dryRun) return answerDryRun('create an enrollment token');
    const { token, expiresAt, write } = newEnrollmentToken(
      identity.tenant,
      body.labels ?? {},
      now(),
      randomBytes,
    );
    const answer = { status: 201, body: { token, expiresAt: expiresAt.toISOString() } };
    await table.transact([write, ...remember(answer)], newId());
    return answer;
  };

  const enroll: RouteHandler<'enrollHost'> = async ({ body, logger }) => {
    const { token, name, publicKey, agentVersion, facts } = body;
    if (!isEd25519PublicKey(publicKey))
      throw new ValidationError('The request is not valid.', {
        errors: [{ pointer: pointerTo('body', 'publicKey'), detail: 'Is not an Ed25519 public key.' }],
      });
    const { tenant, labels } = await readEnrollmentToken(table, token, now());
    const commandKeys = publicKeysOf(await keys());
    const id = newId();
    const host: HostRecord = {
      tenant,
      id,
      revision: 1,
      actor: `host:${id}`,
      // Not Ready before it has connected and sent its inventory.
      view: { name, facts, labels, schedulable: true, state: 'Unknown', agentVersion },
      free: facts.capacity,
      publicKey,
    };
    await enrollHost(table, token, host, now());
    logger.info('host enrolled', { tenant, hostId: id });
    return { status: 201, body: { hostId: id, tenant, webSocketUrl, commandKeys } };
  };

  return createHttpHandler(
    HOST_ENROLLMENT_ROUTES,
    { createEnrollmentToken: createToken, enrollHost: enroll },
    dependencies,
  );
};
