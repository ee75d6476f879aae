import { GenericContainer, Wait } from 'testcontainers';
import { expect, runHabits } from './habits.mjs';

/** What users of testcontainers for Node do, without its reaper, which needs the socket of the engine in a container. */
const IMAGE = 'alpine:3.10';
const sh = (script) => ['sh', '-c', script];
const SLEEP = ['sleep', '600'];
const WEB = 'mkdir -p /w; echo hello > /w/index.html; httpd -f -p 8080 -h /w';
const container = () => new GenericContainer(IMAGE);

const using = async (builder, act = async () => {}) => {
  const started = await builder.start();
  try {
    return await act(started);
  } finally {
    await started.stop();
  }
};
const output = async (started, command, options) => (await started.exec(command, options)).output.trim();
const fetchText = async (started, port) =>
  (await fetch(`http://${started.getHost()}:${started.getMappedPort(port)}/`)).text();

await runHabits({
  'start and stop': () => using(container().withCommand(SLEEP)),
  'wait for a log line': () =>
    using(
      container()
        .withCommand(sh('sleep 1; echo ready; sleep 600'))
        .withWaitStrategy(Wait.forLogMessage('ready')),
    ),
  'wait for the second match in the log': () =>
    using(
      container()
        .withCommand(sh('echo ready 1; sleep 1; echo ready 2; sleep 600'))
        .withWaitStrategy(Wait.forLogMessage(/ready \d/, 2)),
    ),
  'exec with output and exit code': () =>
    using(container().withCommand(SLEEP), async (started) => {
      const { exitCode, output: text } = await started.exec(sh('echo out; exit 3'));
      expect(exitCode === 3 && text.trim() === 'out', { exitCode, text });
    }),
  'exec with environment, folder and user': () =>
    using(container().withCommand(SLEEP), async (started) => {
      const text = await output(started, sh('echo $A $PWD $(id -u)'), {
        env: { A: 'b' },
        workingDir: '/tmp',
        user: '1000',
      });
      expect(text === 'b /tmp 1000', text);
    }),
  environment: () =>
    using(container().withEnvironment({ KEY: 'value' }).withCommand(SLEEP), async (started) => {
      const text = await output(started, sh('echo $KEY'));
      expect(text === 'value', text);
    }),
  'a mapped port': () =>
    using(container().withCommand(sh(WEB)).withExposedPorts(8080), async (started) => {
      const text = await fetchText(started, 8080);
      expect(text.includes('hello'), text);
    }),
  'wait for an HTTP response': () =>
    using(
      container()
        .withCommand(sh(`sleep 1; ${WEB}`))
        .withExposedPorts(8080)
        .withWaitStrategy(Wait.forHttp('/', 8080)),
    ),
  'a fixed port': () =>
    using(
      container().withCommand(sh(WEB)).withExposedPorts({ container: 8080, host: 39_871 }),
      async (started) => expect(started.getMappedPort(8080) === 39_871, started.getMappedPort(8080)),
    ),
  restart: () =>
    using(
      container().withCommand(sh('echo up; sleep 600')).withWaitStrategy(Wait.forLogMessage('up')),
      (started) => started.restart(),
    ),
  'a one-shot container': () =>
    using(container().withCommand(['echo', 'x']).withWaitStrategy(Wait.forOneShotStartup())),
  'a one-shot container that fails': async () => {
    const failed = await container()
      .withCommand(sh('exit 1'))
      .withWaitStrategy(Wait.forOneShotStartup())
      .start()
      .then(
        () => false,
        () => true,
      );
    expect(failed, 'started');
  },
  logs: () =>
    using(
      container().withCommand(sh('echo line; sleep 600')).withWaitStrategy(Wait.forLogMessage('line')),
      async (started) => {
        const stream = await started.logs();
        await new Promise((resolve) =>
          stream.on('data', (line) => String(line).includes('line') && resolve()),
        );
      },
    ),
  'a consumer of the log': async () => {
    const seen = Promise.withResolvers();
    const consume = (stream) =>
      stream.on('data', (line) => String(line).includes('consumed') && seen.resolve());
    await using(
      container().withCommand(sh('sleep 1; echo consumed; sleep 600')).withLogConsumer(consume),
      () => seen.promise,
    );
  },
  'name and labels': () =>
    using(container().withName('habit').withLabels({ a: 'b' }).withCommand(SLEEP), async (started) =>
      expect(started.getName() === '/habit' && started.getLabels().a === 'b', started.getName()),
    ),
  'folder and user': () =>
    using(
      container()
        .withWorkingDir('/tmp')
        .withUser('1000')
        .withCommand(sh('echo $PWD $(id -u); sleep 600'))
        .withWaitStrategy(Wait.forLogMessage('/tmp 1000')),
    ),
  entrypoint: () =>
    using(
      container()
        .withEntrypoint(sh('echo entered; sleep 600'))
        .withWaitStrategy(Wait.forLogMessage('entered')),
    ),
  'limits of memory and CPU': () =>
    using(container().withResourcesQuota({ memory: 0.25, cpu: 1 }).withCommand(SLEEP)),
  'wait for a successful command': () =>
    using(
      container()
        .withCommand(sh('sleep 1; touch /tmp/done; sleep 600'))
        .withWaitStrategy(Wait.forSuccessfulCommand('stat /tmp/done')),
    ),
  'a program that is missing': async () => {
    const failed = await container()
      .withCommand(['nosuchprogram'])
      .start()
      .then(
        () => false,
        () => true,
      );
    expect(failed, 'started');
  },
});
