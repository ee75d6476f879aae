/**
 * Shows that something is going on once it has taken two seconds. The answer ends it, with a word on the outcome.
 * Writes to stderr unless told otherwise.
 */
export declare function showProgress(label: string, stream?: NodeJS.WriteStream): (outcome: string) => void;
