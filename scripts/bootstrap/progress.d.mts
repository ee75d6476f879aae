/**
 * Shows progress once the work has taken two seconds. The returned function ends it and prints the outcome.
 * @param stream Default: stderr
 */
export declare function showProgress(label: string, stream?: NodeJS.WriteStream): (outcome: string) => void;
