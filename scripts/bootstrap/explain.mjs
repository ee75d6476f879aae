/** From the tail of a failed command to sentences that say what to do. */

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
    'This user may not write here. Make the checkout its own (chown), then run this again.',
  ],
  [
    /ETARGET|E404/,
    'The registry does not have a package that package-lock.json names. Check the registry (npm config get registry).',
  ],
];

const indent = (text) => text.replace(/^/gm, '  ');

/** @param {string} tail the last lines that npm printed */
export const explainNpmFailure = (tail) => {
  const cause = NPM_CAUSES.find(([pattern]) => pattern.test(tail));
  const advice = cause?.[1] ?? 'Run npm ci yourself to see the whole output.';
  return `Installing the packages failed (npm ci). It last said:\n${indent(tail)}\n\n${advice}`;
};

/**
 * @param {string} command
 * @param {string} tail
 */
export const explainAptFailure = (command, tail) =>
  `Installing system packages failed. It last said:\n${indent(tail)}\n\n` +
  `Check the internet connection and /etc/apt/sources.list, then run it yourself:\n  ${command}`;
