import { randomUUID } from 'node:crypto';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, jest, test } from '@jest/globals';
import type { RuntimeType } from '../../../core/contract/primitives.ts';
import { container } from '../../helpers/assigned-container.ts';
import { bring, canHostLinux, inspectContainer } from '../../helpers/linux-host.ts';
import { busyboxLayer, tar, writeLayout } from '../../helpers/oci-image.ts';
import { runIn } from '../../helpers/run-in-container.ts';
import { SharedLinuxHost } from '../../helpers/shared-linux-host.ts';

jest.setTimeout(180_000);
const possible = await canHostLinux();
const real = possible ? describe : describe.skip;
const allowed = mkdtempSync(join(tmpdir(), 'bulkhead-failed-starts-'));
afterAll(() => rmSync(allowed, { recursive: true, force: true }));

const file = (name: string, content: string, mode = 0o755) => ({ name, content: Buffer.from(content), mode });
const programs = tar([
  file('no-interpreter', '#!/missing\n'),
  file('no-format', 'echo this runs only in a shell\n'),
  file('no-permission', '#!/bin/sh\n', 0o644),
  file('private', '#!/bin/sh\n', 0o700),
  { name: 'second/', kind: '5' },
  { name: 'second/tool', kind: '2', link: '/bin/busybox' },
  { name: 'first/', kind: '5' },
  file('first/tool', '', 0o644),
]);

/**
 * Sources: https://github.com/podman-container-tools/podman/issues/367 (126 and 127 swapped),
 * https://github.com/containers/crun/issues/1688 (exit code 0 in a VM), https://github.com/opencontainers/runc/pull/3073 (255),
 * https://github.com/opencontainers/runc/pull/3237 (a missing interpreter).
 */
const FAILURES = [
  ['a name that PATH does not have', 'missing', 'program-not-found', 127],
  ['a path that does not exist', '/bin/missing', 'program-not-found', 127],
  ['a script without its interpreter', '/no-interpreter', 'program-not-found', 127],
  ['an empty name', '', 'program-not-found', 127],
  ['a folder', '/bin', 'program-not-executable', 126],
  ['a file below a file', '/bin/sh/x', 'program-not-executable', 126],
  ['a file without permission', '/no-permission', 'program-not-executable', 126],
  ['a file of another user', '/private', 'program-not-executable', 126],
  ['a file of no known format', '/no-format', 'program-not-executable', 126],
] as const;

real('a process that cannot be started', () => {
  const host = new SharedLinuxHost('failed-starts', { imageFolders: [allowed] });
  beforeAll(async () => {
    const path = join(allowed, randomUUID());
    const config = { Cmd: ['/bin/sleep', '600'], User: '1000', Env: ['PATH=/first:/second:/bin'] };
    writeLayout(path, { layers: [busyboxLayer('x'), programs], config });
    await host.runtime.importImage({ name: 'programs', source: { path } }, new AbortController().signal);
  });
  afterAll(() => host.runtime.removeImage('programs'));
  const of = (runtimeType: RuntimeType, spec: object = {}) => {
    const one = container({ image: 'programs', runtimeType, switchName: 'none' });
    return { ...one, spec: { ...one.spec, ...spec } };
  };

  describe.each<RuntimeType>(['Default', 'HyperV'])('%s', (runtimeType) => {
    test.each(FAILURES)('a main process: %s', async (_, program, code, exitCode) => {
      const one = of(runtimeType, { command: [program, 'argument'] });
      await bring(host.runtime, one.id, one, 'Off');
      const message = expect.stringContaining(`The process could not be started: cannot run ${program}: `);
      await expect(host.up(one)).rejects.toMatchObject({ cause: { code, message } });
      expect(await inspectContainer(host.runtime, one.id)).toMatchObject({
        process: { running: false, exitCode, exitReason: message },
      });
      expect((await host.runtime.readLog(one.id, {})).items).toEqual([]);
    });

    test.each([false, true])('of exec, with a terminal: %s', async (tty) => {
      const one = of(runtimeType);
      await host.up(one);
      for (const [, program, code] of FAILURES)
        await expect(runIn(host.runtime, one.id, { command: [program], tty })).rejects.toMatchObject({
          code,
        });
      expect(await host.runtime.listProcesses(one.id)).toHaveLength(1);
    });

    test('of exec in a missing folder is not the fault of its program', async () => {
      const one = of(runtimeType);
      await host.up(one);
      const request = { command: ['/bin/sh'], workingDir: '/missing' };
      await expect(runIn(host.runtime, one.id, request)).rejects.toMatchObject({ code: 'step-failed' });
    });

    test('the search continues after a file that cannot be executed', async () => {
      const one = of(runtimeType);
      await host.up(one);
      const seen = await runIn(host.runtime, one.id, { command: ['tool'] });
      expect(seen).toMatchObject({ exitCode: 127, stderr: expect.stringContaining('applet not found') });
    });

    test('no process has descriptors of its starter', async () => {
      const one = of(runtimeType);
      await host.up(one);
      const seen = await runIn(host.runtime, one.id, {
        command: ['/bin/busybox', 'ls', '/proc/self/fd', '/proc/1/fd'],
      });
      expect(seen.stdout.split('\n').filter((line) => /^[4-9]/.test(line))).toEqual([]);
    });
  });
});
if (!possible) test.todo('cannot run on this machine');
