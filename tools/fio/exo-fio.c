// SPDX-License-Identifier: GPL-2.0
/*
 * exo-fio: fio on blocks of a disk that exo has. An external engine (ioengine=external:.../exo-fio.so);
 * exo-fio.1 says what its options do.
 *
 * What fio's file is: root.c. Its extents are bound once; each I/O is one EXO_XN_IO, through io_uring or
 * ioctl(2). fio's buffers are a window on frames, so nothing is copied: what has to be known of a buffer is
 * which frame it begins with.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mman.h>

#include <exo/libexo.h>
#include <exo/uring.h>

#include <fio.h>
#include <optgroup.h>

#include "root.h"

/**
 * struct job - what one job has
 * @env: its environment
 * @xn: the disk
 * @window: on the frames, or NULL
 * @frames: numbers, in the window's order
 * @nr_frames: how many
 * @binding: of each extent
 * @length: blocks of an extent
 * @ring: of the engine; not if it uses ioctl
 * @has_ring: there is one
 * @io: of each io_u, by its index
 * @events: that getevents() found
 * @queued: prepared and not submitted yet
 * @prepared: these, in order
 */
struct job {
	struct exo_env *env;
	struct exo_xn *xn;
	struct exo_window *window;
	uint32_t *frames;
	uint32_t nr_frames;
	uint32_t binding[FIO_EXTENTS];
	uint64_t length;
	struct io_uring ring;
	int has_ring;
	struct exo_xn_io *io;
	struct io_u **events;
	unsigned int queued;
	struct io_u **prepared;
};

static struct fio_option engine_options[] = {
	{
		.name = "exo_disk",
		.lname = "disk of exo",
		.type = FIO_OPT_STR_STORE,
		.off1 = offsetof(struct options, disk),
		.help = "Device that is attached, or its number; default: the only one",
		.category = FIO_OPT_C_ENGINE,
		.group = FIO_OPT_G_INVALID,
	},
	{
		.name = "exo_root",
		.lname = "root on the disk",
		.type = FIO_OPT_STR_STORE,
		.off1 = offsetof(struct options, root),
		.help = "Its name; made if there is none. Default: fio",
		.category = FIO_OPT_C_ENGINE,
		.group = FIO_OPT_G_INVALID,
	},
	{
		.name = "exo_durable",
		.lname = "the root stays",
		.type = FIO_OPT_STR_SET,
		.off1 = offsetof(struct options, durable),
		.help = "A root that is made stays; else it is gone when the disk is attached next",
		.category = FIO_OPT_C_ENGINE,
		.group = FIO_OPT_G_INVALID,
	},
	{
		.name = "exo_extent",
		.lname = "bytes of an extent",
		.type = FIO_OPT_STR_VAL,
		.off1 = offsetof(struct options, extent),
		.def = "16m",
		.help = "Bytes that are allocated in one piece and bound by one binding",
		.category = FIO_OPT_C_ENGINE,
		.group = FIO_OPT_G_INVALID,
	},
	{
		.name = "exo_ioctl",
		.lname = "ioctl instead of io_uring",
		.type = FIO_OPT_STR_SET,
		.off1 = offsetof(struct options, ioctl),
		.help = "Wait for each I/O in an ioctl",
		.category = FIO_OPT_C_ENGINE,
		.group = FIO_OPT_G_INVALID,
	},
	{
		.name = "exo_hipri",
		.lname = "poll",
		.type = FIO_OPT_STR_SET,
		.off1 = offsetof(struct options, hipri),
		.help = "Poll for completions, where the device has queues for that",
		.category = FIO_OPT_C_ENGINE,
		.group = FIO_OPT_G_INVALID,
	},
	{ .name = NULL },
};

/* fio's hooks: before the jobs ------------------------------------------------------------------- */

static int check_options(struct thread_data *td)
{
	const struct options *o = td->eo;
	uint32_t ddir;

	if (!o->extent || o->extent % FIO_BLOCK || o->extent / FIO_BLOCK > UINT32_MAX) {
		log_err("exo-fio: exo_extent must be a multiple of %u\n", FIO_BLOCK);
		return 1;
	}
	if (o->ioctl && o->hipri) {
		log_err("exo-fio: exo_hipri polls an io_uring: not together with exo_ioctl\n");
		return 1;
	}
	for (ddir = 0; ddir < DDIR_RWDIR_CNT; ddir++) {
		if (td->o.min_bs[ddir] % FIO_BLOCK || td->o.max_bs[ddir] > EXO_XN_IO_BLOCKS * FIO_BLOCK ||
		    o->extent % td->o.max_bs[ddir] || td->o.min_bs[ddir] != td->o.max_bs[ddir]) {
			log_err("exo-fio: bs must be one multiple of %u, at most %u, and divide exo_extent\n",
				FIO_BLOCK, EXO_XN_IO_BLOCKS * FIO_BLOCK);
			return 1;
		}
	}
	return 0;
}

/* In fio's main process, for one job after the other: the root is there, and large enough. */
static int hook_setup(struct thread_data *td)
{
	struct exo_xn_root root = { 0 };
	struct fio_unit unit;
	struct job job = { 0 };
	int ret;

	if (check_options(td) || disk_open(td->eo, &job.env, &job.xn))
		return 1;
	ret = root_find(td->eo, job.xn, 1, &root, &unit);
	if (!ret)
		ret = root_enlarge(job.xn, &root, &unit, td->o.size / FIO_BLOCK);
	disk_close(job.env, job.xn);
	if (ret)
		return ret;
	if (!root_blocks(&unit)) {
		log_err("exo-fio: size= must say how large the root is to be\n");
		return 1;
	}
	if (!td->files_index) {
		add_file(td, root_name(td->eo), 0, 0);
		td->o.nr_files = td->o.nr_files ? td->o.nr_files : 1;
		td->o.open_files++;
	}
	td->files[0]->real_file_size = root_blocks(&unit) * FIO_BLOCK;
	fio_file_set_size_known(td->files[0]);
	return 0;
}

/* fio's hooks: a job begins and ends ------------------------------------------------------------- */

static int bind_extents(struct thread_data *td, struct job *job)
{
	uint32_t rights = td_write(td) || td_trim(td) ? EXO_RIGHT_READ | EXO_RIGHT_WRITE : EXO_RIGHT_READ;
	struct exo_xn_root root;
	struct fio_unit unit;
	uint64_t i;
	int ret;

	if (root_find(td->eo, job->xn, 0, &root, &unit))
		return 1;
	job->length = unit.length;
	for (i = 0; i < unit.nr; i++) {
		ret = exo_xn_bind(job->xn, root.root, root.out_block, unit.extent[i].block,
				  (uint32_t)unit.extent[i].count, rights, &job->binding[i]);
		if (ret)
			return complain("an extent can't be bound", ret);
	}
	return 0;
}

static void job_free(struct job *job)
{
	free(job->io);
	free(job->events);
	free(job->prepared);
	free(job);
}

static int hook_init(struct thread_data *td)
{
	struct job *job = calloc(1, sizeof(*job));

	if (!job)
		return 1;
	job->io = calloc(td->o.iodepth, sizeof(*job->io));
	job->events = calloc(td->o.iodepth, sizeof(struct io_u *));
	job->prepared = calloc(td->o.iodepth, sizeof(struct io_u *));
	if (!job->io || !job->events || !job->prepared || disk_open(td->eo, &job->env, &job->xn))
		goto err_job;
	if (bind_extents(td, job))
		goto err_disk;
	td->io_ops_data = job;
	return 0;

err_disk:
	disk_close(job->env, job->xn);
err_job:
	job_free(job);
	return 1;
}

/* In the task that will submit. As fio's own engine sets its ring up. */
static int hook_post_init(struct thread_data *td)
{
	struct job *job = td->io_ops_data;
	struct io_uring_params params = {
		.flags = IORING_SETUP_CQSIZE | IORING_SETUP_COOP_TASKRUN | IORING_SETUP_SINGLE_ISSUER |
			 IORING_SETUP_DEFER_TASKRUN,
		.cq_entries = td->o.iodepth,
	};
	const struct options *o = td->eo;
	int fd = exo_env_fd(job->env), ret;

	if (o->ioctl)
		return 0;
	if (o->hipri)
		params.flags |= IORING_SETUP_IOPOLL;
	ret = io_uring_queue_init_params(td->o.iodepth, &job->ring, &params);
	if (ret)
		return complain("no io_uring", ret);
	job->has_ring = 1;
	ret = io_uring_register_files(&job->ring, &fd, 1);
	return ret ? complain("io_uring doesn't register the environment", ret) : 0;
}

static void hook_cleanup(struct thread_data *td)
{
	struct job *job = td->io_ops_data;

	if (!job)
		return;
	if (job->has_ring)
		io_uring_queue_exit(&job->ring);
	/* The frames went in iomem_free(), or go with the environment. */
	disk_close(job->env, job->xn);
	job_free(job);
	td->io_ops_data = NULL;
}

/* fio's buffers: frames, side by side in a window. */
static int hook_iomem_alloc(struct thread_data *td, size_t size)
{
	struct job *job = td->io_ops_data;
	int ret = -ENOMEM;

	job->nr_frames = (uint32_t)((size + FIO_BLOCK - 1) / FIO_BLOCK);
	job->frames = calloc(job->nr_frames, sizeof(*job->frames));
	if (job->frames)
		ret = exo_mem_alloc_any(job->env, job->frames, job->nr_frames);
	if (!ret)
		ret = exo_window_map_frames(job->env, job->frames, job->nr_frames,
					    PROT_READ | PROT_WRITE, &job->window);
	if (ret)
		return complain("no frames for the buffers (exoctl pool grow, exoctl quota)", ret);
	td->orig_buffer = exo_window_base(job->window);
	return 0;
}

static void hook_iomem_free(struct thread_data *td)
{
	struct job *job = td->io_ops_data;

	if (job && job->window) {
		exo_window_unmap(job->window);
		exo_mem_free(job->env, job->frames, job->nr_frames, NULL);
	}
	if (job)
		free(job->frames);
	td->orig_buffer = NULL;
}

/* It is bound already. */
static int hook_open_file(struct thread_data *td, struct fio_file *f)
{
	(void)td;
	(void)f;
	return 0;
}

static int hook_close_file(struct thread_data *td, struct fio_file *f)
{
	(void)td;
	(void)f;
	return 0;
}

/* fio's hooks: I/O ------------------------------------------------------------------------------- */

static uint32_t kind_of(const struct io_u *io_u)
{
	switch (io_u->ddir) {
	case DDIR_READ:
		return EXO_XN_IO_READ;
	case DDIR_WRITE:
		return EXO_XN_IO_WRITE;
	case DDIR_TRIM:
		return EXO_XN_IO_DISCARD;
	default:
		return EXO_XN_IO_FLUSH;
	}
}

static int hook_prep(struct thread_data *td, struct io_u *io_u)
{
	struct job *job = td->io_ops_data;
	struct exo_xn_io *io = &job->io[io_u->index];
	uint64_t block = io_u->offset / FIO_BLOCK;
	const uint32_t *frames;

	memset(io, 0, sizeof(*io));
	io->size = sizeof(*io);
	io->kind = kind_of(io_u);
	io->binding = job->binding[0];
	if (io->kind == EXO_XN_IO_FLUSH)
		return 0;
	io->binding = job->binding[block / job->length];
	io->offset = (uint32_t)(block % job->length);
	io->count = (uint32_t)(io_u->xfer_buflen / FIO_BLOCK);
	if (io->kind == EXO_XN_IO_DISCARD)
		return 0;
	if (io->kind == EXO_XN_IO_WRITE && td->o.sync_io)
		io->flags = EXO_XN_IO_DURABLE;
	frames = job->frames + ((char *)io_u->xfer_buf - td->orig_buffer) / FIO_BLOCK;
	io->frames = io->count == 1 ? *frames : (uintptr_t)frames;
	return 0;
}

static void finished(struct io_u *io_u, int res)
{
	io_u->error = res < 0 ? -res : 0;
	io_u->resid = res < 0 ? io_u->xfer_buflen : 0;
}

static enum fio_q_status hook_queue(struct thread_data *td, struct io_u *io_u)
{
	struct job *job = td->io_ops_data;
	struct exo_xn_io *io = &job->io[io_u->index];
	struct io_uring_sqe *sqe;

	if (!job->has_ring) {
		finished(io_u, ioctl(exo_env_fd(job->env), EXO_XN_IO, io) ? -errno : 0);
		return FIO_Q_COMPLETED;
	}
	sqe = job->queued < td->o.iodepth ? io_uring_get_sqe(&job->ring) : NULL;
	if (!sqe)
		return FIO_Q_BUSY;
	exo_prep_cmd(sqe, job->env, EXO_XN_IO, io);
	sqe->fd = 0;
	sqe->flags = IOSQE_FIXED_FILE;
	io_uring_sqe_set_data(sqe, io_u);
	job->prepared[job->queued++] = io_u;
	return FIO_Q_QUEUED;
}

static void set_issue_time(struct thread_data *td, struct job *job, unsigned int submitted)
{
	struct timespec now;
	unsigned int i;

	if (!fio_fill_issue_time(td))
		return;
	fio_gettime(&now, NULL);
	for (i = 0; i < submitted; i++) {
		job->prepared[i]->issue_time = now;
		io_u_queued(td, job->prepared[i]);
	}
}

static int hook_commit(struct thread_data *td)
{
	struct job *job = td->io_ops_data;
	int ret;

	while (job->queued) {
		ret = io_uring_submit(&job->ring);
		if (ret == -EAGAIN || ret == -EINTR)
			continue;
		if (ret < 0) {
			td_verror(td, -ret, "io_uring_submit");
			return ret;
		}
		set_issue_time(td, job, (unsigned int)ret);
		io_u_mark_submit(td, (unsigned int)ret);
		job->queued -= (unsigned int)ret;
		memmove(job->prepared, job->prepared + ret, job->queued * sizeof(job->prepared[0]));
	}
	return 0;
}

static unsigned int reap(struct job *job, unsigned int found, unsigned int max)
{
	struct io_uring_cqe *cqe;
	unsigned int head, n = 0;

	io_uring_for_each_cqe(&job->ring, head, cqe) {
		if (found + n == max)
			break;
		job->events[found + n] = io_uring_cqe_get_data(cqe);
		finished(job->events[found + n], cqe->res);
		n++;
	}
	io_uring_cq_advance(&job->ring, n);
	return n;
}

static int hook_getevents(struct thread_data *td, unsigned int min, unsigned int max,
			  const struct timespec *t)
{
	struct job *job = td->io_ops_data;
	unsigned int found = reap(job, 0, max);
	struct io_uring_cqe *cqe;
	int ret;

	(void)t;
	while (found < min) {
		ret = io_uring_wait_cqe_nr(&job->ring, &cqe, min - found);
		if (ret && ret != -EINTR && ret != -EAGAIN) {
			td_verror(td, -ret, "io_uring_wait_cqe_nr");
			return ret;
		}
		found += reap(job, found, max);
	}
	return (int)found;
}

static struct io_u *hook_event(struct thread_data *td, int event)
{
	return ((struct job *)td->io_ops_data)->events[event];
}

struct ioengine_ops ioengine = {
	.name = "exo-fio",
	.version = FIO_IOOPS_VERSION,
	.flags = FIO_DISKLESSIO | FIO_RAWIO | FIO_MEMALIGN | FIO_NOEXTEND | FIO_NODISKUTIL |
		 FIO_ASYNCIO_SETS_ISSUE_TIME,
	.setup = hook_setup,
	.init = hook_init,
	.post_init = hook_post_init,
	.prep = hook_prep,
	.queue = hook_queue,
	.commit = hook_commit,
	.getevents = hook_getevents,
	.event = hook_event,
	.cleanup = hook_cleanup,
	.open_file = hook_open_file,
	.close_file = hook_close_file,
	.iomem_alloc = hook_iomem_alloc,
	.iomem_free = hook_iomem_free,
	.option_struct_size = sizeof(struct options),
	.options = engine_options,
};
