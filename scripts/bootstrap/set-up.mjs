import { createHash } from 'node:crypto';
import { explainAptFailure, explainNpmFailure } from './explain.mjs';
import { SYSTEM_PROGRAMS } from './system-programs.mjs';

/** The set-up failed. The message contains the cause and the advice, so no stack is printed. */
export class SetupError extends Error {
  name = 'SetupError';
}

export const STAMP = 'node_modules/.bulkhead-setup';
const MIN_NODE = 24;

/**
 * Makes the checkout ready for one command.
 * @param {import('./types.d.mts').Effects} effects
 * @param {import('./types.d.mts').Command} command
 * @returns {Promise<string>} the path of a Node ≥ 24
 * @throws {SetupError}
 */
export const setUp = async (effects, command) => {
  await installPackages(effects);
  const node = await findNode(effects);
  await installSystemPrograms(effects, command.needs ?? []);
  return node;
};

/**
 * Identifies an installation. The version of Node that runs npm is not part of it, because nothing is compiled.
 * @param {string} lock
 */
export const stampOf = (lock, { platform, arch }) =>
  createHash('sha256').update(lock).update(`\n${platform}-${arch}`).digest('hex');

/** @param {import('./types.d.mts').Effects} effects */
const installPackages = async (effects) => {
  const lock = await effects.read('package-lock.json');
  if (lock === undefined)
    throw new SetupError('package-lock.json is missing. Restore it: git checkout package-lock.json');
  const stamp = stampOf(lock, effects);
  const isReady = async () => (await effects.read(STAMP)) === stamp;
  if (await isReady()) return;
  await effects.exclusively('waiting for another set-up of this checkout', async () => {
    if (await isReady()) return;
    if (!isInstalled(lock, await effects.read('node_modules/.package-lock.json'))) await runNpmCi(effects);
    await effects.write(STAMP, stamp);
  });
};

/** @param {import('./types.d.mts').Effects} effects */
const runNpmCi = async (effects) => {
  // A fixed log level: the cause of a failure is needed even if the caller runs npm silently.
  const { ok, lines } = await effects.npm('installing packages', [
    'ci',
    '--no-audit',
    '--no-fund',
    '--loglevel=error',
  ]);
  if (!ok) throw new SetupError(explainNpmFailure(lines));
};

/**
 * Whether npm's record of what it installed (its hidden lock file) equals the lock file. It avoids a second
 * installation after the user has run `npm ci` or `npm install`.
 * @param {string} lock
 * @param {string | undefined} hiddenLock
 */
export const isInstalled = (lock, hiddenLock) => {
  if (hiddenLock === undefined) return false;
  const wanted = JSON.parse(lock).packages ?? {};
  const present = JSON.parse(hiddenLock).packages ?? {};
  return Object.entries(wanted).every(
    ([path, { version, optional, devOptional }]) =>
      path === '' ||
      present[path]?.version === version ||
      ((optional || devOptional) && present[path] === undefined),
  );
};

/** @param {import('./types.d.mts').Effects} effects */
const findNode = async (effects) => {
  const bundled = `node_modules/node-${effects.platform}-${effects.arch}/bin/node`;
  if (await effects.exists(bundled)) return effects.absolute(bundled);
  if (Number.parseInt(effects.nodeVersion, 10) >= MIN_NODE) return effects.nodePath;
  throw new SetupError(
    `Bulkhead needs Node ${MIN_NODE} or later. This is ${effects.nodeVersion}, and the packages for ${effects.platform}-${effects.arch} ` +
      `do not include Node.\nInstall it from https://nodejs.org/en/download (or: nvm install ${MIN_NODE}), then run this again.`,
  );
};

/**
 * @param {import('./types.d.mts').Effects} effects
 * @param {readonly string[]} groups
 */
const installSystemPrograms = async (effects, groups) => {
  const wanted = SYSTEM_PROGRAMS.filter(
    ({ group, platforms }) => groups.includes(group) && platforms.includes(effects.platform),
  );
  const missing = [];
  for (const one of wanted) if (!(await effects.onPath(one.program))) missing.push(one);
  if (missing.length === 0) return;
  const packages = [...new Set(missing.map((one) => one.package))];
  const list = missing.map(({ program, purpose }) => `  ${program} (${purpose})`).join('\n');
  const command = `apt-get install -y --no-install-recommends ${packages.join(' ')}`;
  if (!(effects.isRoot && (await effects.onPath('apt-get'))))
    throw new SetupError(
      `These programs are missing:\n${list}\nInstall them, then run this again:\n  sudo ${command}`,
    );
  await apt(effects, packages, command);
};

const apt = async (effects, packages, command) => {
  const environment = ['DEBIAN_FRONTEND=noninteractive', 'apt-get'];
  const install = ['install', '-y', '--no-install-recommends', ...packages];
  const label = `installing ${packages.join(', ')} (apt-get)`;
  const first = await effects.run(label, 'env', [...environment, ...install]);
  if (first.ok) return;
  // Without package lists, apt-get finds no package.
  await effects.run('fetching the package lists (apt-get update)', 'env', [...environment, 'update']);
  const second = await effects.run(label, 'env', [...environment, ...install]);
  if (!second.ok) throw new SetupError(explainAptFailure(command, second.lines));
};
