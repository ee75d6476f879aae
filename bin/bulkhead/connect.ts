import { SettingsError } from '../../cli/errors.ts';
import type { Connect } from '../../cli/session.ts';

export const connect: Connect = () => {
  throw new SettingsError('This version has no sessions yet.');
};
