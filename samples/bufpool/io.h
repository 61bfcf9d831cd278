/* SPDX-License-Identifier: GPL-2.0 */
/*
 * Pages of a file to and from memory: O_DIRECT through io_uring, a batch at a time. Pages that follow
 * one another in the file become one request.
 */
#ifndef BUFPOOL_IO_H
#define BUFPOOL_IO_H

#include <liburing.h>
#include <stdint.h>

#define IO_PAGE 4096U
#define IO_BATCH 512 /* most pages in one call */
#define IO_RUN 32 /* most pages in one request */

/**
 * struct io - an open file and its ring; not for several threads at once
 * @ring: one entry a request
 * @fd: the file or block device
 * @first: page of the file that is page 0 here
 * @direct: O_DIRECT; 0 where the file system has no such thing (tmpfs)
 * @requests: requests ever
 * @vec: memory of the requests in flight
 */
struct io {
	struct io_uring ring;
	int fd;
	uint64_t first;
	int direct;
	uint64_t requests;
	struct iovec vec[IO_BATCH];
};

struct io_page {
	uint32_t page;
	void *memory;
};

/* 0 or -errno. create: make the file if it is not there. */
int io_open(struct io *io, const char *path, uint64_t first, int create);
void io_close(struct io *io);
/* Sorts pages by number; returns when all are done: 0 or -errno. At most IO_BATCH pages. */
int io_read(struct io *io, struct io_page *pages, uint32_t count);
int io_write(struct io *io, struct io_page *pages, uint32_t count);

#endif
