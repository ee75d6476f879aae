import { PassThrough } from 'node:stream';
import Docker from 'dockerode';
import { expect, runHabits } from './habits.mjs';

/** What users of dockerode do. */
const docker = new Docker({ socketPath: process.env.DOCKER_HOST.replace('unix://', '') });
const IMAGE = 'alpine:3.10';
const sh = (script) => ['sh', '-c', script];

const textOf = async (stream) => {
  let text = '';
  for await (const chunk of stream) text += chunk.toString();
  return text;
};
const created = async (Cmd, act, more = {}) => {
  const container = await docker.createContainer({ Image: IMAGE, Cmd, ...more });
  try {
    return await act(container);
  } finally {
    await container.remove({ force: true });
  }
};
const started = (act) =>
  created(['sleep', '600'], async (container) => {
    await container.start();
    return act(container);
  });
const exec = async (container, hijack) => {
  const instance = await container.exec({ Cmd: sh('echo out'), AttachStdout: true, AttachStderr: true });
  const stream = await instance.start({ hijack, stdin: false });
  const stdout = new PassThrough();
  docker.modem.demuxStream(stream, stdout, stdout);
  stream.on('end', () => stdout.end());
  const text = await textOf(stdout);
  const { ExitCode } = await instance.inspect();
  expect(text === 'out\n' && ExitCode === 0, { text, ExitCode });
};

await runHabits({
  'ping, version and info': async () => {
    const { ApiVersion } = await docker.version();
    expect(String(await docker.ping()) === 'OK' && ApiVersion !== undefined, ApiVersion);
    expect((await docker.info()).Images > 0, 'no images');
  },
  'run with an output stream': async () => {
    const output = new PassThrough();
    const text = textOf(output);
    const [{ StatusCode }] = await docker.run(IMAGE, sh('echo ran; exit 4'), output);
    output.end();
    expect(StatusCode === 4 && (await text).includes('ran'), StatusCode);
  },
  'create, start, wait and inspect': () =>
    created(sh('exit 3'), async (container) => {
      await container.start();
      const { StatusCode } = await container.wait();
      const { State } = await container.inspect();
      expect(StatusCode === 3 && State.ExitCode === 3 && State.Status === 'exited', State);
    }),
  'attach with input, upgraded': () =>
    created(
      ['cat'],
      async (container) => {
        const stream = await container.attach({ stream: true, stdin: true, stdout: true, hijack: true });
        await container.start();
        stream.end('typed');
        const text = await textOf(stream);
        expect(text.endsWith('typed'), text);
      },
      { OpenStdin: true, StdinOnce: true, AttachStdin: true, AttachStdout: true },
    ),
  'attach without an upgrade': () =>
    created(sh('echo plain'), async (container) => {
      const stream = await container.attach({ stream: true, stdout: true });
      await container.start();
      const text = await textOf(stream);
      expect(text.endsWith('plain\n'), text);
    }),
  'exec, upgraded': () => started((container) => exec(container, true)),
  'exec without an upgrade': () => started((container) => exec(container, false)),
  'logs as a buffer and as a stream': () =>
    created(sh('echo logged'), async (container) => {
      await container.start();
      await container.wait();
      const whole = String(await container.logs({ stdout: true }));
      const followed = await textOf(await container.logs({ stdout: true, follow: true }));
      expect(whole.includes('logged') && followed.includes('logged'), { whole, followed });
    }),
  'list with filters': () =>
    started(async ({ id }) => {
      const found = await docker.listContainers({ filters: { id: [id], status: ['running'] } });
      expect(found.length === 1 && found[0].Image === IMAGE, found);
    }),
  'a pull with progress': async () => {
    const stream = await docker.pull(IMAGE);
    const lines = await new Promise((resolve, reject) =>
      docker.modem.followProgress(stream, (error, all) => (error ? reject(error) : resolve(all))),
    );
    expect(
      lines.some(({ id }) => id !== undefined),
      lines,
    );
  },
  events: () =>
    started(async (container) => {
      const { id } = container;
      const events = await docker.getEvents({ filters: { container: [id], event: ['die'] } });
      await container.kill();
      const [line] = await new Promise((resolve) =>
        events.once('data', (chunk) => resolve(chunk.toString().split('\n'))),
      );
      events.destroy();
      expect(JSON.parse(line).Actor.Attributes.exitCode === '137', line);
    }),
  'stop, restart and kill with a signal': () =>
    created(sh('trap "exit 5" USR1; while true; do sleep 0.1; done'), async (container) => {
      await container.start();
      await container.restart({ t: 0 });
      await container.stop({ t: 0 });
      expect(!(await container.inspect()).State.Running, 'running');
    }),
  'an option that is not supported': async () => {
    const error = await docker
      .createContainer({ Image: IMAGE, Volumes: { '/data': {} } })
      .catch((cause) => cause);
    expect(error.statusCode === 501 && error.message.includes('--volume'), error.message);
  },
});
