import { afterAll, beforeAll, describe, expect, test } from '@jest/globals';
import type { Runtime } from '../../../agent/runtimes/runtime.ts';
import type { AssignedContainer } from '../../../core/contract/agent/commands.ts';
import type { RuntimeType } from '../../../core/contract/primitives.ts';
import { container } from '../../helpers/assigned-container.ts';
import { bring } from '../../helpers/linux-host.ts';
import { runIn } from '../../helpers/run-in-container.ts';

/** If ids wrapped or were parsed leniently, each would be root or another user. */
export const NO_USERS = [
  '4294967296',
  '4294967295',
  '2147483648',
  '18446744073709551616',
  '00',
  '01000',
  '1000:4294967296',
  '1000:',
  ':0',
  '1:2:3',
] as const;

/** Tests of users in every runtime of Linux containers. A test file calls it; `open` is called once. */
export const usersContract = (
  name: string,
  open: () => Promise<{ readonly runtime: Runtime; readonly dispose: () => Promise<void> }>,
): void => {
  describe.each<RuntimeType>(['Default', 'HyperV'])(`users of processes: ${name}, %s`, (runtimeType) => {
    let runtime: Runtime;
    let dispose: () => Promise<void>;
    let one: AssignedContainer;
    const make = (user?: string): AssignedContainer => {
      const made = container({ image: 'mini', runtimeType, switchName: 'none', command: ['sleep', '600'] });
      return { ...made, spec: { ...made.spec, ...(user === undefined ? {} : { user }) } };
    };
    beforeAll(async () => {
      ({ runtime, dispose } = await open());
      one = make();
      await bring(runtime, one.id, one, 'Running');
    });
    afterAll(() => dispose?.());

    test.each(['root', '0', '0:0', undefined])('%s is root', async (user) => {
      expect(await runIn(runtime, one.id, { command: ['whoami'], user })).toMatchObject({ stdout: 'root\n' });
    });

    test.each(NO_USERS)('%s is refused for exec', async (user) => {
      await expect(runtime.startExec(one.id, { command: ['whoami'], user })).rejects.toMatchObject({
        code: 'step-failed',
        message: expect.stringContaining(`"${user}" is not a valid user`),
      });
    });

    test('an id that is too large is refused for a main process', async () => {
      const wraps = make('4294967296');
      await expect(bring(runtime, wraps.id, wraps, 'Running')).rejects.toThrow(
        '"4294967296" is not a valid user',
      );
      await bring(runtime, wraps.id, null, 'Absent');
    });
  });
};
