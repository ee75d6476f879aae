/*
 * Linux system calls that the agent needs and Node.js does not offer, as one static program with a command for each
 * task. Commands take `name=value` arguments, print their result to stdout, and print errors to stderr.
 */
#ifndef BULKHEAD_HELPER_H
#define BULKHEAD_HELPER_H

#include <stddef.h>
#include <sys/types.h>

/* Prints "helper: <what> <name>: <errno>" and exits with 1. */
_Noreturn void die(const char *what, const char *name);
/*
 * The value of argument `name` at or after `*from`, which then advances past it, so that a name can be repeated; null
 * if there is none.
 */
const char *next_argument(char **arguments, int *from, const char *name);
const char *optional_argument(char **arguments, const char *name);
const char *argument(char **arguments, const char *name);
/* The arguments after `--`. */
char **operands(char **arguments);
/* `directory/name` in an allocated buffer. */
char *join_path(const char *directory, const char *name);

/* Makes all permitted capabilities effective, because a change of the user clears them. Returns -1 with errno. */
int raise_capabilities(void);
/* Switches to that user, without supplementary groups or capabilities. Programs that it runs cannot gain any. */
void drop_privileges(uid_t uid);

/* Number of ids in a container's user namespace, as in `user-namespaces.ts`. */
#define USER_NAMESPACE_IDS 65536u

/*
 * Opens the container's user namespace for the arguments `user` and `first-id`. Creates it if it does not exist (see
 * `user-namespace.c`).
 */
int open_user_namespace(char **arguments);
/*
 * Moves this process into a new mount namespace, in which both mounts are idmapped to a user namespace. The process
 * then accesses files as the first id of that namespace. Returns a descriptor of the previous mount namespace.
 */
int enter_idmapped(const char *image, const char *rw, int user_namespace, unsigned first_id);
/*
 * Returns to the previous mount namespace, and moves the mount at `root` there if `root` is not null. Returns -1 with
 * errno if that mount is read-only.
 */
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
int run_program_command(char **arguments);
int data_ranges(char **arguments);
int check_disk(char **arguments);
int make_network_namespace(char **arguments);

#endif
