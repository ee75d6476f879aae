import type { SystemProgram } from './types.d.mts';

export declare const SYSTEM_PROGRAMS: readonly SystemProgram[];
