/*
 * What the agent needs of Linux and Node does not offer: one static program, one command each. Commands take
 * `name=value` arguments, print what the agent waits for on stdout, and say on stderr what went wrong.
 */
#ifndef BULKHEAD_HELPER_H
#define BULKHEAD_HELPER_H

#include <stddef.h>
#include <sys/types.h>

/* Prints "helper: <what> <name>: <errno>" and ends with 1. */
_Noreturn void die(const char *what, const char *name);
/* The value of argument `name`, or null. `*from` goes on behind the one found, so that a name may come again. */
const char *next_argument(char **arguments, int *from, const char *name);
const char *optional_argument(char **arguments, const char *name);
const char *argument(char **arguments, const char *name);
/* What follows `--`. */
char **operands(char **arguments);
/* `directory/name` in a buffer of its own. */
char *join_path(const char *directory, const char *name);

/* Makes effective what this process is permitted: a change of its user takes that away. -1 with errno. */
int raise_capabilities(void);
/* Sets this process's limits to those of a container's processes, as `open-files` of the arguments says. */
void limit_process(char **arguments);
/* Becomes that user: no groups, no capability, and none to be had by running a program. */
void drop_privileges(uid_t uid);

/* How many ids a container's user namespace has; `user-namespaces.ts` says the same. */
#define USER_NAMESPACE_IDS 65536u

/*
 * The container's user namespace, as `user` and `first-id` of the arguments say; made if there is none yet.
 * `user-namespace.c` says how it is kept.
 */
int open_user_namespace(char **arguments);
/*
 * Moves this process into a mount namespace of its own, where both mounts show the ids of a user namespace, and lets it
 * act as the first of them. Returns what leads back.
 */
int enter_idmapped(const char *image, const char *rw, int user_namespace, unsigned first_id);
/* Goes back, and takes along what has been mounted at `root`, if that is not null. -1 with errno when that can't be written to. */
int leave_idmapped(int home, const char *root);

int launch_vm(char **arguments);
int hold_template(char **arguments);
int run_container(char **arguments);
int mount_layers(char **arguments);
int unmount_layers(char **arguments);
int lookup_user(char **arguments);
int list_users(char **arguments);
int uname_in(char **arguments);
int relay(char **arguments);
int serve_names(char **arguments);
int with_probe(char **arguments);
int with_limits(char **arguments);
int data_ranges(char **arguments);
int check_disk(char **arguments);
int make_network_namespace(char **arguments);

#endif
