// SPDX-License-Identifier: MIT
/* Finds the port and writes chunks into it. */
#include "tracer/agent/stream.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#define PORTS "/sys/class/virtio-ports"

enum { TRIES = 500, TRY_MS = 10 };

/* Is this the name of the port /dev/NAME? */
static int has_name(const char *port)
{
	char path[300], name[64] = "";
	ssize_t n;
	int fd;

	snprintf(path, sizeof(path), PORTS "/%s/name", port);
	fd = open(path, O_RDONLY | O_CLOEXEC);
	if (fd < 0)
		return 0;
	n = read(fd, name, sizeof(name) - 1);
	close(fd);
	name[n > 0 ? n : 0] = '\0';
	name[strcspn(name, "\n")] = '\0';
	return strcmp(name, GUEST_STREAM_PORT) == 0;
}

static int find_port(char *device, size_t size)
{
	DIR *dir = opendir(PORTS);
	struct dirent *d;
	int found = 0;

	while (dir && !found && (d = readdir(dir))) {
		found = d->d_name[0] != '.' && has_name(d->d_name);
		if (found)
			snprintf(device, size, "/dev/%s", d->d_name);
	}
	if (dir)
		closedir(dir);
	return found;
}

int stream_open(struct stream *s, const char *device)
{
	const struct timespec pause = {.tv_nsec = TRY_MS * 1000000};
	char found[300] = "";

	/* The driver learns of the port's name some time after it was loaded. */
	for (int i = 0; !device && i < TRIES; i++) {
		if (find_port(found, sizeof(found)))
			device = found;
		else
			nanosleep(&pause, NULL);
	}
	if (!device) {
		fprintf(stderr,
			"agent: no port has the name " GUEST_STREAM_PORT " in " PORTS
			": run the VMM with --guest-events, and load virtio_console here\n");
		return -ENODEV;
	}
	*s = (struct stream){.fd = open(device, O_WRONLY | O_CLOEXEC)};
	if (s->fd >= 0)
		return 0;
	fprintf(stderr, "agent: %s cannot be opened (%s)%s\n", device, strerror(errno),
		errno == EBUSY ? ": another agent has it" : "");
	return -errno;
}

void stream_flush(struct stream *s)
{
	for (size_t at = 0; at < s->used && !s->error;) {
		ssize_t n = write(s->fd, s->buf + at, s->used - at);

		if (n > 0)
			at += (size_t)n;
		else if (n == 0 || errno != EINTR)
			s->error = n ? errno : EIO;
	}
	s->used = 0;
}

static void put(struct stream *s, const void *data, size_t len)
{
	const uint8_t *from = data;

	while (len && !s->error) {
		size_t n = sizeof(s->buf) - s->used < len ? sizeof(s->buf) - s->used : len;

		memcpy(s->buf + s->used, from, n);
		s->used += n;
		from += n;
		len -= n;
		if (s->used == sizeof(s->buf))
			stream_flush(s);
	}
}

void stream_chunk(
	struct stream *s, enum guest_stream_type type, unsigned cpu, const void *data, size_t len)
{
	const struct guest_stream_header h = {.magic = GUEST_STREAM_MAGIC,
		.type = (uint16_t)type,
		.cpu = (uint16_t)cpu,
		.len = (uint32_t)len,
		.number = s->number++};

	put(s, &h, sizeof(h));
	put(s, data, len);
}

void stream_text(struct stream *s, enum guest_stream_type type, const char *text, size_t len)
{
	while (len > GUEST_STREAM_MAX) {
		const char *end = memrchr(text, '\n', GUEST_STREAM_MAX);
		size_t n = end ? (size_t)(end - text) + 1 : GUEST_STREAM_MAX;

		stream_chunk(s, type, GUEST_STREAM_NO_CPU, text, n);
		text += n;
		len -= n;
	}
	stream_chunk(s, type, GUEST_STREAM_NO_CPU, text, len);
}
