import { createHash } from 'node:crypto';
import { once } from 'node:events';
import { createReadStream, readdirSync, readFileSync, readlinkSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, jest, test } from '@jest/globals';
import { commandLineOf, listPids, parentOf } from '../../../agent/runtimes/linux/proc.ts';
import { container } from '../../helpers/assigned-container.ts';
import { canHostLinux, inspectContainer, until } from '../../helpers/linux-host.ts';
import { findTraces } from '../../helpers/linux-leaks.ts';
import { SharedLinuxHost } from '../../helpers/shared-linux-host.ts';

jest.setTimeout(240_000);
const possible = await canHostLinux();
const real = possible ? describe : describe.skip;
const KIB_PER_MIB = 1024;
/** More than a VM has that has just returned its memory, and less than one that has just started. */
const LITTLE_CODE_MB = 8;

/** Resident memory of the mappings of a process, in MiB, by a property of their header line in `smaps`. */
const residentMB = (pid: number, isWanted: (header: string) => boolean): number => {
  let wanted = false;
  let kib = 0;
  for (const line of readFileSync(`/proc/${pid}/smaps`, 'utf8').split('\n')) {
    if (/^[0-9a-f]+-/.test(line)) wanted = isWanted(line);
    else if (wanted) kib += Number(/^Rss:\s+(\d+)/.exec(line)?.[1] ?? 0);
  }
  return kib / KIB_PER_MIB;
};
/** Memory of the code that QEMU has translated. */
const codeMB = (pid: number) => residentMB(pid, (header) => header.includes(' rwxp '));
const TEMPLATE = '/memfd:bulkhead-template';
const isGuestMemory = (header: string) => header.includes(TEMPLATE);

const hashOf = async (path: string): Promise<string> => {
  const hash = createHash('sha256');
  const stream = createReadStream(path);
  stream.on('data', (piece) => hash.update(piece));
  await once(stream, 'end');
  return hash.digest('hex');
};

/** Hashes of the sealed memory of this host’s templates. */
const hashTemplates = (): Promise<string[]> => {
  const holders = listPids().filter(
    (pid) => commandLineOf(pid)[1] === 'hold-template' && parentOf(pid) === process.pid,
  );
  const files = holders.flatMap((pid) =>
    readdirSync(`/proc/${pid}/fd`)
      .map((fd) => join(`/proc/${pid}/fd`, fd))
      .filter((path) => readlinkSync(path).startsWith(TEMPLATE)),
  );
  return Promise.all(files.map(hashOf));
};

const make = (command: string[], cpus = 1) => {
  const one = container({ runtimeType: 'HyperV', command, switchName: 'none' });
  return { ...one, spec: { ...one.spec, resources: { memoryMB: 128, cpus, diskMB: 64 } } };
};
const sleeping = (cpus?: number) => make(['sleep', '600'], cpus);
const workerOf = async ({ runtime }: SharedLinuxHost, { id }: { id: string }) =>
  (await inspectContainer(runtime, id))?.workerProcess?.pid ?? 0;
const hasReturned = (pid: number) => until(() => codeMB(pid) < LITTLE_CODE_MB);

real('a utility VM that is asked for memory', () => {
  // The agent does not ask, so that the test does.
  const host = new SharedLinuxHost('idle-memory', { poolSize: 1, idleVmMs: 3_600_000 });
  const ask = (pid: number) => process.kill(pid, 'SIGURG');
  /** Fills a file in the VM’s memory and returns its hash. */
  const fill = (one: ReturnType<typeof make>, text: string) =>
    host.sh(one, `yes ${text} | head -c 8000000 > /dev/shm/file; sha256sum < /dev/shm/file`);
  const hashFile = (one: ReturnType<typeof make>) => host.sh(one, 'sha256sum < /dev/shm/file');

  test('returns it and keeps all of its own; its siblings and the template are unchanged', async () => {
    await until(() => host.runtime.readyVms === 1);
    const [one, sibling] = [sleeping(), sleeping()];
    for (const each of [one, sibling]) await host.up(each);
    const [mine, theirs] = [await fill(one, 'mine'), await fill(sibling, 'theirs')];
    const before = await hashTemplates();
    expect(before.length).toBeGreaterThan(0);
    const [pid, other] = [await workerOf(host, one), await workerOf(host, sibling)];
    const [guest, code] = [residentMB(other, isGuestMemory), codeMB(other)];
    expect(codeMB(pid)).toBeGreaterThan(LITTLE_CODE_MB);
    ask(pid);
    await hasReturned(pid);
    expect(codeMB(other)).toBeGreaterThanOrEqual(code);
    expect(residentMB(other, isGuestMemory)).toBeGreaterThanOrEqual(guest);
    expect(await hashTemplates()).toEqual(before);
    expect([await hashFile(one), await hashFile(sibling)]).toEqual([mine, theirs]);
  });

  test('computes correctly, with several processors, while it is asked again and again', async () => {
    const one = sleeping(2);
    await host.up(one);
    const pid = await workerOf(host, one);
    const script = 'for n in 1 2 3 4 5; do sh -c "$WORK" & sh -c "$WORK"; wait; done | sort -u';
    const work = 'seq 20000 | sort -r | sort -n | sha256sum';
    let done = false;
    const hashes = host.sh(one, `export WORK='${work}'; ${script}`).finally(() => {
      done = true;
    });
    while (!done) {
      ask(pid);
      await host.sh(one, 'true');
    }
    const expected = createHash('sha256');
    for (let number = 1; number <= 20_000; number++) expected.update(`${number}\n`);
    expect(await hashes).toBe(`${expected.digest('hex')}  -`);
  });
});

real('the agent', () => {
  const host = new SharedLinuxHost('idle-memory-asked', { poolSize: 1, idleVmMs: 2_000 });

  test('asks VMs of containers for memory, and no VM that waits in the pool', async () => {
    await until(() => host.runtime.readyVms === 1);
    const one = sleeping();
    await host.up(one);
    await until(() => host.runtime.readyVms === 1);
    const claimed = await workerOf(host, one);
    const [waiting = 0] = (await findTraces(host.folder)).processes
      .filter((line) => line.includes('qemu-system'))
      .map((line) => Number(line.split(' ')[0]))
      .filter((pid) => pid !== claimed);
    await hasReturned(claimed);
    expect(codeMB(waiting)).toBeGreaterThan(LITTLE_CODE_MB);
  });
});
if (!possible) test.todo('cannot run on this machine');
