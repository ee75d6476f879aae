import { execFileSync } from 'node:child_process';
import { readFileSync } from 'node:fs';
import { afterAll, beforeAll, describe, expect, jest, test } from '@jest/globals';
import { createLayout } from '../../../agent/runtimes/linux/layout.ts';
import { DEFAULT_NETWORK_POLICY, type ResolvedNetworkPolicy } from '../../../core/contract/network.ts';
import { canHostLinux, linuxHostFolder, until } from '../../helpers/linux-host.ts';
import { OUTSIDE, OWN, PORT, SwitchAgent, SwitchWorld } from '../../helpers/switch-world.ts';

jest.setTimeout(120_000);
const possible = await canHostLinux();
const real = possible ? describe : describe.skip;

const ROOT = new URL('../../..', import.meta.url).pathname;
const STATE = 'switch-names';
/** Name servers on this machine and on a public address, with the same answers. */
const serveNames = (address: string, port: number) => `
const { decode, encode } = require('${ROOT}node_modules/dns-packet');
const a = (name, data, ttl) => ({ type: 'A', name, data, ttl });
const ZONE = {
  'a.example': [a('a.example', '${OUTSIDE.public}', 2)],
  'b.example': [a('b.example', '${OUTSIDE.public}', 300)],
  'rebind.example': [a('rebind.example', '${OUTSIDE.lan}', 60), a('rebind.example', '${OUTSIDE.metadata}', 60)],
  'www.c.example': [{ type: 'CNAME', name: 'www.c.example', data: 'elsewhere.example', ttl: 60 }, a('elsewhere.example', '${OUTSIDE.public}', 60)],
};
const socket = require('node:dgram').createSocket('udp4');
socket.on('message', (bytes, from) => {
  const { id, questions } = decode(bytes);
  const answers = ZONE[questions[0].name.toLowerCase()];
  socket.send(encode({ type: 'response', id, flags: 0x180 | (answers ? 0 : 3), questions, answers: answers ?? [] }), from.port, from.address);
});
socket.bind(${port}, '${address}', () => console.log('ready'));`;

/** Queries a name server over UDP or TCP; prints the response code and the addresses. */
const LOOK_UP = `
const { decode, encode } = require('${ROOT}node_modules/dns-packet');
const [name, server, protocol] = process.argv.slice(1);
const query = encode({ type: 'query', id: 9, flags: 256, questions: [{ type: 'A', name }] });
const say = (bytes) => { const { rcode, answers } = decode(bytes); console.log(rcode, answers.filter((one) => one.type === 'A').map((one) => one.data).join(' ')); process.exit(); };
setTimeout(() => { console.log('silence'); process.exit(); }, 2000);
if (protocol === 'tcp') {
  const socket = require('node:net').connect(53, server, () => { const length = Buffer.alloc(2); length.writeUInt16BE(query.length); socket.write(Buffer.concat([length, query])); });
  socket.on('data', (bytes) => say(bytes.subarray(2)));
} else {
  const socket = require('node:dgram').createSocket('udp4');
  socket.on('message', say);
  socket.send(query, 53, server);
}`;

const policy = (egress: Partial<ResolvedNetworkPolicy['egress']> = {}): ResolvedNetworkPolicy => ({
  egress: { ...DEFAULT_NETWORK_POLICY.egress, ...egress },
  peers: 'none',
});

real('names of a container', () => {
  let world: SwitchWorld;
  let agent: SwitchAgent;
  beforeAll(async () => {
    world = await SwitchWorld.open('names');
    await world.serveOnMachine(process.execPath, '-e', serveNames('127.0.0.1', 5353));
    await world.serveOutside(process.execPath, '-e', serveNames('0.0.0.0', 53));
    agent = await SwitchAgent.open(world, STATE);
    await agent.connect('one');
  });
  afterAll(async () => {
    await agent.remove();
    await world.close();
  });

  const lookUp = async (name: string, { server = OWN.gateway as string, protocol = 'udp' } = {}) =>
    (await agent.inside('one', process.execPath, '-e', LOOK_UP, name, server, protocol)).trim();
  const untilServed = () => until(async () => (await lookUp('b.example')) !== 'silence');
  const isOpen = async () =>
    (await agent.reachable('one', { public: [OUTSIDE.public, PORT] })).includes('public');

  test('by default every name is resolved over UDP and TCP, by the switch’s resolver only', async () => {
    await agent.setPolicy('one', policy());
    await untilServed();
    for (const protocol of ['udp', 'tcp'])
      expect(await lookUp('b.example', { protocol })).toBe(`NOERROR ${OUTSIDE.public}`);
    expect(await lookUp('none.example')).toBe('NXDOMAIN');
    expect(await lookUp('b.example', { server: OUTSIDE.public })).toBe('silence');
    await agent.setPolicy('one', policy({ allow: [{ cidr: `${OUTSIDE.public}/32`, ports: [53] }] }));
    expect(await lookUp('b.example', { server: OUTSIDE.public })).toBe(`NOERROR ${OUTSIDE.public}`);
  });

  test('with the default deny, an allowed name opens its addresses and ports until its time to live has passed', async () => {
    await agent.setPolicy(
      'one',
      policy({ default: 'deny', allow: [{ domain: 'a.example', ports: [PORT] }] }),
    );
    await untilServed();
    expect(await lookUp('b.example')).toBe('REFUSED');
    expect(await isOpen()).toBe(false);
    expect(await lookUp('a.example')).toBe(`NOERROR ${OUTSIDE.public}`);
    expect(await isOpen()).toBe(true);
    await until(async () => !(await isOpen()));
    await agent.setPolicy('one', policy({ default: 'deny', allow: [{ domain: 'a.example', ports: [443] }] }));
    await lookUp('a.example');
    expect(await isOpen()).toBe(false);
  });

  test('wildcards and aliases open the addresses of the names', async () => {
    await agent.setPolicy('one', policy({ default: 'deny', allow: [{ domain: '*.c.example' }] }));
    await untilServed();
    expect(await lookUp('c.example')).toBe('REFUSED');
    expect(await lookUp('www.c.example')).toBe(`NOERROR ${OUTSIDE.public}`);
    expect(await isOpen()).toBe(true);
    // A rule that is also in the new policy keeps its addresses. Without the rule they are closed.
    await agent.setPolicy(
      'one',
      policy({ default: 'deny', allow: [{ domain: '*.c.example' }, { domain: 'x.example' }] }),
    );
    expect(await isOpen()).toBe(true);
    await agent.setPolicy('one', policy({ default: 'deny', allow: [{ domain: 'x.example' }] }));
    expect(await isOpen()).toBe(false);
  });

  test('a name that resolves to an address in a closed range stays closed', async () => {
    await agent.setPolicy('one', policy({ default: 'deny', allow: [{ domain: 'rebind.example' }] }));
    await untilServed();
    expect(await lookUp('rebind.example')).toBe('NOERROR');
    const closed = { lan: [OUTSIDE.lan, PORT], metadata: [OUTSIDE.metadata, PORT] } as const;
    expect(await agent.reachable('one', closed)).toEqual([]);
  });

  test('a denied name is refused with the default allow', async () => {
    await agent.setPolicy('one', policy({ deny: [{ domain: 'b.example' }] }));
    expect(await lookUp('B.example')).toBe('REFUSED');
    expect(await lookUp('a.example')).toBe(`NOERROR ${OUTSIDE.public}`);
  });

  test('the resolver is restarted when it is killed, and continues without the agent', async () => {
    await agent.setPolicy('one', policy());
    await untilServed();
    const record = `${createLayout(linuxHostFolder(STATE)).run}/names/process`;
    const { pid } = JSON.parse(readFileSync(record, 'utf8')) as { pid: number };
    const program = execFileSync('ps', ['-o', 'pid=', '--ppid', String(pid)], { encoding: 'utf8' });
    process.kill(Number(program), 'SIGKILL');
    await untilServed();
    await agent.kill();
    expect(await lookUp('b.example')).toBe(`NOERROR ${OUTSIDE.public}`);
    await agent.start();
    await untilServed();
  });
});
if (!possible) test.todo('cannot run on this machine');
