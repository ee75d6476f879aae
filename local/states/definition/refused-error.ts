/** A part of a definition that is invalid or not implemented. */
export interface Refusal {
  /** The field, state type, integration or rule concerned. */
  feature: string;
  /** JSON pointer to it, such as `/States/Work/ItemReader`. */
  path: string;
  message: string;
}

/** A state machine definition that is invalid or not fully implemented here. */
export class DefinitionRefusedError extends Error {
  readonly code = 'InvalidDefinition';
  readonly refusals: Refusal[];

  constructor(refusals: Refusal[]) {
    super(
      `Invalid State Machine Definition: ${refusals.map((refusal) => `'${refusal.message} at ${refusal.path}'`).join(', ')}`,
    );
    this.name = 'DefinitionRefusedError';
    this.refusals = refusals;
  }
}
