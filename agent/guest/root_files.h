/* Files of the guest that are mounted over files of the container's root file system. */
#ifndef BULKHEAD_ROOT_FILES_H
#define BULKHEAD_ROOT_FILES_H

/* A small file system, because the container can write to the files. */
#define ROOT_FILES "/run/names"
#define ROOT_FILES_OPTIONS "size=64k,nr_inodes=16,mode=0755"

/*
 * Mounts the file ROOT_FILES/`name`, if it exists, over `target` of the root file system at `root`. Links are followed, but never
 * out of the root. Missing files and folders are created.
 */
void bind_root_file(const char *root, const char *name, const char *target);

#endif
