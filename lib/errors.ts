/** An error of synthesis that the user can correct. */
export class SynthesisError extends Error {
  override readonly name = 'SynthesisError';
}
