/** Something that stands in the way of synthesis and that the person at the keyboard can put right. */
export class SynthesisError extends Error {
  override readonly name = 'SynthesisError';
}
