import type { Command, Effects } from './types.d.mts';

export class SetupError extends Error {}
export declare const STAMP: string;
export declare function setUp(effects: Effects, command: Command): Promise<string>;
export declare function stampOf(
  lock: string,
  on: { readonly platform: string; readonly arch: string },
): string;
export declare function isInstalled(lock: string, hiddenLock: string | undefined): boolean;
