/**
 * Programs that Bulkhead needs from the operating system, with the Debian package of each. This list is the only
 * place to edit. As root on a system with apt, missing programs are installed; elsewhere the exact command is
 * printed.
 *
 * @type {readonly import('./types.d.mts').SystemProgram[]}
 */
export const SYSTEM_PROGRAMS = [
  {
    program: 'setpriv',
    package: 'util-linux',
    group: 'data-plane',
    purpose: 'ends child processes with their parent',
    platforms: ['linux'],
  },
];
