import type { ImageRecord } from '../../store/records.ts';

/** Records as the table holds them, for tests to start from. */

export const TENANT = 'acme';
export const AT = '2026-11-24T09:00:00.000Z';

export const imageRecord = (name: string, tenant = TENANT): ImageRecord => ({
  tenant,
  revision: 1,
  actor: 'ann',
  view: {
    name,
    version: '10.0.14393',
    os: 'windows',
    osBuild: 14393,
    architecture: 'amd64',
    source: 'registry',
    digest: `sha256:${'0'.repeat(64)}`,
    createdAt: AT,
  },
});
