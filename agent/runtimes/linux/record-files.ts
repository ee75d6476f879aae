import { readdir } from 'node:fs/promises';
import { join } from 'node:path';
import { type RecordFile, recordFile } from '../../formats/record-files.ts';
import { ContainerFormat, ExitFormat, RunFormat } from './container/records.ts';
import { AttachmentFormat } from './container/writable-layer.ts';
import { DIGEST_RECORD, ImageRecordFormat, NAME_RECORD } from './image/image-record.ts';
import { containerPaths, type Layout, vmPaths } from './layout.ts';
import { EndpointFormat } from './network/endpoint.ts';
import { WorkerFormat } from './vm/worker-record.ts';

const namesIn = (folder: string): Promise<string[]> => readdir(folder).catch(() => []);

/**
 * All records of a Linux host that outlive its agent. Files that each agent derives again have no version: the detected
 * accelerator, templates (keyed by all their inputs), and the policies for the resolver. Leases and the host lock are shared
 * with agents of other versions, so their format never changes.
 */
export const linuxRecordFiles = async (layout: Layout): Promise<readonly RecordFile[]> => {
  const containers = new Set([
    ...(await namesIn(layout.containers)),
    ...(await namesIn(layout.runContainers)),
  ]);
  const images = (await namesIn(layout.images)).filter(
    (name) => name.endsWith(NAME_RECORD) || name.endsWith(DIGEST_RECORD),
  );
  return [
    ...images.map((name) => recordFile(join(layout.images, name), ImageRecordFormat)),
    ...[...containers].flatMap((id) => {
      const paths = containerPaths(layout, id);
      return [
        recordFile(paths.record, ContainerFormat),
        recordFile(paths.runRecord, RunFormat),
        recordFile(paths.exit, ExitFormat),
        recordFile(paths.attachLock, AttachmentFormat),
        recordFile(paths.endpoint, EndpointFormat),
      ];
    }),
    ...(await namesIn(layout.runVms)).map((id) => recordFile(vmPaths(layout, id).record, WorkerFormat)),
  ];
};
