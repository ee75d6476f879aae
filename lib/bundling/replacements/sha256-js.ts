/** Replaces the SDK's SHA-256 in JavaScript: the SDK prefers the one of Node. */
export class Sha256Js {
  constructor() {
    throw new TypeError('node:crypto is not available.');
  }
}
