/**
 * Whether 32 bytes in base64url are a usable Ed25519 public key (RFC 8032, section 5.1.3): a point of the curve in
 * canonical encoding, and not one of the eight points of small order, with which one signature can match many
 * messages.
 */
const P = 2n ** 255n - 19n;
/** -121665/121666 of the curve's equation -x² + y² = 1 + d·x²·y². */
const D = 37095705934669439343138083508754565189542113879843219016388785533085940283555n;
/** The y of the points of order 1, 2, 4 and 8. */
const SMALL_ORDER = new Set([
  0n,
  1n,
  P - 1n,
  2707385501144840649318225287225658788936804267575313519463743609750303402022n,
  55188659117513257062467267217118295137698188065244968500265048394206261417927n,
]);

const modulo = (value: bigint): bigint => ((value % P) + P) % P;

const power = (base: bigint, exponent: bigint): bigint => {
  let result = 1n;
  for (let square = base, left = exponent; left > 0n; left >>= 1n) {
    if (left & 1n) result = (result * square) % P;
    square = (square * square) % P;
  }
  return result;
};

export const isEd25519PublicKey = (text: string): boolean => {
  const bytes = Buffer.from(text, 'base64url');
  if (bytes.length !== 32 || bytes.toString('base64url') !== text) return false;
  const encoded = BigInt(`0x${Buffer.from(bytes).reverse().toString('hex')}`);
  const y = encoded & (2n ** 255n - 1n);
  if (y >= P || SMALL_ORDER.has(y)) return false;
  // x² = (y² - 1) / (d·y² + 1) has a root exactly if u·v, which differs from it by a square, has one (Euler).
  const ySquared = modulo(y * y);
  const u = modulo(ySquared - 1n);
  const v = modulo(D * ySquared + 1n);
  return power(modulo(u * v), (P - 1n) / 2n) === 1n;
};
