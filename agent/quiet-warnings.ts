/**
 * Imported first. Node 24 warns once that `node:sqlite` may still change; the version of Node is pinned, and
 * the line would be the first that everyone reads. Other warnings are printed as usual.
 */
const printed = process.listeners('warning');
process.removeAllListeners('warning');
process.on('warning', (warning) => {
  if (warning.name === 'ExperimentalWarning' && warning.message.startsWith('SQLite')) return;
  for (const print of printed) print(warning);
});
