import type { Command } from 'commander';
import { withContext } from '../../context.ts';
import { UsageError } from '../../errors.ts';
import { hostIdOf } from '../../host-reference.ts';
import type { Io } from '../../io.ts';
import { showOutcome } from '../accepted.ts';
import { addMutationOptions, addWaitOption, examples, mutationOf, type WaitingOptions } from '../options.ts';

interface ImportOptions extends WaitingOptions {
  readonly host: string;
  readonly path?: string;
  readonly reference?: string;
  readonly digest?: string;
}

const sourceOf = ({ path, reference }: ImportOptions) => {
  if (path !== undefined && reference === undefined) return { path };
  if (reference !== undefined && path === undefined) return { reference };
  throw new UsageError('Exactly one source is required.', 'Use either --path or --reference.');
};

export const addImport = (group: Command, io: Io): void => {
  const command = group
    .command('import')
    .summary('import an image on a host')
    .argument('<name>', 'name for the imported image')
    .requiredOption('--host <host>', 'host that imports it; id or name')
    .option('--path <path>', 'file or folder on the host, in a folder that its agent allows')
    .option('--reference <reference>', 'reference in a registry')
    .option('--digest <sha256>', 'expected digest; the import fails if it differs');
  addWaitOption(addMutationOptions(command, { ifMatch: false }));
  examples(command, 'bulkhead image import web --host debian-1 --path /srv/images/web.tar').action(
    withContext<[string], ImportOptions>(io, async (context, options, name) => {
      const source = sourceOf(options);
      const hostId = await hostIdOf(context, options.host);
      const body = { name, hostId, source, digest: options.digest };
      await showOutcome(
        context,
        await context.client.call('importImage', { body, ...mutationOf(options) }),
        options,
      );
      if (!context.isJson && options.wait && options.dryRun !== true)
        context.showNote(`Image "${name}" was imported.`);
    }),
  );
};
