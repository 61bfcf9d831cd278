/* SPDX-License-Identifier: GPL-2.0 */
/*
 * Read before SQLite's own test programs: the files that they look at, delete and copy by themselves are those of the
 * default VFS (files.c), wherever that keeps them. Scripts and logs stay files of the system.
 */
#ifndef EXO_TEST_SQLITE_FILES_H
#define EXO_TEST_SQLITE_FILES_H

#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include <sqlite3.h>

int program_main(int argc, char **argv);

/* Makes the default VFS the default one again. rc is returned. */
int test_again(int rc);

int test_unlink(const char *path);
/* Only st_size. */
int test_stat(const char *path, struct stat *st);
/* One reader and one writer at a time are enough. */
int test_open(const char *path, int flags, ...);
ssize_t test_read(int fd, void *bytes, size_t count);
ssize_t test_write(int fd, const void *bytes, size_t count);
int test_close(int fd);

#ifdef main
/* SQLite has begun by then, and begins again with another configuration. */
#define sqlite3_config(...) (sqlite3_shutdown(), test_again(sqlite3_config(__VA_ARGS__)))
#define unlink(path) test_unlink(path)
#define stat(path, st) test_stat(path, st)
#define open(...) test_open(__VA_ARGS__)
#define read(fd, bytes, count) test_read(fd, bytes, count)
#define write(fd, bytes, count) test_write(fd, bytes, count)
#define close(fd) test_close(fd)
#endif

#endif
