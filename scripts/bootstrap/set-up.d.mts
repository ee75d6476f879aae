import type { Command, Effects } from './types.d.mts';

export class SetupError extends Error {}
export const STAMP: string;
export function setUp(effects: Effects, command: Command): Promise<string>;
export function stampOf(lock: string, on: { readonly platform: string; readonly arch: string }): string;
export function isInstalled(lock: string, hiddenLock: string | undefined): boolean;
export function lacksForeignPlatforms(lines: readonly string[]): boolean;
