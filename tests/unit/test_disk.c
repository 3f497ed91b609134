/* SPDX-License-Identifier: MIT */
/* The raw disk image: opening, locking, what is read and written, and the records of host calls. */
#include "tests/unit/fake_machine.h"

#include <errno.h>
#include <fcntl.h>
#include <sys/stat.h>
#include <sys/syscall.h>

#include "vmm/disk.h"

static char dir[] = "/tmp/exitwalk-disk-XXXXXX";

static const char *path(const char *name)
{
	static char p[2][128];
	static unsigned i;
	char *s = p[i++ % 2];

	snprintf(s, sizeof(p[0]), "%s/%s", dir, name);
	return s;
}

static int group_setup(void **state)
{
	(void)state;
	return mkdtemp(dir) ? 0 : -1;
}

static int group_teardown(void **state)
{
	(void)state;
	unlink(path("disk.img"));
	unlink(path("odd"));
	unlink(path("fifo"));
	return rmdir(dir);
}

static void make_file(const char *name, size_t bytes)
{
	int fd = open(path(name), O_RDWR | O_CREAT | O_TRUNC, 0644);

	assert_true(fd >= 0);
	assert_int_equal(ftruncate(fd, (off_t)bytes), 0);
	close(fd);
}

static void test_open(void **state)
{
	struct disk d, other;
	struct err e = {0};
	struct stat st;

	(void)state;
	assert_int_equal(disk_open(&d, path("disk.img"), DISK_READ_WRITE, 0, &e), -ENOENT);
	assert_non_null(strstr(e.msg, "disk.img"));
	assert_int_equal(disk_open(&d, path("disk.img"), DISK_READ_ONLY, 65536, NULL), -ENOENT);
	assert_int_equal(disk_open(&d, path("disk.img"), DISK_READ_WRITE, 65536, NULL), 0);
	assert_int_equal(d.sectors, 128);
	assert_memory_equal(d.id, "disk.img\0\0\0\0\0\0\0\0\0\0\0\0", 20);
	assert_int_equal(fstat(d.fd, &st), 0);
	assert_int_equal(st.st_size, 65536);
	/* One writer, and nobody beside it. */
	e.msg[0] = 0;
	assert_int_equal(disk_open(&other, path("disk.img"), DISK_READ_WRITE, 0, &e), -EBUSY);
	assert_non_null(strstr(e.msg, "in use"));
	assert_int_equal(disk_open(&other, path("disk.img"), DISK_READ_ONLY, 0, NULL), -EBUSY);
	disk_close(&d);
	/* An existing image keeps its size; readers share. */
	assert_int_equal(disk_open(&d, path("disk.img"), DISK_READ_ONLY, 1 << 20, NULL), 0);
	assert_int_equal(d.sectors, 128);
	assert_int_equal(disk_open(&other, path("disk.img"), DISK_READ_ONLY, 0, NULL), 0);
	assert_false(fcntl(d.fd, F_GETFL) & O_DSYNC);
	disk_close(&d);
	disk_close(&other);
	assert_int_equal(disk_open(&d, path("disk.img"), DISK_SYNC, 0, NULL), 0);
	assert_int_equal(fcntl(d.fd, F_GETFL) & (O_ACCMODE | O_DSYNC), O_RDWR | O_DSYNC);
	disk_close(&d);
	disk_close(&other); /* once more does no harm */
}

static void test_open_refuses(void **state)
{
	struct disk d;
	struct err e = {0};

	(void)state;
	assert_int_equal(disk_open(&d, dir, DISK_READ_ONLY, 0, &e), -EINVAL);
	assert_non_null(strstr(e.msg, "neither a file nor a block device"));
	assert_int_equal(mkfifo(path("fifo"), 0644), 0);
	assert_int_equal(disk_open(&d, path("fifo"), DISK_READ_ONLY, 0, NULL), -EINVAL);
	make_file("odd", 511);
	assert_int_equal(disk_open(&d, path("odd"), DISK_READ_WRITE, 0, NULL), -EINVAL);
	make_file("odd", 1025);
	assert_int_equal(disk_open(&d, path("odd"), DISK_READ_WRITE, 0, NULL), 0);
	assert_int_equal(d.sectors, 2); /* the odd byte is not offered */
	disk_close(&d);
	/* A file that could not be made is not left behind. */
	assert_int_equal(disk_open(&d, path("small"), DISK_READ_WRITE, 100, NULL), -EINVAL);
	assert_int_equal(access(path("small"), F_OK), -1);
}

static void check_call(const struct fake_probe *p, unsigned i, long nr, const struct disk *d,
	uint64_t count, uint64_t offset, unsigned iovcnt, int64_t result)
{
	assert_int_equal(p->rec[i].kind, EW_HOST_CALL);
	assert_int_equal(p->rec[i].a[0], 9);
	assert_int_equal(p->rec[i].a[1], nr);
	assert_int_equal(p->rec[i].a[2], d->fd);
	assert_int_equal(p->rec[i].a[3], count);
	assert_int_equal(p->rec[i].a[4], offset);
	assert_int_equal(p->rec[i].a[5], iovcnt);
	assert_int_equal(p->rec[i + 1].kind, EW_HOST_RET);
	assert_int_equal(p->rec[i + 1].a[0], 9);
	assert_int_equal(p->rec[i + 1].a[1], nr);
	assert_int_equal((int64_t)p->rec[i + 1].a[2], result);
	assert_true(p->rec[i].ts <= p->rec[i + 1].ts);
}

static void test_transfer(void **state)
{
	static struct fake_probe p;
	struct disk d;
	char a[1024], b[512], back[1536];
	struct iovec one = {b, sizeof(b)}, two[] = {{a, sizeof(a)}, {b, sizeof(b)}};
	struct iovec in[] = {{back, 1}, {back + 1, 1535}};

	(void)state;
	fake_probe_init(&p);
	memset(a, 'a', sizeof(a));
	memset(b, 'b', sizeof(b));
	assert_int_equal(disk_open(&d, path("disk.img"), DISK_READ_WRITE, 65536, NULL), 0);
	assert_int_equal(disk_write(&d, &p.probe, 9, &one, 1, 1024), 0);
	assert_int_equal(disk_write(&d, &p.probe, 9, two, 2, 4096), 0);
	assert_int_equal(disk_read(&d, &p.probe, 9, in, 2, 4096), 0);
	assert_memory_equal(back, a, sizeof(a));
	assert_memory_equal(back + 1024, b, sizeof(b));
	one = (struct iovec){back, 512};
	assert_int_equal(disk_read(&d, &p.probe, 9, &one, 1, 1024), 0);
	assert_memory_equal(back, b, 512);
	assert_int_equal(disk_flush(&d, &p.probe, 9), 0);
	assert_int_equal(p.n, 10);
	check_call(&p, 0, SYS_pwrite64, &d, 512, 1024, 1, 512);
	check_call(&p, 2, SYS_pwritev, &d, 1536, 4096, 2, 1536);
	check_call(&p, 4, SYS_preadv, &d, 1536, 4096, 2, 1536);
	check_call(&p, 6, SYS_pread64, &d, 512, 1024, 1, 512);
	check_call(&p, 8, SYS_fdatasync, &d, 0, 0, 0, 0);
	assert_int_equal(
		disk_write(&d, NULL, 9, NULL, 0, 0), 0); /* nothing to do, and unrecorded */
	disk_close(&d);
}

static void test_errors(void **state)
{
	static struct fake_probe p;
	struct disk d;
	char buf[1024];
	struct iovec two[] = {{buf, 512}, {buf + 512, 512}}, one = {buf, 512};

	(void)state;
	fake_probe_init(&p);
	assert_int_equal(disk_open(&d, path("disk.img"), DISK_READ_WRITE, 65536, NULL), 0);
	/* The image shrinks behind our back: what is left comes, then an error and no endless loop. */
	assert_int_equal(ftruncate(d.fd, 700), 0);
	assert_int_equal(disk_read(&d, &p.probe, 9, two, 2, 0), -EIO);
	assert_int_equal(p.n, 4);
	check_call(&p, 0, SYS_preadv, &d, 1024, 0, 2, 700);
	check_call(&p, 2, SYS_pread64, &d, 324, 700, 1, 0);
	assert_ptr_equal(two[1].iov_base, buf + 700);
	assert_int_equal(two[1].iov_len, 324);
	disk_close(&d);
	/* The host's own error comes back, and is recorded. */
	assert_int_equal(disk_open(&d, path("disk.img"), DISK_READ_ONLY, 0, NULL), 0);
	p.n = 0;
	assert_int_equal(disk_write(&d, &p.probe, 9, &one, 1, 0), -EBADF);
	check_call(&p, 0, SYS_pwrite64, &d, 512, 0, 1, -EBADF);
	disk_close(&d);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_open),
		cmocka_unit_test(test_open_refuses),
		cmocka_unit_test(test_transfer),
		cmocka_unit_test(test_errors),
	};

	return cmocka_run_group_tests(tests, group_setup, group_teardown);
}
