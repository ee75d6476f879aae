import { describe, expect, test } from '@jest/globals';
import fc from 'fast-check';
import type { HostFacts } from '../../../core/contract/host.ts';
import { fits, memoryClass, reservationFor, roundCpus, subtract } from '../../../core/domain/capacity.ts';
import { imageMismatch } from '../../../core/domain/image-compatibility.ts';
import {
  type Candidate,
  explainNoFit,
  lacksCapacity,
  orderByTwoChoices,
  type PlacementNeed,
  unsuitable,
} from '../../../core/domain/placement.ts';

const facts: HostFacts = {
  os: { family: 'linux', sku: 'debian', version: '12', build: 0 },
  architecture: 'amd64',
  kernel: '6.1.0',
  hypervisor: 'tcg',
  capabilities: { runtimeTypes: ['Default', 'HyperV'], runtimeConversion: 'inPlace' },
  switches: ['NAT'],
  capacity: { memoryMB: 4096, cpus: 8, diskMB: 1_048_576 },
  utilityVmOverheadMB: 64,
};
const host = (id: string, memoryMB: number, over: Partial<Candidate> = {}): Candidate => ({
  id,
  name: `host-${id}`,
  facts,
  labels: {},
  schedulable: true,
  state: 'Ready',
  connected: true,
  free: { memoryMB, cpus: 8, diskMB: 1_048_576 },
  ...over,
});
const need: PlacementNeed = {
  image: {
    name: 'mini',
    version: '1',
    os: 'linux',
    osBuild: 0,
    architecture: 'amd64',
    source: 'built',
    digest: `sha256:${'0'.repeat(64)}`,
  },
  runtimeType: 'HyperV',
  resources: { memoryMB: 128, cpus: 1 },
  diskMB: 1040,
  switchName: 'nat',
  placement: {},
  reserve: true,
};

describe('capacity', () => {
  test('a HyperV container also reserves the overhead of its utility VM', () => {
    expect(reservationFor(need.resources, 'HyperV', facts)).toEqual({ memoryMB: 192, cpus: 1 });
    expect(reservationFor(need.resources, 'Default', facts)).toEqual({ memoryMB: 128, cpus: 1 });
  });

  test('reserving and releasing thousandths of a CPU is exact', () => {
    fc.assert(
      fc.property(fc.array(fc.integer({ min: 10, max: 4000 }), { maxLength: 50 }), (thousandths) => {
        const cpus = thousandths.map((value) => value / 1000);
        const taken = cpus.reduce(
          (free, value) => subtract({ memoryMB: 0, cpus: free }, { memoryMB: 0, cpus: value }).cpus,
          1000,
        );
        expect(roundCpus(cpus.reduce((free, value) => roundCpus(free + value), taken))).toBe(1000);
      }),
    );
  });

  test('memory classes have the order of free memory', () => {
    fc.assert(
      fc.property(fc.nat(8_000_000), fc.nat(8_000_000), (a, b) => {
        if (a <= b) expect(memoryClass(a) <= memoryClass(b)).toBe(true);
      }),
    );
    expect(['00', '01', '08']).toEqual([memoryClass(0), memoryClass(1), memoryClass(128)]);
  });
});

describe('placement', () => {
  test('switches are compared without regard to case, and "none" needs no switch', () => {
    expect(unsuitable(host('a', 4096), need)).toBeNull();
    expect(unsuitable(host('a', 4096), { ...need, switchName: 'None' })).toBeNull();
    expect(unsuitable(host('a', 4096), { ...need, switchName: 'Virtual Switch' })).toContain(
      'Virtual Switch',
    );
  });

  test('only a host that meets every requirement is suitable', () => {
    expect(unsuitable(host('a', 1), { ...need, placement: { hostId: 'b' } })).not.toBeNull();
    expect(unsuitable(host('a', 1), { ...need, placement: { hostLabels: { zone: '1' } } })).toContain('zone');
    expect(
      unsuitable(
        host('a', 1, {
          facts: { ...facts, capabilities: { runtimeTypes: ['Default'], runtimeConversion: 'none' } },
        }),
        need,
      ),
    ).toContain('HyperV');
  });

  test('a draining, silent or full host lacks capacity; an Off container needs no free memory', () => {
    expect(lacksCapacity(host('a', 191), need)).toContain('191 MiB');
    expect(lacksCapacity(host('a', 192), need)).toBeNull();
    expect(lacksCapacity(host('a', 0), { ...need, reserve: false })).toBeNull();
    expect(lacksCapacity(host('a', 4096, { state: 'Draining', schedulable: false }), need)).toContain(
      'Draining',
    );
  });

  test('two choices return every fitting host once, and no other host', () => {
    const random = fc.infiniteStream(fc.double({ min: 0, max: 1, maxExcluded: true, noNaN: true }));
    fc.assert(
      fc.property(fc.array(fc.nat(4096), { maxLength: 30 }), random, (memory, stream) => {
        const hosts = memory.map((value, at) => host(String(at), value));
        const ordered = orderByTwoChoices(hosts, need, () => stream.next().value as number);
        const fitting = hosts.filter(({ free }) => fits({ memoryMB: 192, cpus: 1, diskMB: 1040 }, free));
        expect(ordered.map(({ id }) => id).sort()).toEqual(fitting.map(({ id }) => id).sort());
      }),
    );
  });

  test('the host with more free capacity of each pair comes first', () => {
    const ordered = orderByTwoChoices([host('small', 500), host('large', 4000)], need, () => 0);
    expect(ordered.map(({ id }) => id)).toEqual(['large', 'small']);
  });

  test('the reason that no host fits names at most three hosts', () => {
    expect(explainNoFit([], need)).toContain('no enrolled host');
    expect(
      explainNoFit(
        ['a', 'b', 'c', 'd'].map((id) => host(id, 1)),
        need,
      ),
    ).toMatch(/host-a.*host-b.*host-c.*1 more/);
  });
});

describe('the Windows rule for image builds', () => {
  const image = (osBuild: number) => ({
    name: 'nanoserver',
    os: 'windows' as const,
    osBuild,
    architecture: 'amd64' as const,
  });
  const windows = (build: number) => ({
    os: { family: 'windows' as const, sku: 'NanoServer', version: '10', build },
    architecture: 'amd64',
  });
  test.each([
    [14393, 14393, 'Default', true],
    [14393, 17763, 'Default', false],
    [14393, 17763, 'HyperV', true],
    [17763, 14393, 'HyperV', false],
    [17763, 20348, 'Default', true],
    [14393, 20348, 'Default', false],
    [20348, 26100, 'Default', true],
    [17763, 26100, 'Default', false],
    [26100, 20348, 'HyperV', false],
  ] as const)('image %d on host %d under %s: %s', (imageBuild, hostBuild, runtimeType, allowed) => {
    expect(imageMismatch(image(imageBuild), windows(hostBuild), runtimeType) === null).toBe(allowed);
  });
  test('an image for another operating system or architecture never fits', () => {
    expect(imageMismatch(image(14393), { os: facts.os, architecture: 'amd64' }, 'HyperV')).toContain(
      'windows',
    );
    expect(imageMismatch({ ...image(1), architecture: 'arm64' }, windows(14393), 'HyperV')).toContain(
      'arm64',
    );
  });
});
