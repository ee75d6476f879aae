/** Stands in a bundle for the SDK's SHA-256 in JavaScript: Node has its own, and the SDK takes that where it is. */
export class Sha256Js {
  constructor() {
    throw new TypeError('node:crypto is not there.');
  }
}
