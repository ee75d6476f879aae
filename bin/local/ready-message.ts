import type { LocalFile } from './local-file.ts';

interface Readiness {
  readonly local: LocalFile;
  readonly seconds: number;
  readonly hosts: { readonly ready: number; readonly wanted: number };
  readonly stateDir: string;
  /** Whether nothing is kept. */
  readonly ephemeral: boolean;
}

const hostsLine = ({ ready, wanted }: Readiness['hosts']): string => {
  if (wanted === 0) return 'none (--simulate N starts some)';
  const missing = ready < wanted ? `; ${wanted - ready} more on the way, see the logs` : '';
  return `${ready} ready${missing}`;
};

/**
 * The message once everything runs: the URLs, the token, and three commands to try. They read the token from stdin, because
 * other users can see the arguments of a process.
 */
export const readyMessage = ({ local, seconds, hosts, stateDir, ephemeral }: Readiness): string => `
Bulkhead is ready after ${seconds.toFixed(1)} s: ${local.apiUrl}

  hosts   ${hostsLine(hosts)}
  state   ${stateDir}
  token   tenant dev, all scopes, for a day:

TOKEN=${local.token}
bearer() { printf 'authorization: Bearer %s' "$TOKEN"; }

Try, in another terminal, after pasting the two lines above:
  curl -s ${local.apiUrl}/v1/health
  bearer | curl -s -H @- ${local.apiUrl}/v1/hosts
  bearer | curl -s -H @- -H 'content-type: application/json' ${local.apiUrl}/v1/containers \\
    -d '{"name":"demo","image":"mini","runtimeType":"HyperV","start":true}'

${
  ephemeral
    ? 'Ctrl-C ends it, and nothing of it is left.'
    : 'Ctrl-C ends it. Containers that run go on; the next npm start takes everything up again.'
}
`;
