/**
 * Programs that Bulkhead needs from the operating system, and the Debian package that brings each. This list is
 * the only place to edit: where the user is root and apt is there, missing ones are installed; elsewhere the
 * exact command is printed.
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
