import * as z from 'zod/mini';

/** Limits of the contract. Sizes in bytes are those of UTF-8. */
export const LIMITS = {
  bodyBytes: 64 * 1024,
  pageDefault: 50,
  pageMax: 200,
  labels: 64,
  ports: 64,
  waitSecondsMax: 25,
  enrollmentTokenSeconds: 15 * 60,
  minDiskMB: 64,
  maxDiskMB: 1_048_576,
} as const;

// biome-ignore lint/suspicious/noControlCharactersInRegex: the expression matches control characters to refuse them
const NO_CONTROL_OR_BIDI = /^[^\u0000-\u001f\u007f\u202a-\u202e\u2066-\u2069]*$/u;

const described = <T extends z.core.$ZodType>(schema: T, description: string): T => {
  z.globalRegistry.add(schema, { description });
  return schema;
};

/** A resource's name. */
export const NAME_PATTERN = /^[a-z0-9A-Z]([a-zA-Z0-9_.-]{0,61}[a-zA-Z0-9])?$/;

export const NameSchema = described(
  z
    .string()
    .check(
      z.regex(
        NAME_PATTERN,
        'Must have 1 to 63 letters, digits, "_", "." and "-", and begin and end with a letter or digit.',
      ),
    ),
  'Letters, digits, "_", "." and "-"; begins and ends with a letter or digit; at most 63 characters.',
);

export const IdSchema = described(
  z
    .string()
    .check(
      z.regex(/^[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}$/, 'Must be a lower-case UUID.'),
    ),
  'A lower-case UUID.',
);

export const UpperCaseIdSchema = described(
  z.string().check(z.regex(/^[0-9A-F]{8}-[0-9A-F]{4}-[0-9A-F]{4}-[0-9A-F]{4}-[0-9A-F]{12}$/)),
  'An upper-case UUID, as Get-ComputeProcess prints it.',
);

/** Path parameter: an id in either case, or a name. */
export const IdOrNameSchema = described(
  z.string().check(z.regex(NAME_PATTERN)),
  'The id or the name of a container.',
);

/** Image names can include a registry, a path and a tag; compared without regard to case. */
export const ImageNameSchema = described(
  z.string().check(z.regex(/^(?!.*(\.\.|\/\/))[a-zA-Z0-9]([a-zA-Z0-9._/:@-]{0,253}[a-zA-Z0-9])?$/)),
  'The name of an image, optionally with registry, path and tag. Compared without regard to case.',
);

/** The name of the switch without a network. Every host has it. */
export const NO_SWITCH = 'none';

export const SwitchNameSchema = described(
  z.string().check(z.regex(/^[a-zA-Z0-9]([a-zA-Z0-9 _.-]{0,61}[a-zA-Z0-9])?$/)),
  'The name of a virtual switch of the host. Compared without regard to case. "none" means no network.',
);

export const RUNTIME_TYPES = ['Default', 'HyperV'] as const;
export const RuntimeTypeSchema = z.enum(RUNTIME_TYPES);
export type RuntimeType = z.infer<typeof RuntimeTypeSchema>;

/** As in a request: `HyperV`, `hyperv` and `HYPERV` are the same. */
export const RuntimeTypeInputSchema = described(
  z
    .string()
    .check(
      z.regex(/^([Dd][Ee][Ff][Aa][Uu][Ll][Tt]|[Hh][Yy][Pp][Ee][Rr][Vv])$/, 'Must be "Default" or "HyperV".'),
    ),
  '"Default" (process isolation) or "HyperV" (a utility VM with its own kernel), in any case.',
);

/** Converts text in any case to the runtime type. The caller has validated it with {@link RuntimeTypeInputSchema}. */
export const toRuntimeType = (text: string): RuntimeType =>
  text.toLowerCase() === 'hyperv' ? 'HyperV' : 'Default';

const text = (max: number) => z.string().check(z.maxLength(max), z.regex(NO_CONTROL_OR_BIDI));

/** One line of text: no control characters, no bidirectional overrides. */
export const LineSchema = text(256);

/** An argument is data for the process, so any character but NUL is allowed. */
const ArgumentSchema = z.string().check(
  z.maxLength(64 * 1024),
  // biome-ignore lint/suspicious/noControlCharactersInRegex: NUL ends a C string, so an argument cannot contain it
  z.regex(/^[^\u0000\ud800-\udfff]*$/u),
);
/** The number of arguments is limited by the size of the body. */
export const CommandSchema = z.array(ArgumentSchema).check(z.minLength(1));

/** What precedes the command. Empty: nothing, even if the image has an entrypoint. */
export const EntrypointSchema = z.array(ArgumentSchema);

export const LabelKeySchema = z.string().check(z.regex(/^[a-zA-Z0-9]([a-zA-Z0-9_./-]{0,61}[a-zA-Z0-9])?$/));
export const LabelValueSchema = text(256);

const atMost = (max: number) =>
  z.refine((value: unknown) => Object.keys(value as object).length <= max, `At most ${max} entries.`);

export const LabelsSchema = z.record(LabelKeySchema, LabelValueSchema).check(atMost(LIMITS.labels));
export type Labels = z.infer<typeof LabelsSchema>;

/**
 * As in Docker, a name is anything but `=` and NUL: programs use names with dots and dashes. Not `__proto__`, which would be
 * lost, see functions/shared/http/parse-body.ts.
 */
// biome-ignore lint/suspicious/noControlCharactersInRegex: NUL ends a C string, so a name cannot contain it
const VARIABLE_NAME = /^(?!__proto__$)[^=\u0000-\u001f\u007f\ud800-\udfff]{1,256}$/u;
export const EnvironmentSchema = z.record(z.string().check(z.regex(VARIABLE_NAME)), ArgumentSchema);

/** The highest user or group id that container engines accept. */
const MAX_ID = 2 ** 31 - 1;

const isNameOrId = (text: string): boolean =>
  /^\d+$/.test(text) ? /^(0|[1-9]\d*)$/.test(text) && Number(text) <= MAX_ID : text !== '';

/** Whether the text is `user` or `user:group`, each a name or a decimal id without leading zeros. */
export const isUser = (text: string): boolean =>
  text.split(':').length <= 2 && text.split(':').every(isNameOrId);

/** As stored. */
export const UserNameSchema = z
  .string()
  .check(z.regex(/^[a-zA-Z0-9_]([a-zA-Z0-9_.@\\:-]{0,126}[a-zA-Z0-9_$])?$/));

/** As in a request. Records of earlier versions may contain other values, which their host refuses. */
export const UserInputSchema = described(
  UserNameSchema.check(
    z.refine(isUser, `Must be a user or user:group. Ids are numbers from 0 to ${MAX_ID}.`),
  ),
  'A user, or user:group; each by name or, on Linux, by its id from 0 to 2147483647.',
);

/** Absolute, POSIX or Windows, without `..` segments. */
export const ContainerPathSchema = described(
  z.string().check(
    z.maxLength(1024),
    z.regex(/^(\/|[A-Za-z]:[\\/])/),
    z.regex(NO_CONTROL_OR_BIDI),
    z.refine((path) => !path.split(/[\\/]/).includes('..'), 'Must not contain "..".'),
  ),
  'An absolute path inside the container.',
);

/** Text from a host, truncated, so that a long text does not make the whole message invalid. */
export const truncatedTo = (length: number) => z.string().check(z.overwrite((text) => text.slice(0, length)));

/** RFC 3339 in UTC, with milliseconds. */
export const TimestampSchema = z.iso.datetime();

export const ResourcesSchema = z.strictObject({
  /** Memory limit in MiB. */
  memoryMB: z.optional(z.int().check(z.minimum(16), z.maximum(4_194_304))),
  /** CPU limit, in CPUs. */
  cpus: z.optional(z.number().check(z.minimum(0.01), z.maximum(1024))),
  /** Size of the writable layer in MiB. */
  diskMB: z.optional(z.int().check(z.minimum(LIMITS.minDiskMB), z.maximum(LIMITS.maxDiskMB))),
});

/** The default resources. */
export const DEFAULT_RESOURCES = { memoryMB: 128, cpus: 1, diskMB: 2048 } as const;

/** The size of writable layers from before `diskMB` existed, in MiB. */
export const LEGACY_DISK_MB = 10_240;

/** Resources of a container as recorded. A record without a disk is from before `diskMB` existed. */
export const GivenResourcesSchema = z.strictObject({
  memoryMB: z.int(),
  cpus: z.number(),
  diskMB: z._default(z.int(), LEGACY_DISK_MB),
});

export const PortNumberSchema = z.int().check(z.minimum(1), z.maximum(65_535));
const PORT = {
  hostPort: z.optional(PortNumberSchema),
  containerPort: PortNumberSchema,
  protocol: z.optional(z.enum(['tcp', 'udp'])),
  /** Only programs of the host can connect. Without it: every address of the host. */
  hostAddress: z.optional(z.literal('127.0.0.1')),
};
export const PortsSchema = z.array(z.strictObject(PORT)).check(z.maxLength(LIMITS.ports));

/** As in a request: the host chooses a port in place of 0. */
export const PortsInputSchema = z
  .array(z.strictObject({ ...PORT, hostPort: z.optional(z.int().check(z.minimum(0), z.maximum(65_535))) }))
  .check(z.maxLength(LIMITS.ports));

/** A published port, with the port of the host that was chosen for it. */
export const PublishedPortSchema = z.strictObject({
  hostPort: z.int(),
  containerPort: z.int(),
  protocol: z.enum(['tcp', 'udp']),
  hostAddress: PORT.hostAddress,
});

export const RestartPolicySchema = z.strictObject({
  name: z.enum(['no', 'on-failure', 'always']),
  maxRetries: z.optional(z.int().check(z.minimum(0), z.maximum(1000))),
});
export type RestartPolicy = z.infer<typeof RestartPolicySchema>;

export const PlacementRequestSchema = z.strictObject({
  hostId: z.optional(IdSchema),
  hostLabels: z.optional(LabelsSchema),
});
export type PlacementRequest = z.infer<typeof PlacementRequestSchema>;

/** For schemas in generated documents. */
export { described };

/** An Ed25519 public key as a JWK's `x`: 32 bytes in base64url. */
export const PublicKeySchema = z.string().check(z.regex(/^[A-Za-z0-9_-]{43}$/));
