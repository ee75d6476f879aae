import { execFileSync, spawnSync } from 'node:child_process';
import {
  chmodSync,
  lchownSync,
  mkdirSync,
  openSync,
  readFileSync,
  renameSync,
  statSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs';
import { join } from 'node:path';
import { describe, expect, test } from '@jest/globals';
import { readOwnFile } from '../../../cli/settings/trust-file.ts';
import { run, temporaryFolder } from '../../unit/cli/harness.ts';
import { fakeApi, problem } from '../../unit/client/fake-api.ts';

const version = { status: 200, body: { version: '0.1.0', apiVersion: 'v1' } };
const empty = { status: 200, body: { items: [], nextCursor: null } };
const api = () => fakeApi(({ url }) => (url.endsWith('/v1/version') ? version : empty));

const withLocal = (apiUrl: string, pid = 1): string => {
  const folder = temporaryFolder();
  mkdirSync(join(folder, '.bulkhead'));
  mkdirSync(join(folder, 'deep/er'), { recursive: true });
  writeFileSync(join(folder, '.bulkhead/local.json'), JSON.stringify({ apiUrl, token: 'local', pid }));
  return join(folder, 'deep/er');
};

const login = async (home: string, apiUrl: string, stdin: string, fetch = api().fetch) =>
  run(['login', '--api-url', apiUrl], { home, env: {}, stdin, fetch });

describe('the control plane', () => {
  const asked = async (words: readonly string[], options: Parameters<typeof run>[1]) => {
    const { fetch, calls } = api();
    const result = await run(['host', 'list', ...words], { ...options, fetch });
    return { ...result, url: calls[0]?.url, authorization: calls[0]?.headers.authorization };
  };

  test('comes from the option, the environment, this folder or one above, or login, in this order', async () => {
    const home = temporaryFolder();
    await login(home, 'https://login.example.com', 'stored\n');
    const cwd = withLocal('http://127.0.0.1:1');
    const env = { BULKHEAD_API_URL: 'https://env.example.com', BULKHEAD_TOKEN: 'env' };
    expect((await asked(['--api-url', 'https://option.example.com'], { home, cwd, env })).url).toContain(
      'option.example',
    );
    expect((await asked([], { home, cwd, env })).url).toContain('env.example');
    expect(await asked([], { home, cwd, env: {} })).toMatchObject({
      url: expect.stringContaining('127.0.0.1:1/'),
      authorization: 'Bearer local',
    });
    expect(await asked([], { home, env: {} })).toMatchObject({
      url: expect.stringContaining('login.example'),
      authorization: 'Bearer stored',
    });
  });

  test('gets only the token from the same source as its URL', async () => {
    const home = temporaryFolder();
    await login(home, 'https://login.example.com', 'stored');
    const { authorization } = await asked(['--api-url', 'https://evil.example.com'], {
      home,
      cwd: withLocal('http://127.0.0.1:1'),
      env: {},
    });
    expect(authorization).toBeUndefined();
  });

  test('on another machine is not used from a file in a folder, such as a cloned repository', async () => {
    const cwd = withLocal('https://evil.example.com');
    const { exitCode, stderr, url } = await asked([], { cwd, env: {} });
    expect([exitCode, url]).toEqual([4, undefined]);
    expect(stderr).toContain('not on this machine');
    const home = temporaryFolder();
    await login(home, 'https://login.example.com', 'stored');
    expect((await asked([], { cwd, home, env: {} })).url).toContain('login.example');
  });

  test('that has ended without removing its file gets no token, because another user may have its port', async () => {
    const { pid } = spawnSync('true');
    const { exitCode, stderr, url } = await asked([], { cwd: withLocal('http://127.0.0.1:1', pid), env: {} });
    expect([exitCode, url]).toEqual([4, undefined]);
    expect(stderr).toContain(`process ${pid} has ended`);
    const running = withLocal('http://127.0.0.1:1', process.pid);
    expect((await asked([], { cwd: running, env: {} })).authorization).toBe('Bearer local');
  });

  test('is missing: the error explains how to configure one', async () => {
    const { exitCode, stderr } = await asked([], { env: {} });
    expect([exitCode, stderr]).toEqual([4, expect.stringContaining('bulkhead login')]);
  });

  test.each(['ftp://x', 'nonsense', 'http://'])('%s is not the URL of an API', async (apiUrl) => {
    expect((await asked(['--api-url', apiUrl], { env: {} })).exitCode).toBe(4);
  });
});

describe('plain HTTP', () => {
  test.each([
    'http://api.example.com',
    'http://127.0.0.1.example.com',
    'http://10.0.0.5:8420',
    'http://[fd00::1]',
    'http://0.0.0.0:8420',
  ])('is refused beyond this machine, before a token is read or sent: %s', async (apiUrl) => {
    const { fetch, calls } = api();
    const env = { BULKHEAD_API_URL: apiUrl, BULKHEAD_TOKEN: 'secret' };
    for (const { exitCode, stderr } of [
      await run(['host', 'list'], { env, fetch }),
      await run(['host', 'list', '--api-url', apiUrl], { env: {}, fetch }),
      await run(['docker', '--api-url', apiUrl], { env: {}, fetch }),
      await login(temporaryFolder(), apiUrl, 'token', fetch),
    ]) {
      expect(exitCode).toBe(4);
      expect(stderr).toContain('https://');
    }
    expect(calls).toEqual([]);
  });

  test.each(['http://127.0.0.1:1', 'http://localhost:1', 'http://[::1]:1', 'http://127.9.9.9:1'])(
    'is accepted on this machine: %s',
    async (apiUrl) => {
      const { fetch, calls } = api();
      expect((await run(['host', 'list', '--api-url', apiUrl], { env: {}, fetch })).exitCode).toBe(0);
      expect(calls).toHaveLength(1);
    },
  );
});

describe('a file with settings is ignored and the reason is shown', () => {
  const ignored = async (options: Parameters<typeof run>[1]) => {
    const { fetch, calls } = api();
    const result = await run(['host', 'list'], { env: {}, ...options, fetch });
    expect(result.exitCode).toBe(4);
    expect(calls).toEqual([]);
    return result.stderr;
  };
  const folderOf = (cwd: string) => join(cwd, '../..');

  test('if another user owns it', async () => {
    const cwd = withLocal('http://127.0.0.1:1');
    const stderr = await ignored({ cwd, userId: (process.getuid?.() ?? 0) + 1 });
    expect(stderr).toContain('local.json belongs to another user');
    expect(stderr).toContain('chown');
  });

  test.each<[string, string, number]>([
    ['it', '.bulkhead/local.json', 0o606],
    ['its folder', '.bulkhead', 0o707],
    ['a folder above, in which it could be replaced', '.', 0o777],
  ])('if others can write %s', async (_, path, mode) => {
    const cwd = withLocal('http://127.0.0.1:1');
    chmodSync(join(folderOf(cwd), path), mode);
    expect(await ignored({ cwd })).toContain('other users can write');
  });

  test('if login stored it and other users can write it', async () => {
    const home = temporaryFolder();
    await login(home, 'https://login.example.com', 'stored');
    chmodSync(join(home, '.config/bulkhead/config.json'), 0o666);
    expect(await ignored({ home })).toContain('config.json');
  });

  test('if it is a link to a file that other users can write', async () => {
    const cwd = withLocal('http://127.0.0.1:1');
    const target = join(temporaryFolder(), 'target.json');
    renameSync(join(folderOf(cwd), '.bulkhead/local.json'), target);
    chmodSync(target, 0o666);
    symlinkSync(target, join(folderOf(cwd), '.bulkhead/local.json'));
    expect(await ignored({ cwd })).toContain('target.json');
  });

  const me = process.getuid?.() ?? 0;
  /** Only root can change the owner of a link. */
  const testAsRoot = me === 0 ? test : test.skip;

  testAsRoot.each(['.bulkhead', '.bulkhead/local.json'])(
    'if %s is a link that another user created in a sticky folder, even to this user’s own file',
    async (name) => {
      const cwd = withLocal('http://127.0.0.1:1');
      const path = join(folderOf(cwd), name);
      const target = join(temporaryFolder(), 'own');
      renameSync(path, target);
      symlinkSync(target, path);
      chmodSync(folderOf(cwd), 0o1777);
      lchownSync(path, me + 1, me + 1);
      expect(await ignored({ cwd })).toContain(`the symbolic link ${path} belongs to another user`);
      lchownSync(path, me, me);
      expect(readOwnFile(join(folderOf(cwd), '.bulkhead/local.json'), me)).toHaveProperty('text');
    },
  );

  testAsRoot('if a link of another user is behind one of this user', async () => {
    const cwd = withLocal('http://127.0.0.1:1');
    const [own, foreign] = [join(folderOf(cwd), '.bulkhead'), join(temporaryFolder(), 'foreign')];
    renameSync(own, join(folderOf(cwd), 'target'));
    symlinkSync(join(folderOf(cwd), 'target'), foreign);
    lchownSync(foreign, me + 1, me + 1);
    symlinkSync(foreign, own);
    expect(await ignored({ cwd })).toContain(`the symbolic link ${foreign} belongs to another user`);
  });

  const replaceByLink = (path: string, other: string): void => {
    renameSync(path, `${path}.old`);
    symlinkSync(other, path);
  };
  test.each<[string, (path: string, other: string) => void]>([
    ['another file', (path, other) => renameSync(other, path)],
    ['a link', replaceByLink],
  ])('if %s replaces it between the check and the opening', (_, swap) => {
    const path = join(folderOf(withLocal('http://127.0.0.1:1')), '.bulkhead/local.json');
    const other = join(temporaryFolder(), 'other.json');
    writeFileSync(other, '{"apiUrl":"http://127.0.0.1:2","token":"evil"}');
    const found = readOwnFile(path, me, (opened, flags) => {
      swap(path, other);
      return openSync(opened, flags);
    });
    expect(found).toEqual({ why: expect.stringMatching(/changed while it was checked|ELOOP/) });
  });

  test('if it is not a regular file, without blocking on it', async () => {
    const cwd = withLocal('http://127.0.0.1:1');
    const path = join(folderOf(cwd), '.bulkhead/local.json');
    renameSync(path, `${path}.old`);
    execFileSync('mkfifo', [path]);
    expect(await ignored({ cwd })).toContain('not a regular file');
  });

  test('if its links form a loop', async () => {
    const cwd = withLocal('http://127.0.0.1:1');
    const path = join(folderOf(cwd), '.bulkhead/local.json');
    renameSync(path, `${path}.old`);
    symlinkSync(path, path);
    expect(await ignored({ cwd })).toContain('ELOOP');
  });
});

describe('login', () => {
  test('stores the URL and token, readable only by this user, after the API has accepted the token', async () => {
    const home = temporaryFolder();
    const { exitCode, stderr } = await login(home, 'https://a.example.com/', 'token-1\n');
    const path = join(home, '.config/bulkhead/config.json');
    expect([exitCode, statSync(path).mode & 0o777]).toEqual([0, 0o600]);
    expect(JSON.parse(readFileSync(path, 'utf8'))).toEqual({
      apiUrl: 'https://a.example.com',
      token: 'token-1',
    });
    expect(stderr).not.toContain('token-1');
    expect((await run(['logout'], { home, env: {} })).exitCode).toBe(0);
    expect((await run(['logout'], { home, env: {} })).stderr).toContain('No settings were stored.');
  });

  test('does not store a token that the API refuses', async () => {
    const home = temporaryFolder();
    const { fetch } = fakeApi(({ url }) =>
      url.endsWith('/v1/version') ? version : problem(401, 'unauthorized'),
    );
    expect((await login(home, 'https://a.example.com', 'bad', fetch)).exitCode).toBe(4);
    expect((await run(['config'], { home, env: {} })).exitCode).toBe(4);
  });

  test.each(['', 'two words', 'a\nb'])('refuses %j as a token', async (stdin) => {
    expect((await login(temporaryFolder(), 'https://a.example.com', stdin)).exitCode).toBe(4);
  });
});

test('config does not show the token', async () => {
  const payload = Buffer.from(JSON.stringify({ exp: 1_800_000_000 })).toString('base64url');
  const env = { BULKHEAD_API_URL: 'https://a.example.com', BULKHEAD_TOKEN: `head.${payload}.signature` };
  const { stdout } = await run(['config', '-o', 'json'], { env });
  expect(JSON.parse(stdout)).toMatchObject({
    apiUrl: 'https://a.example.com',
    source: 'BULKHEAD_API_URL, BULKHEAD_TOKEN',
    tokenExpiresAt: '2027-01-15T08:00:00.000Z',
  });
  expect(stdout).not.toContain('signature');
});

describe('completion', () => {
  const complete = async (...words: string[]): Promise<string[]> => {
    const { stdout } = await run(['completion', 'bash']);
    const line = `COMP_WORDS=(bulkhead ${words.map((word) => `'${word}'`).join(' ')}); COMP_CWORD=${words.length}; _bulkhead; printf '%s\\n' "\${COMPREPLY[@]}"`;
    return execFileSync('bash', ['-c', `${stdout}\n${line}`], { encoding: 'utf8' })
      .trim()
      .split('\n');
  };

  test('bash completes groups, verbs and options, even after operands', async () => {
    expect(await complete('cont')).toEqual(['container']);
    expect(await complete('container', 're')).toEqual(['restart', 'remove']);
    expect(await complete('container', 'create', 'mini', '--run')).toEqual(['--runtime-type']);
    expect(await complete('container', 'create', '--out')).toEqual(['--output']);
  });

  test('zsh has a script with every group', async () => {
    const { stdout } = await run(['completion', 'zsh']);
    for (const group of ['container', 'compute-process', 'host', 'image', 'operation', 'event', 'docker'])
      expect(stdout).toContain(`'${group}')`);
  });
});
