import type { Command } from './types.d.mts';

export declare const COMMANDS: Readonly<Record<string, Command>>;
export declare function commandList(): string;
