/** Secrets Manager: generated secrets, read and replaced through the service's JSON protocol. */
import { randomInt } from 'node:crypto';
import { join } from 'node:path';
import type { JsonService } from '../endpoint/json-service.ts';
import type { CloudContext, ResolvedResource, ResourceEngine, ResourceIdentity } from '../engine.ts';
import { ServiceError } from '../errors.ts';
import { asRecord, asString, type JsonObject } from '../template/json.ts';
import { accepted, honoured, metadataOnly, numberBetween, object, oneOf } from '../template/properties.ts';
import { SecretStore } from './secret-store.ts';

const types = {
  'AWS::SecretsManager::Secret': {
    Name: honoured,
    Description: metadataOnly,
    GenerateSecretString: object({
      PasswordLength: numberBetween(1, 4096),
      ExcludePunctuation: oneOf(true),
    }),
    KmsKeyId: accepted('nothing is encrypted at rest on one machine'),
    Tags: metadataOnly,
  },
} as const;

const alphabet = 'ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789';
/** Secrets Manager's default length of a generated secret. */
const defaultLength = 32;

const generate = (length: number): string =>
  Array.from({ length }, () => alphabet[randomInt(alphabet.length)]).join('');

const notFound = (message: string) => new ServiceError('ResourceNotFoundException', message);

export class SecretsEngine implements ResourceEngine {
  readonly types = types;
  readonly service: JsonService;
  readonly #context: CloudContext;
  readonly #store: SecretStore;

  constructor(context: CloudContext) {
    this.#context = context;
    this.#store = new SecretStore(join(context.stateDir, 'secrets.json'));
    this.service = { prefix: 'secretsmanager', call: (operation, input) => this.#call(operation, input) };
  }

  /** A value is generated once and kept across restarts. */
  create(resource: ResolvedResource): ResourceIdentity {
    const properties = resource.properties as JsonObject;
    const { stackName, partition, region, accountId, clock, newId } = this.#context;
    const name = asString(properties.Name) ?? `${stackName}-${resource.logicalId}`;
    const arn = `arn:${partition}:secretsmanager:${region}:${accountId}:secret:${name}`;
    const length = Number(asRecord(properties.GenerateSecretString).PasswordLength ?? defaultLength);
    if (this.#store.find(name) === undefined)
      this.#store.put(name, arn, { id: newId(), value: generate(length), createdAt: clock.now() });
    return { ref: arn, attributes: { Id: arn, Arn: arn } };
  }

  async #call(operation: string, input: JsonObject): Promise<JsonObject> {
    switch (operation) {
      case 'GetSecretValue':
        return this.#get(input);
      case 'PutSecretValue':
        return this.#put(input);
      default:
        throw new ServiceError('UnknownOperationException', `${operation} is not implemented`);
    }
  }

  #find(input: JsonObject) {
    const found = this.#store.find(asString(input.SecretId) ?? '');
    if (found === undefined) throw notFound("Secrets Manager can't find the specified secret.");
    return found;
  }

  #get(input: JsonObject): JsonObject {
    const { name, secret } = this.#find(input);
    const stage = asString(input.VersionStage) ?? 'AWSCURRENT';
    const version = secret.versions.find(({ stages }) => stages.includes(stage));
    if (version === undefined)
      throw notFound(`Secrets Manager can't find the specified secret value for staging label: ${stage}`);
    return {
      ARN: secret.arn,
      Name: name,
      VersionId: version.id,
      SecretString: version.value,
      VersionStages: [...version.stages],
      CreatedDate: version.createdAt / 1000,
    };
  }

  #put(input: JsonObject): JsonObject {
    const { name, secret } = this.#find(input);
    const value = asString(input.SecretString);
    if (value === undefined)
      throw new ServiceError(
        'InvalidParameterException',
        'SecretString is required; nothing else is implemented',
      );
    const id = this.#context.newId();
    this.#store.put(name, secret.arn, { id, value, createdAt: this.#context.clock.now() });
    return { ARN: secret.arn, Name: name, VersionId: id, VersionStages: ['AWSCURRENT'] };
  }
}
