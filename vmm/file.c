// SPDX-License-Identifier: MIT
/* Reads a whole file into memory. */
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "file.h"

#define FILE_MAX (2ull << 30)

static int read_all(int fd, char *p, size_t len)
{
	while (len) {
		ssize_t n = read(fd, p, len);

		if (n < 0 && errno == EINTR)
			continue;
		if (n <= 0)
			return n < 0 ? -errno : -EIO; /* it became shorter */
		p += n;
		len -= (size_t)n;
	}
	return 0;
}

static int read_open(
	int fd, const char *path, const char *what, void **data, size_t *len, struct err *e)
{
	struct stat st;
	int rc;

	if (fstat(fd, &st))
		return err_set(e, -errno, "%s %s: %s", what, path, strerror(errno));
	if (!S_ISREG(st.st_mode))
		return err_set(e, -EINVAL, "%s %s is not a regular file: give one", what, path);
	if (st.st_size == 0)
		return err_set(e, -EINVAL, "%s %s is empty: give another file", what, path);
	if ((unsigned long long)st.st_size > FILE_MAX)
		return err_set(
			e, -EFBIG, "%s %s has more than 2 GiB: give a smaller one", what, path);
	*len = (size_t)st.st_size;
	*data = malloc(*len);
	if (!*data)
		return err_set(e, -ENOMEM, "out of memory for %s %s: free some", what, path);
	rc = read_all(fd, *data, *len);
	if (rc == 0)
		return 0;
	free(*data);
	*data = NULL;
	return err_set(e, rc, "%s %s cannot be read: %s", what, path, strerror(-rc));
}

int file_read(const char *path, const char *what, void **data, size_t *len, struct err *e)
{
	/* NONBLOCK: a FIFO must not hold us up. */
	int fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK), rc;

	*data = NULL;
	*len = 0;
	if (fd < 0)
		return err_set(
			e, -errno, "%s %s cannot be opened: %s", what, path, strerror(errno));
	rc = read_open(fd, path, what, data, len, e);
	close(fd);
	return rc;
}
