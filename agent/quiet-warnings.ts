/**
 * Imported first. Suppresses the warning of Node 24 that `node:sqlite` may change, because the version of Node is pinned.
 * Other warnings are printed as usual.
 */
const printed = process.listeners('warning');
process.removeAllListeners('warning');
process.on('warning', (warning) => {
  if (warning.name === 'ExperimentalWarning' && warning.message.startsWith('SQLite')) return;
  for (const print of printed) print(warning);
});
