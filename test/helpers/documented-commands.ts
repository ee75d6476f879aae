import { spawnSync } from 'node:child_process';
import { existsSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { Script } from 'node:vm';
import * as eventBridge from '@aws-sdk/client-eventbridge';
import { App } from 'aws-cdk-lib';
import type { Command } from 'commander';
import { parseOptions } from '../../agent/options.ts';
import { parseLocalOptions } from '../../bin/local/options.ts';
import type { Io } from '../../cli/io.ts';
import { createProgram } from '../../cli/program.ts';
import { ConversionRequestSchema } from '../../core/contract/conversion-rule.ts';
import { ROUTES, type Route } from '../../core/contract/http/routes.ts';
import { readContext } from '../../lib/context.ts';
import type { Invocation } from './dry-run.ts';
import { ROOT, readDocument } from './markdown.ts';

/** A documented command line that its program would refuse. The message has the reason. */
export class DocumentationError extends Error {
  override readonly name = 'DocumentationError';
}

const refuse = (reason: string): never => {
  throw new DocumentationError(reason);
};

const scripts = JSON.parse(readDocument('package.json')).scripts as Readonly<Record<string, string>>;
const cliPackage = JSON.parse(readDocument('cli/package.json')) as { name: string; version: string };

const needFile = (path: string): void => {
  if (!existsSync(join(ROOT, path))) refuse(`there is no file ${path}`);
};

const leavesOf = (command: Command): readonly Command[] =>
  command.commands.length === 0 ? [command] : command.commands.flatMap(leavesOf);

const bulkhead = (): Command => {
  const stream = { write: () => true, isTTY: false, columns: 100 };
  return createProgram({ stdout: stream, stderr: stream, env: {}, home: '/', cwd: '/' } as Partial<Io> as Io);
};

/** Every command of `bulkhead`, such as `container list`. */
export const commandPaths = (): readonly string[] =>
  leavesOf(bulkhead()).map((leaf) =>
    leaf.parent?.parent ? `${leaf.parent.name()} ${leaf.name()}` : leaf.name(),
  );

/** Parses a command line of `bulkhead` with the CLI's own definition, without running it. @throws CommanderError */
export const checkBulkhead = (args: readonly string[]): void => {
  const program = bulkhead();
  let ran = false;
  for (const leaf of leavesOf(program))
    leaf.action(() => {
      ran = true;
    });
  try {
    program.parse([...args], { from: 'user' });
  } catch (error) {
    if ((error as { exitCode?: number }).exitCode !== 0) throw error;
    ran = true;
  }
  if (!ran) refuse('it is no command');
};

/** The words after `--`, which npm passes to the script. */
const passedOn = (args: readonly string[]): readonly string[] =>
  args.includes('--') ? args.slice(args.indexOf('--') + 1) : [];

const SCRIPT_ARGUMENTS: Readonly<Record<string, (args: readonly string[]) => void>> = {
  bulkhead: (args) => {
    if (args.length > 0) checkBulkhead(args);
  },
  start: (args) => void parseLocalOptions(args),
  token: (args) => {
    const { status, stderr } = spawnSync(process.execPath, [join(ROOT, 'bin/token.ts'), ...args, '--help'], {
      encoding: 'utf8',
    });
    if (status !== 0) refuse(stderr);
  },
};

const checkScript = (name: string, args: readonly string[]): void => {
  if (scripts[name] === undefined) refuse(`package.json has no script ${name}`);
  const check = SCRIPT_ARGUMENTS[name] ?? ((words) => words.forEach(needFile));
  check(args);
};

const checkNpm = (args: readonly string[]): void => {
  const [verb = '', ...rest] = args;
  const words = rest.slice(0, rest.includes('--') ? rest.indexOf('--') : undefined);
  if (verb === 'ci' && rest.length === 0) return;
  if (verb === 'start' || verb === 'test') {
    checkScript(verb, passedOn(rest));
    return;
  }
  if (verb === 'run') {
    const [name = '', ...more] = words.filter((word) => !['-s', '--silent'].includes(word));
    if (more.length > 0) refuse(`npm does not pass ${more.join(' ')} on without --`);
    checkScript(name, passedOn(rest));
    return;
  }
  if (verb === 'pack') {
    for (const folder of words) needFile(join(folder, 'package.json'));
    return;
  }
  if (verb === 'install' && words[0] === '--global' && words.length === 2) {
    if (words[1] !== `./${cliPackage.name}-${cliPackage.version}.tgz`)
      refuse(`npm pack does not make ${words[1]}`);
    return;
  }
  refuse('the test does not know this npm command');
};

const checkNode = ([first = '', ...rest]: readonly string[]): void => {
  if (first === '-p') return void new Script(rest[0] ?? '');
  needFile(first);
  if (first === 'agent/main.ts') parseOptions(rest);
  else if (rest.length > 0) refuse(`the test does not know options of ${first}`);
};

const CDK_VERBS = ['bootstrap', 'deploy', 'diff'];

const checkNpx = ([tool = '', verb = '', ...rest]: readonly string[]): void => {
  if (tool !== 'cdk' || !CDK_VERBS.includes(verb))
    refuse('the test knows only npx cdk bootstrap, deploy and diff');
  needFile('node_modules/aws-cdk/bin/cdk');
  const context: Record<string, string> = {};
  for (let index = 0; index < rest.length; index += 2) {
    const [, key = '', value = ''] = /^(\w+)=(.*)$/s.exec(rest[index + 1] ?? '') ?? [];
    if (!['-c', '--context'].includes(rest[index] ?? '') || key === '')
      refuse(`the test does not know ${rest.slice(index).join(' ')}`);
    context[key] = value;
  }
  checkContext(context);
};

/**
 * Parses the context as `cdk deploy` does. @throws SynthesisError, or DocumentationError for a key that has no effect
 */
export const checkContext = (context: Readonly<Record<string, string>>): void => {
  readContext(new App({ context: { ...context } }).node);
  const known = readFileSync(join(ROOT, 'lib/context.ts'), 'utf8');
  for (const key of Object.keys(context))
    if (!new RegExp(`^  ${key}: z`, 'm').test(known)) refuse(`the context has no key ${key}`);
};

const matches = (route: Route, path: string): boolean =>
  new RegExp(`^${route.path.replaceAll(/\{\w+\+\}/g, '.+').replaceAll(/\{\w+\}/g, '[^/]+')}$`).test(path);

/** The route of a request. A path with a placeholder, as in the documents, matches too. */
export const routeOf = (method: string, path: string): Route =>
  ROUTES.find((route) => route.method === method && (route.path === path || matches(route, path))) ??
  refuse(`the API has no route ${method} ${path}`);

/** Validates a request against the schemas of its route. */
export const checkRequest = (method: string, target: string, body: string | undefined): void => {
  const { pathname, searchParams } = new URL(target, 'http://api.test');
  const route = routeOf(method, pathname);
  const query = Object.fromEntries(searchParams);
  if (Object.keys(query).length > 0)
    (route.query ?? refuse(`${route.operationId} has no query`)).parse(query);
  if (body !== undefined) (route.body ?? refuse(`${route.operationId} has no body`)).parse(JSON.parse(body));
};

const CURL_VALUES = ['-H', '-X', '-d', '-u'];

const checkCurl = (args: readonly string[]): void => {
  const values: Record<string, string> = {};
  let url = '';
  for (let index = 0; index < args.length; index += 1) {
    const word = args[index] ?? '';
    if (CURL_VALUES.includes(word)) {
      index += 1;
      values[word] = args[index] ?? '';
    } else if (!word.startsWith('-')) url = word;
    else if (!/^-[sS]+$/.test(word)) refuse(`the test does not know curl ${word}`);
  }
  if (!url.startsWith('http://api.test/')) {
    if (!url.startsWith('https://')) refuse(`curl has no URL in ${args.join(' ')}`);
    return;
  }
  const method = values['-X'] ?? (values['-d'] === undefined ? 'GET' : 'POST');
  checkRequest(method, url.slice('http://api.test'.length), values['-d']);
};

/** Accepts the options and verbs of docker that the section “What works” of `docs/docker.md` lists. */
const checkDocker = ([verb = '', ...rest]: readonly string[]): void => {
  const [, works = ''] = readDocument('docs/docker.md').split('\n## What works\n');
  const listed = (works.split('\n## ')[0] ?? '').match(/[\w-]+/g) ?? [];
  const options = rest.filter((word) => word.startsWith('-')).map((word) => word.split('=')[0] ?? '');
  const words = options.flatMap((option) =>
    option.startsWith('--') ? [option] : [...option.slice(1)].map((letter) => `-${letter}`),
  );
  const missing = [verb, ...words].filter((word) => !listed.some((one) => one === word));
  if (missing.length > 0) refuse(`docs/docker.md does not list ${missing.join(', ')}`);
};

const pascal = (verb: string): string =>
  verb.replaceAll(/(?:^|-)([a-z])/g, (_, letter: string) => letter.toUpperCase());

/** The AWS CLI is not installed here. So commands of EventBridge are looked up in its SDK, and their JSON is parsed. */
const checkAws = ([service = '', verb = '', ...rest]: readonly string[]): void => {
  if (service === 'events' && !(`${pascal(verb)}Command` in eventBridge))
    refuse(`EventBridge has no command ${verb}`);
  for (const word of rest.filter((one) => /^[[{]/.test(one))) {
    const value: unknown = JSON.parse(word);
    if (verb !== 'put-events') continue;
    for (const { Detail } of value as { readonly Detail: string }[])
      ConversionRequestSchema.parse(withId(JSON.parse(Detail)));
  }
};

/** The documents have `…` in place of an id. */
const withId = (detail: Readonly<Record<string, unknown>>): unknown => ({
  ...detail,
  ...('containerId' in detail ? { containerId: '00000000-0000-4000-8000-000000000000' } : {}),
});

const CHECKS: Readonly<Record<string, (args: readonly string[]) => void>> = {
  aws: checkAws,
  bulkhead: checkBulkhead,
  curl: checkCurl,
  docker: checkDocker,
  node: checkNode,
  npm: checkNpm,
  npx: checkNpx,
};

/** @throws if the program would refuse the command line */
export const checkInvocation = ({ program, args }: Invocation): void => {
  (CHECKS[program] ?? (() => refuse(`the test does not know ${program}`)))(args);
};
