/** Replaces the headers of signed event streams: no function calls an operation that streams events. */
export class HeaderFormatter {
  format(): never {
    throw new TypeError('Event streams are not in the bundle.');
  }
}
