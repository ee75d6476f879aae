import { setFlagsFromString } from 'node:v8';
import { runInNewContext } from 'node:vm';

setFlagsFromString('--expose-gc');
const collect = runInNewContext('gc') as () => void;

/** Frees the memory that nothing refers to. The second collection waits until the array buffers of the first are freed. */
export const collectGarbage = (): void => {
  collect();
  collect();
};
