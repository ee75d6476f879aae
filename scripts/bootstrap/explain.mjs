/** Turns the output of a failed command into advice for the user. */

const NPM_CAUSES = [
  [
    /ENOTFOUND|EAI_AGAIN|ECONNREFUSED|ETIMEDOUT|ECONNRESET|ENETUNREACH|ERR_SOCKET_TIMEOUT|network request/i,
    'The npm registry could not be reached. Check the internet connection, the proxy settings (HTTPS_PROXY) and the registry (npm config get registry), then run this again.',
  ],
  [
    /E40[13]|ENEEDAUTH/,
    'The npm registry refused access. Check the registry and its credentials (npm config get registry).',
  ],
  [/EUSAGE|in sync/, 'package-lock.json does not match package.json. Run: npm install'],
  [
    /EINTEGRITY/,
    'A package differs from what package-lock.json recorded. Run: npm cache clean --force, then run this again.',
  ],
  [/ENOSPC/, 'The disk is full. Free some space (node_modules takes about 700 MB), then run this again.'],
  [
    /EACCES|EPERM|EROFS/,
    'This user cannot write here. Make the user the owner of the checkout (chown), then run this again.',
  ],
  [
    /ETARGET|E404/,
    'The registry does not have a package that package-lock.json names. Check the registry (npm config get registry).',
  ],
];

const TAIL_LINES = 12;

const tailOf = (lines) => lines.slice(-TAIL_LINES).join('\n').replace(/^/gm, '  ');

/** The cause of an npm error is before its usage and the path of its log. */
const withoutUsage = (lines) => {
  const errors = lines.filter((line) => line.startsWith('npm error') && line !== 'npm error');
  const usage = errors.findIndex((line) =>
    /^npm error (Clean install a project|Usage:|A complete log)/.test(line),
  );
  if (errors.length === 0) return lines;
  return usage > 0 ? errors.slice(0, usage) : errors;
};

/** @param {readonly string[]} lines what npm printed */
export const explainNpmFailure = (lines) => {
  const output = withoutUsage(lines);
  const cause = NPM_CAUSES.find(([pattern]) => output.some((line) => pattern.test(line)));
  const advice = cause?.[1] ?? 'Run npm ci to see the complete output.';
  return `Installing the packages failed. Output of npm:\n${tailOf(output)}\n\n${advice}`;
};

/**
 * @param {string} command
 * @param {readonly string[]} lines
 */
export const explainAptFailure = (command, lines) =>
  `Installing system packages failed. The last output:\n${tailOf(lines)}\n\n` +
  `Check the internet connection and /etc/apt/sources.list, then run:\n  ${command}`;
