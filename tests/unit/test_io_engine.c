/* SPDX-License-Identifier: MIT */
/* The engines on a real file: io_uring where this kernel lets us, and plain system calls. */
#include "tests/unit/fake_machine.h"

#include <errno.h>
#include <poll.h>
#include <sys/mman.h>
#include <sys/syscall.h>

#include "vmm/io_engine.h"

#define MANY 700u /* more than the kernel gets at once */
#define PIECE 1024u

struct job {
	struct disk_io io;
	struct iovec iov[3];
	uint8_t bytes[PIECE];
	int result, reports;
};

static struct {
	struct io_engine engine;
	struct fake_probe fake;
	struct disk disk;
	struct job job[MANY];
	unsigned reported;
} f;

static void done(struct disk_io *io, int result)
{
	struct job *j = (struct job *)((char *)io - offsetof(struct job, io));

	j->result = result;
	j->reports++;
	f.reported++;
}

/* *state: whether it is to be plain. */
static int setup(void **state)
{
	bool plain = *(bool *)*state;

	memset(&f, 0, sizeof(f));
	fake_probe_init(&f.fake);
	f.disk.fd = memfd_create("disk", MFD_CLOEXEC);
	assert_true(f.disk.fd >= 0);
	assert_int_equal(ftruncate(f.disk.fd, MANY * PIECE), 0);
	assert_int_equal(io_engine_init(&f.engine, plain, NULL), 0);
	if (!plain && !f.engine.ring)
		print_message("io_uring is not tested: %s\n", f.engine.name);
	return 0;
}

static void end(void)
{
	io_engine_destroy(&f.engine);
	close(f.disk.fd);
}

/* Job n: its piece of the file in 1 to 3 segments, none as long as another. */
static void submit(unsigned n, enum disk_op op)
{
	struct job *j = &f.job[n];
	unsigned segments = op == DISK_FLUSH ? 0 : 1 + n % 3;
	size_t at = 0;

	for (unsigned i = 0; i < segments; i++) {
		size_t len = i + 1 == segments ? PIECE - at : 100 + n % 50 + 10 * i;

		j->iov[i] = (struct iovec){.iov_base = j->bytes + at, .iov_len = len};
		at += len;
	}
	disk_io_init(
		&j->io, &f.disk, op, n + 1, j->iov, segments, op == DISK_FLUSH ? 0 : n * PIECE);
	j->io.done = done;
	j->reports = 0;
	f.engine.engine.submit(&f.engine.engine, &j->io);
}

/* As the I/O thread does it. */
static void run(unsigned expected)
{
	for (f.reported = 0; f.reported < expected;) {
		if (io_engine_work(&f.engine, &f.fake.probe))
			io_engine_deliver(&f.engine);
		else if (!io_engine_runnable(&f.engine)) {
			struct pollfd p = {io_engine_fd(&f.engine), POLLIN, 0};

			assert_true(p.fd >= 0);
			assert_int_equal(poll(&p, 1, 10000), 1);
		}
	}
	assert_false(io_engine_work(&f.engine, NULL));
	assert_int_equal(f.engine.in_host, 0);
	assert_int_equal(f.engine.to_submit, 0);
}

static void test_many(void **state)
{
	setup(state);
	for (unsigned n = 0; n < MANY; n++) {
		for (unsigned i = 0; i < PIECE; i++)
			f.job[n].bytes[i] = (uint8_t)(n * 31 + i * 7 + (i >> 8));
		submit(n, DISK_WRITE);
	}
	assert_true(io_engine_runnable(&f.engine));
	run(MANY);
	for (unsigned n = 0; n < MANY; n++) {
		assert_int_equal(f.job[n].result, 0);
		assert_int_equal(f.job[n].reports, 1);
		memset(f.job[n].bytes, 0, PIECE);
		submit(n, DISK_READ);
	}
	run(MANY);
	for (unsigned n = 0; n < MANY; n++)
		for (unsigned i = 0; i < PIECE; i++)
			assert_int_equal(f.job[n].bytes[i], (uint8_t)(n * 31 + i * 7 + (i >> 8)));
	end();
}

/* What is recorded of three transfers and a flush. */
static void test_records(void **state)
{
	setup(state);
	for (unsigned n = 0; n < 3; n++)
		submit(n, DISK_WRITE);
	submit(3, DISK_FLUSH);
	run(4);
	if (f.engine.ring) {
		static const unsigned op[] = {23, 2, 2, 3};

		assert_int_equal(fake_count(&f.fake, EW_URING_SQE), 4);
		assert_int_equal(fake_count(&f.fake, EW_URING_CQE), 4);
		assert_int_equal(fake_count(&f.fake, EW_URING_ENTER),
			fake_count(&f.fake, EW_URING_ENTER_RET));
		assert_int_equal(fake_count(&f.fake, EW_HOST_CALL), 0);
		for (unsigned n = 0; n < 4;
			n++) { /* all are filled in before they are handed over */
			const uint64_t *a = f.fake.rec[n].a;

			assert_int_equal(f.fake.rec[n].kind, EW_URING_SQE);
			assert_int_equal(a[0], n + 1);
			assert_int_equal(a[1], op[n]);
			assert_int_equal(a[2], f.disk.fd);
			assert_int_equal(a[3], n < 3 ? PIECE : 0);
			assert_int_equal(a[4], n < 3 ? n * PIECE : 0);
			assert_int_equal(a[5], n < 3 ? n + 1 : 0);
		}
		assert_int_equal(f.fake.rec[4].kind, EW_URING_ENTER);
		assert_int_equal(f.fake.rec[4].a[0], 4);
		assert_int_equal(f.fake.rec[5].kind, EW_URING_ENTER_RET);
		assert_int_equal(f.fake.rec[5].a[0], 4);
	} else {
		assert_int_equal(fake_count(&f.fake, EW_HOST_CALL), 4);
		assert_int_equal(fake_count(&f.fake, EW_HOST_RET), 4);
		assert_int_equal(fake_last(&f.fake, EW_HOST_CALL)->a[1], SYS_fdatasync);
	}
	end();
}

/* A transfer that comes back short goes on where it ended; the image's end is an error. */
static void test_short(void **state)
{
	setup(state);
	assert_int_equal(ftruncate(f.disk.fd, PIECE / 2), 0);
	memset(f.job[0].bytes, 0xee, PIECE);
	submit(0, DISK_READ);
	run(1);
	assert_int_equal(f.job[0].result, -EIO);
	assert_int_equal(f.job[0].bytes[PIECE / 2 - 1], 0);
	assert_int_equal(f.job[0].bytes[PIECE / 2], 0xee);
	assert_int_equal(f.job[0].io.left, PIECE / 2);
	assert_int_equal(f.job[0].io.offset, PIECE / 2);
	if (f.engine.ring)
		assert_int_equal(fake_count(&f.fake, EW_URING_SQE), 2);
	end();
}

static void test_error(void **state)
{
	int fd;

	setup(state);
	fd = f.disk.fd;
	f.disk.fd = -1;
	submit(0, DISK_WRITE);
	submit(1, DISK_FLUSH);
	run(2);
	assert_int_equal(f.job[0].result, -EBADF);
	assert_int_equal(f.job[1].result, -EBADF);
	f.disk.fd = fd;
	end();
}

/* What the host may say of a transfer of two segments of 100 bytes. */
static void test_continue(void **state)
{
	uint8_t bytes[200];
	struct iovec iov[2] = {{bytes, 100}, {bytes + 100, 100}};
	struct disk d = {.fd = -1};
	struct disk_io io;
	unsigned n = 0;

	(void)state;
	disk_io_init(&io, &d, DISK_READ, 1, iov, 2, 1000);
	assert_false(disk_io_continue(&io, -EINTR));
	assert_false(disk_io_continue(&io, -EAGAIN));
	assert_false(disk_io_continue(&io, 30));
	assert_ptr_equal(io.iov[0].iov_base, bytes + 30);
	assert_int_equal(io.offset, 1030);
	assert_false(disk_io_continue(&io, 70));
	assert_int_equal(io.n, 1);
	assert_ptr_equal(io.iov[0].iov_base, bytes + 100);
	assert_false(disk_io_continue(&io, 99));
	assert_true(disk_io_continue(&io, 1));
	assert_int_equal(io.result, 0);
	iov[0] = (struct iovec){bytes, 100};
	disk_io_init(&io, &d, DISK_READ, 1, iov, 1, 0);
	assert_true(disk_io_continue(&io, 0));
	assert_int_equal(io.result, -EIO);
	disk_io_init(&io, &d, DISK_FLUSH, 1, NULL, 0, 0);
	assert_false(disk_io_continue(&io, -EINTR));
	assert_true(disk_io_continue(&io, 0));
	assert_int_equal(io.result, 0);
	disk_io_init(&io, &d, DISK_READ, 1, iov, 1, 0);
	while (!disk_io_continue(&io, -EAGAIN)) /* not for ever */
		assert_true(++n < 1000);
	assert_int_equal(io.result, -EAGAIN);
}

static bool uring = false, plain = true;

#define BOTH(name)                                                                                 \
	{#name " io_uring", name, NULL, NULL, &uring},                                             \
	{                                                                                          \
#name " plain", name, NULL, NULL, &plain                                           \
	}

int main(void)
{
	const struct CMUnitTest tests[] = {
		BOTH(test_many),
		BOTH(test_records),
		BOTH(test_short),
		BOTH(test_error),
		cmocka_unit_test(test_continue),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
