// SPDX-License-Identifier: GPL-2.0
/* Batches of page reads and writes. See io.h. */
#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <unistd.h>

#include "io.h"

int io_open(struct io *io, const char *path, uint64_t first, int create)
{
	int flags = O_RDWR | O_CLOEXEC | (create ? O_CREAT : 0), ret;

	memset(io, 0, sizeof(*io));
	io->first = first;
	io->direct = 1;
	io->fd = open(path, flags | O_DIRECT, 0600);
	if (io->fd < 0 && errno == EINVAL) {
		io->direct = 0;
		io->fd = open(path, flags, 0600);
	}
	if (io->fd < 0)
		return -errno;
	ret = io_uring_queue_init(IO_BATCH, &io->ring, IORING_SETUP_SINGLE_ISSUER);
	if (ret)
		close(io->fd);
	return ret;
}

void io_close(struct io *io)
{
	io_uring_queue_exit(&io->ring);
	close(io->fd);
}

/* Batches are small and nearly sorted. */
static void sort(struct io_page *pages, uint32_t count)
{
	struct io_page page;
	uint32_t i, j;

	for (i = 1; i < count; i++) {
		page = pages[i];
		for (j = i; j > 0 && pages[j - 1].page > page.page; j--)
			pages[j] = pages[j - 1];
		pages[j] = page;
	}
}

/* Pages from pages[0] on that are one request. */
static uint32_t run_length(const struct io_page *pages, uint32_t count)
{
	uint32_t n = 1;

	while (n < count && n < IO_RUN && pages[n].page == pages[0].page + n)
		n++;
	return n;
}

static void prepare(struct io *io, struct iovec *vec, const struct io_page *pages, uint32_t n,
		    int write)
{
	struct io_uring_sqe *sqe = io_uring_get_sqe(&io->ring);
	uint64_t at = (io->first + pages->page) * IO_PAGE;
	uint32_t i;

	for (i = 0; i < n; i++) {
		vec[i].iov_base = pages[i].memory;
		vec[i].iov_len = IO_PAGE;
	}
	if (n > 1 && write)
		io_uring_prep_writev(sqe, io->fd, vec, n, at);
	else if (n > 1)
		io_uring_prep_readv(sqe, io->fd, vec, n, at);
	else if (write)
		io_uring_prep_write(sqe, io->fd, vec->iov_base, IO_PAGE, at);
	else
		io_uring_prep_read(sqe, io->fd, vec->iov_base, IO_PAGE, at);
	io_uring_sqe_set_data64(sqe, n * IO_PAGE);
	io->requests++;
}

/* Every page was written before it is read, so a short read is an error. */
static int collect(struct io *io, uint32_t requests)
{
	struct io_uring_cqe *cqe;
	int ret = 0, err;

	while (requests) {
		err = io_uring_wait_cqe(&io->ring, &cqe);
		if (err == -EINTR)
			continue;
		if (err)
			return err;
		if (cqe->res < 0)
			ret = cqe->res;
		else if ((uint64_t)cqe->res != cqe->user_data)
			ret = -EIO;
		io_uring_cqe_seen(&io->ring, cqe);
		requests--;
	}
	return ret;
}

static int run(struct io *io, struct io_page *pages, uint32_t count, int write)
{
	uint32_t i, n, requests = 0;
	int ret;

	if (count > IO_BATCH)
		return -EINVAL;
	sort(pages, count);
	for (i = 0; i < count; i += n, requests++) {
		n = run_length(pages + i, count - i);
		prepare(io, io->vec + i, pages + i, n, write);
	}
	do {
		ret = io_uring_submit_and_wait(&io->ring, requests);
	} while (ret == -EINTR);
	if (ret < 0)
		return ret;
	return collect(io, requests);
}

int io_read(struct io *io, struct io_page *pages, uint32_t count)
{
	return run(io, pages, count, 0);
}

int io_write(struct io *io, struct io_page *pages, uint32_t count)
{
	return run(io, pages, count, 1);
}
