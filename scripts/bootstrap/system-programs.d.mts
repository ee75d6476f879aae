import type { SystemProgram } from './types.d.mts';

export const SYSTEM_PROGRAMS: readonly SystemProgram[];
