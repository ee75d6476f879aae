import { describe, expect, test } from '@jest/globals';
import { parseOptions } from '../../../agent/options.ts';

const usual = ['--api-url', 'https://api.example.org/prod', '--state-dir', '/tmp/s', '--simulate', 'linux'];

describe('the command line', () => {
  test('has defaults for all optional values', () => {
    expect(parseOptions(usual)).toMatchObject({
      runtime: 'simulated',
      capacityMemoryMb: 16_384,
      capacityCpus: 64,
      simulateDelayMs: [5, 20],
      simulateFault: [],
      exitWithParent: false,
      logLevel: 'info',
    });
  });

  test('parses faults, delays and capacity', () => {
    const more = [
      '--simulate-fault',
      'mountLayers=fail:3',
      '--simulate-fault',
      'startProcess=hang',
      '--simulate-delay-ms',
      '7',
      '--capacity-cpus',
      '0.5',
    ];
    expect(parseOptions([...usual, ...more])).toMatchObject({
      simulateFault: [
        { step: 'mountLayers', action: 'fail', times: 3 },
        { step: 'startProcess', action: 'hang', times: 1 },
      ],
      simulateDelayMs: [7, 7],
      capacityCpus: 0.5,
    });
  });

  test('parses the private ranges that policies can open, each once and in canonical form', () => {
    const more = ['10.20.30.40/16', 'FD12::/32', '10.20.0.0/16'].flatMap((range) => [
      '--allow-private',
      range,
    ]);
    expect(parseOptions([...usual, ...more])).toMatchObject({ allowPrivate: ['10.20.0.0/16', 'fd12::/32'] });
    expect(parseOptions(usual)).toMatchObject({ allowPrivate: [] });
  });

  test.each([
    [['--state-dir', '/tmp/s'], /--api-url/],
    [['--api-url', 'https://x'], /--state-dir/],
    [usual.slice(0, 4), /--simulate nano-server\|server-core\|linux/],
    [[...usual, '--api-url', 'http://api.example.org'], /https:\/\//],
    [[...usual, '--api-url', 'ftp://127.0.0.1'], /https:\/\//],
    [[...usual, '--name', '../etc'], /letters, digits/],
    [[...usual, '--capacity-memory-mb', '1.5'], /whole number/],
    [[...usual, '--capacity-cpus', '0'], /above 0/],
    [[...usual, '--simulate-delay-ms', '9-3'], /milliseconds/],
    [[...usual, '--simulate-fault', 'startProcess=explode'], /step=action/],
    [[...usual, '--allow-private', '8.8.8.0/24'], /Use a range within 10\.0\.0\.0\/8/],
    [[...usual, '--allow-private', '0.0.0.0/0'], /Use a range within/],
    [[...usual, '--allow-private', 'lan'], /CIDR range/],
    [[...usual, '--log-level', 'loud'], /debug, info, warn, error/],
    [[...usual, '--no-such-option'], /no-such-option/],
  ])('%j is refused with advice', (argv, sentence) => {
    expect(() => parseOptions(argv)).toThrow(sentence);
    expect(() => parseOptions(argv)).toThrow(expect.objectContaining({ exitCode: 2 }));
  });
});
