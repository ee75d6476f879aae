import { randomUUID } from 'node:crypto';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, jest, test } from '@jest/globals';
import type { RuntimeType } from '../../../core/contract/primitives.ts';
import { container } from '../../helpers/assigned-container.ts';
import { bring, canHostLinux, inspectContainer, until } from '../../helpers/linux-host.ts';
import { busyboxLayer, tar, writeLayout } from '../../helpers/oci-image.ts';
import { SharedLinuxHost } from '../../helpers/shared-linux-host.ts';

jest.setTimeout(180_000);
const possible = await canHostLinux();
const real = possible ? describe : describe.skip;
const allowed = mkdtempSync(join(tmpdir(), 'bulkhead-image-configuration-'));
afterAll(() => rmSync(allowed, { recursive: true, force: true }));
const never = new AbortController().signal;

const applets = tar(
  ['echo', 'stat', 'touch', 'kill'].map((name) => ({
    name: `bin/${name}`,
    kind: '2' as const,
    link: 'busybox',
  })),
);
const IMAGES = {
  entrypoint: { Entrypoint: ['/bin/echo', 'from', 'image'], Cmd: ['default'] },
  empty: {},
  folders: { Cmd: ['/bin/sleep', '600'], User: '1000', WorkingDir: '/srv/deep/app' },
  stops: {
    Cmd: [
      '/bin/sh',
      '-c',
      'trap "exit 42" INT; trap "exit 43" TERM; touch /ready; while :; do sleep 0.1; done',
    ],
    StopSignal: 'SIGINT',
  },
};

real('the configuration of an image', () => {
  const host = new SharedLinuxHost('image-configuration', { imageFolders: [allowed] });
  beforeAll(async () => {
    for (const [name, config] of Object.entries(IMAGES)) {
      const path = join(allowed, randomUUID());
      writeLayout(path, { layers: [busyboxLayer('x'), applets], config });
      await host.runtime.importImage({ name, source: { path } }, never);
    }
  });
  afterAll(async () => {
    for (const name of Object.keys(IMAGES)) await host.runtime.removeImage(name);
  });
  const of = (image: string, runtimeType: RuntimeType, spec: object = {}) => {
    const one = container({ image, runtimeType, switchName: 'none' });
    return { ...one, spec: { ...one.spec, ...spec } };
  };
  const outputOf = async (one: ReturnType<typeof of>): Promise<string> => {
    await host.up(one);
    await until(async () => (await inspectContainer(host.runtime, one.id))?.process?.running === false);
    const { items } = await host.runtime.readLog(one.id, {});
    return items.map(({ text }) => text).join('\n');
  };

  test('is part of what the host reports', async () => {
    const images = await host.runtime.images();
    expect(images.find(({ name }) => name === 'stops')?.config).toEqual({
      entrypoint: [],
      command: IMAGES.stops.Cmd,
      env: [],
      workingDir: '/',
      user: '',
      stopSignal: 'SIGINT',
    });
  });

  describe.each<RuntimeType>(['Default', 'HyperV'])('%s', (runtimeType) => {
    // https://github.com/moby/moby/issues/23498 and https://github.com/docker/compose/issues/9622
    test.each([
      ['its entrypoint and command run', {}, 'from image default'],
      ['its entrypoint precedes the command', { command: ['mine'] }, 'from image mine'],
      [
        'an entrypoint replaces its entrypoint and its command',
        { entrypoint: ['/bin/echo', 'mine'] },
        'mine',
      ],
      ['an empty entrypoint leaves the command alone', { entrypoint: [], command: ['/bin/echo', 'a'] }, 'a'],
    ])('%s', async (_, spec, output) => {
      expect(await outputOf(of('entrypoint', runtimeType, spec))).toBe(output);
    });

    test.each([
      ['an image without a command', 'empty', {}],
      ['an empty entrypoint without a command', 'entrypoint', { entrypoint: [] }],
    ])('a container is refused: %s', async (_, image, spec) => {
      const one = of(image, runtimeType, spec);
      await expect(bring(host.runtime, one.id, one, 'Off')).rejects.toMatchObject({
        cause: { code: 'no-command', suggestion: 'Create the container with a command or an entrypoint.' },
      });
      expect(await inspectContainer(host.runtime, one.id)).toBeNull();
    });

    // The agent's umask is 077: https://github.com/moby/moby/issues/11240
    test('a missing working directory is created, and its user can use it', async () => {
      const one = of('folders', runtimeType);
      await host.up(one);
      expect(await host.sh(one, 'pwd; stat -c "%a %u" /srv /srv/deep /srv/deep/app')).toBe(
        '/srv/deep/app\n755 0\n755 0\n755 0',
      );
    });

    test('its stop signal stops the main process, before and after a conversion', async () => {
      const one = of('stops', runtimeType);
      await host.up(one);
      await until(async () => (await host.sh(one, 'test -e /ready && echo yes || true')) === 'yes');
      // The next run makes it again when it is ready.
      await host.sh(one, 'rm /ready');
      await host.runtime.stopProcess(one.id, 60, never);
      expect(await inspectContainer(host.runtime, one.id)).toMatchObject({ process: { exitCode: 42 } });
      await host.off(one);
      const other = { ...one, runtimeType: runtimeType === 'Default' ? 'HyperV' : 'Default' } as const;
      await host.runtime.setRuntimeType(other, true);
      await host.up(other);
      await until(async () => (await host.sh(one, 'test -e /ready && echo yes || true')) === 'yes');
      await host.runtime.stopProcess(one.id, 60, never);
      expect(await inspectContainer(host.runtime, one.id)).toMatchObject({ process: { exitCode: 42 } });
    });
  });
});
if (!possible) test.todo('cannot run on this machine');
