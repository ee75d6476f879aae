import { createPrivateKey, generateKeyPairSync, type KeyObject } from 'node:crypto';
import { chmodSync, existsSync, readFileSync, renameSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import * as z from 'zod/mini';
import { EnrollHostResponseSchema } from '../../core/contract/host.ts';
import { type TrustedKeys, TrustedKeysSchema, trustAtFirst } from '../authenticity/trusted-keys.ts';
import { EXIT_CODES, StartupError } from '../errors.ts';
import { type RecordFile, recordFile } from '../formats/record-files.ts';
import {
  addMembers,
  decodeRecord,
  encodeRecord,
  NewerFormatError,
  type RecordFormat,
  versionOf,
} from '../formats/record-format.ts';

const KEY_FILE = 'host-key.pem';
const ENROLLMENT_FILE = 'enrolment.json';
const COMMAND_KEYS_FILE = 'command-keys.json';
const OWNER_ONLY = 0o600;

/** The result of the enrollment, and the API URL. */
const EnrollmentSchema = z.strictObject({ ...EnrollHostResponseSchema.shape, apiUrl: z.string() });
export type Enrollment = z.infer<typeof EnrollmentSchema>;

const EnrollmentFormat: RecordFormat<Enrollment> = {
  name: 'enrollment',
  schema: EnrollmentSchema,
  upgrades: [addMembers()],
};

const CommandKeysFormat: RecordFormat<{ readonly keys: TrustedKeys }> = {
  name: 'list of trusted keys',
  schema: z.strictObject({ keys: TrustedKeysSchema }),
  // Before it had a version, the file contained only the list.
  upgrades: [(keys) => ({ keys })],
};

/** Without the host's key, which is PEM. */
export const identityFiles = (stateDir: string): readonly RecordFile[] => [
  recordFile(join(stateDir, ENROLLMENT_FILE), EnrollmentFormat),
  recordFile(join(stateDir, COMMAND_KEYS_FILE), CommandKeysFormat),
];

export interface HostKey {
  readonly privateKey: KeyObject;
  /** The public key, in the form of a JWK's `x`. */
  readonly publicKey: string;
}

/** Writes a file atomically, readable only by its owner. */
const writePrivate = (file: string, text: string): void => {
  const temporary = `${file}.new`;
  writeFileSync(temporary, text, { mode: OWNER_ONLY, flush: true });
  chmodSync(temporary, OWNER_ONLY);
  renameSync(temporary, file);
};

const unusable = (file: string, cause: unknown): StartupError =>
  new StartupError(
    EXIT_CODES.stateUnusable,
    `${file} cannot be read: restore it, or remove the host from Bulkhead, empty the state directory and enroll it again.`,
    cause,
  );

/** Null if the file does not exist. */
const load = <T extends object>(file: string, format: RecordFormat<T>): T | null => {
  if (!existsSync(file)) return null;
  const decoded = decodeRecord(format, readFileSync(file, 'utf8'));
  if (decoded.kind === 'record') return decoded.record;
  if (decoded.kind === 'unreadable') throw unusable(file, decoded.cause);
  throw new NewerFormatError(format.name, file, decoded.version, versionOf(format));
};

/** The host's Ed25519 key in the state directory, created on first use. It never leaves the machine. */
export const loadOrMakeKey = (stateDir: string): HostKey => {
  const file = join(stateDir, KEY_FILE);
  if (!existsSync(file)) {
    const { privateKey } = generateKeyPairSync('ed25519');
    writePrivate(file, privateKey.export({ type: 'pkcs8', format: 'pem' }).toString());
  }
  try {
    const privateKey = createPrivateKey(readFileSync(file, 'utf8'));
    const { x } = privateKey.export({ format: 'jwk' });
    return { privateKey, publicKey: z.parse(z.string(), x) };
  } catch (error) {
    throw unusable(file, error);
  }
};

/** The enrollment in the state directory; null if the host has not enrolled. */
export const loadEnrollment = (stateDir: string): Enrollment | null =>
  load(join(stateDir, ENROLLMENT_FILE), EnrollmentFormat);

/** Stores the enrollment. Its keys of the control plane are trusted from now on. */
export const saveEnrollment = (stateDir: string, enrollment: Enrollment): void => {
  commandKeysIn(stateDir).save(trustAtFirst(enrollment.commandKeys ?? []));
  writePrivate(join(stateDir, ENROLLMENT_FILE), encodeRecord(EnrollmentFormat, enrollment));
};

/** The trusted keys of the control plane, in a file of the state directory. The list is empty before the first key is trusted. */
export const commandKeysIn = (stateDir: string) => {
  const file = join(stateDir, COMMAND_KEYS_FILE);
  return {
    load: (): TrustedKeys => load(file, CommandKeysFormat)?.keys ?? [],
    save: (keys: TrustedKeys): void => writePrivate(file, encodeRecord(CommandKeysFormat, { keys })),
  };
};
