import type { Command } from 'commander';
import { acting } from '../../context.ts';
import { UsageError } from '../../errors.ts';
import { hostIdOf } from '../../host-reference.ts';
import type { Io } from '../../io.ts';
import { finish } from '../accepted.ts';
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
  throw new UsageError('No source was given. Use either --path or --reference.');
};

export const addImport = (group: Command, io: Io): void => {
  const command = group
    .command('import')
    .summary('import an image on a host')
    .argument('<name>', 'that it is to have')
    .requiredOption('--host <host>', 'id or name')
    .option('--path <path>', 'of a file or folder on the host that its agent allows')
    .option('--reference <reference>', 'in a registry')
    .option('--digest <sha256>', 'that it must have');
  addWaitOption(addMutationOptions(command, { ifMatch: false }));
  examples(command, 'bulkhead image import web --host debian-1 --path /srv/images/web.tar').action(
    acting<[string], ImportOptions>(io, async (context, options, name) => {
      const source = sourceOf(options);
      const hostId = await hostIdOf(context, options.host);
      const body = { name, hostId, source, digest: options.digest };
      await finish(
        context,
        await context.client.call('importImage', { body, ...mutationOf(options) }),
        options,
      );
      if (!context.isJson && options.wait && options.dryRun !== true)
        context.say(`Image "${name}" is there.`);
    }),
  );
};
