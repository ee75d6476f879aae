import type { Command } from './types.d.mts';

export const COMMANDS: Readonly<Record<string, Command>>;
export function commandList(): string;
