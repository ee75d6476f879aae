/** The body of a request that can have the initial size of a terminal, as rows and columns. */
export interface SizedBody {
  readonly ConsoleSize?: unknown;
}

/** The initial size of a terminal; empty if none is given, or 0 × 0. */
export const sizeOf = ({
  ConsoleSize: size,
}: SizedBody): { readonly columns?: number; readonly rows?: number } => {
  const [rows, columns] = Array.isArray(size) ? size.map(Number) : [];
  return rows !== undefined && columns !== undefined && rows > 0 && columns > 0 ? { rows, columns } : {};
};
