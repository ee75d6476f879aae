import type { LocalFile } from './local-file.ts';

interface Readiness {
  readonly local: LocalFile;
  readonly seconds: number;
  readonly hosts: { readonly ready: number; readonly wanted: number };
  readonly stateDir: string;
  /** Whether all state is deleted at the end. */
  readonly ephemeral: boolean;
}

const hostsLine = ({ ready, wanted }: Readiness['hosts']): string => {
  if (wanted === 0) return 'none (use --simulate N to start simulated ones)';
  const missing = ready < wanted ? `; ${wanted - ready} not ready yet, see the logs` : '';
  return `${ready} ready${missing}`;
};

/**
 * The message once everything runs: the URLs, the token, and three commands to try. The commands read the token from stdin,
 * because other users can see the arguments of a process.
 */
export const readyMessage = ({ local, seconds, hosts, stateDir, ephemeral }: Readiness): string => `
Bulkhead is ready after ${seconds.toFixed(1)} s: ${local.apiUrl}

  hosts   ${hostsLine(hosts)}
  state   ${stateDir}
  token   tenant dev, all scopes, valid for one day:

TOKEN=${local.token}
bearer() { printf 'authorization: Bearer %s' "$TOKEN"; }

In another terminal, paste the two lines above, then try:
  curl -s ${local.apiUrl}/v1/health
  bearer | curl -s -H @- ${local.apiUrl}/v1/hosts
  bearer | curl -s -H @- -H 'content-type: application/json' ${local.apiUrl}/v1/containers \\
    -d '{"name":"demo","image":"mini","runtimeType":"HyperV","start":true}'

${
  ephemeral
    ? 'Press Ctrl-C to stop. Nothing is kept.'
    : 'Press Ctrl-C to stop. Running containers continue, and the next npm start manages them again.'
}
`;
