import { describe, expect, test } from '@jest/globals';
import { parseLocalOptions } from '../../../bin/local/options.ts';
import { parseDuration, parseScopes } from '../../../bin/local/token.ts';

describe('npm run token', () => {
  test('accepts scopes separated by commas or spaces', () => {
    expect(parseScopes('containers:read, hosts:admin')).toEqual(['containers:read', 'hosts:admin']);
  });

  test('lists the valid scopes if one is unknown', () => {
    expect(() => parseScopes('containers:read,root')).toThrow(
      'Unknown scope "root". Valid scopes: containers:read, containers:write, sessions:open, hosts:admin, rules:write',
    );
  });

  test.each([
    ['90s', 90],
    ['15m', 900],
    ['1h', 3600],
    ['7d', 604_800],
  ])('reads %s as %d seconds', (text, seconds) => {
    expect(parseDuration(text)).toBe(seconds);
  });

  test.each([['1'], ['0s'], ['-1h'], ['1w'], ['']])('refuses "%s" as a duration', (text) => {
    expect(() => parseDuration(text)).toThrow('is not a duration');
  });
});

describe('npm start', () => {
  test('has defaults for everything', () => {
    expect(parseLocalOptions([])).toMatchObject({ port: 8420, ephemeral: false, reset: false, json: false });
  });

  test('accepts the context of the deployment, as cdk deploy does', () => {
    const argv = ['--context', 'rulesPerTenant=3', '--context', 'fairShare={"waitShare": 1}'];
    expect(parseLocalOptions(argv)?.context).toEqual({
      rulesPerTenant: '3',
      fairShare: '{"waitShare": 1}',
    });
  });

  test.each([
    [['--context', 'rules'], 'Must have the form key=value'],
    [['--port', 'x'], 'Must be a whole number from 0 to 65535'],
    [['--port', '70000'], 'Must be a whole number from 0 to 65535'],
    [['--prot', '1'], "Unknown option '--prot'"],
    [['--reset', '--ephemeral'], '--reset cannot be combined with --ephemeral'],
  ])('refuses %j', (argv, sentence) => {
    expect(() => parseLocalOptions(argv)).toThrow(sentence);
  });
});
