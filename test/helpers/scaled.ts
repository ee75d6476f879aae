/** The size of a long run: `ci` in `npm test`, `whole` in `npm run test:long`. */
export const scaled = ({ ci, whole }: { readonly ci: number; readonly whole: number }): number =>
  process.env.BULKHEAD_LONG_TESTS === '1' ? whole : ci;
