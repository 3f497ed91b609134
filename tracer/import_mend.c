/* SPDX-License-Identifier: MIT */
/* A trace.dat whose end is missing: trace-cmd.dat.v6(5), trace-cmd.dat.v7(5). */
#include "import_mend.h"

#include <errno.h>
#include <fcntl.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#define OFFSET_VERSION 10
#define OFFSET_PAGE 14
#define OFFSET_COMPRESSION 18
#define SECTION 16          /* bytes of a section's header */
#define SPARSE (1ull << 40) /* the copy is so long: whatever its index names is there, and zero */
#define OPTIONS_MAX (1 << 20)
#define CPUS_MAX 1024
#define CHUNK_MAX (64u << 20)

enum { OPTION_DONE = 0, OPTION_BUFFER = 3, OPTION_CLOCK = 4, OPTION_CPUS = 8, SECTION_BUFFER = 3 };

struct place {
	uint64_t offset, size;
};

struct mend {
	int in, out;
	uint64_t len; /* of what is there */
	uint32_t page;
	uint64_t next; /* where the options section that is missing should be */
	uint64_t data; /* where the first buffer's section begins */
	uint32_t cpus;
	char clock[32];
	uint8_t *options; /* the index that is made */
	size_t options_len;
};

/* --- reading -------------------------------------------------------------------------------- */

static bool get(const struct mend *m, uint64_t at, void *to, size_t n)
{
	return at <= m->len && n <= m->len - at && pread(m->in, to, n, (off_t)at) == (ssize_t)n;
}

/* The clock in brackets: "local [mono] global". */
static void read_clock(struct mend *m, const char *text, size_t n)
{
	const char *open = memchr(text, '[', n);
	const char *close = open ? memchr(open, ']', n - (size_t)(open - text)) : NULL;

	if (close)
		snprintf(m->clock, sizeof(m->clock), "%.*s", (int)(close - open - 1), open + 1);
}

/* One options section; *buffers: it names some. False: it is not there or not to be understood. */
static bool read_options(struct mend *m, uint64_t at, uint64_t *next, bool *buffers, uint64_t *end)
{
	struct {
		uint16_t id, flags;
		uint32_t text;
		uint64_t size;
	} head;
	char *body;
	bool done = false;

	if (!get(m, at, &head, sizeof(head)) || head.id != 0 || head.flags ||
		head.size > OPTIONS_MAX)
		return false;
	body = malloc(head.size + 1);
	if (!body || !get(m, at + SECTION, body, head.size)) {
		free(body);
		return false;
	}
	*end = at + SECTION + head.size;
	for (size_t i = 0; !done && i + 6 <= head.size;) {
		uint16_t id;
		uint32_t n;

		memcpy(&id, body + i, 2);
		memcpy(&n, body + i + 2, 4);
		i += 6;
		if (n > head.size - i)
			break;
		if (id == OPTION_DONE && n == 8) {
			memcpy(next, body + i, 8);
			done = true;
		} else if (id == OPTION_CPUS && n == 4) {
			memcpy(&m->cpus, body + i, 4);
		} else if (id == OPTION_CLOCK) {
			read_clock(m, body + i, n);
		}
		*buffers |= id == OPTION_BUFFER;
		i += n;
	}
	free(body);
	return done;
}

/* Version 7: follows the chain of options sections to the one that is missing. */
static bool find_gap(struct mend *m)
{
	char text[256];
	uint64_t at, end = 0;
	bool buffers = false;
	size_t n;

	if (!get(m, OFFSET_COMPRESSION, text, sizeof(text)))
		return false;
	n = strnlen(text, sizeof(text)) + 1; /* its name, then its version */
	n += n < sizeof(text) ? strnlen(text + n, sizeof(text) - n) + 1 : 0;
	if (n + 8 > sizeof(text))
		return false;
	memcpy(&at, text + n, 8);
	for (int i = 0; i < 16; i++) {
		if (!read_options(m, at, &m->next, &buffers, &end))
			return i > 0 && !buffers; /* it is cut in two */
		m->data = end;
		if (!m->next || m->next >= m->len)
			return m->next !=
			       0; /* 0: the index is whole, so something else is damaged */
		at = m->next;
	}
	return false;
}

/* --- the trace data ------------------------------------------------------------------------- */

static uint64_t page_up(const struct mend *m, uint64_t at)
{
	return (at + m->page - 1) / m->page * m->page;
}

/* Chunks of a CPU, as many as are whole; their number goes into the copy. */
static bool compressed_cpu(struct mend *m, uint64_t at, struct place *p, uint64_t *end)
{
	uint32_t count, size[2], whole = 0;
	uint64_t to = at + 4;

	if (!get(m, at, &count, sizeof(count)) || !count)
		return false;
	while (whole < count && get(m, to, size, sizeof(size)) && size[0] && size[0] <= CHUNK_MAX &&
		size[1] && size[1] <= CHUNK_MAX && to + 8 + size[0] <= m->len) {
		to += 8 + size[0];
		whole++;
	}
	if (!whole || pwrite(m->out, &whole, sizeof(whole), (off_t)at) != sizeof(whole))
		return false;
	*p = (struct place){at, to - at - 4}; /* trace-cmd does not count the number itself */
	*end = to;
	return true;
}

/* Pages of a CPU: the next one begins where time goes back. */
static bool plain_cpu(struct mend *m, uint64_t at, struct place *p, uint64_t *end)
{
	uint64_t ts, last = 0, to = at;

	while (to + m->page <= m->len && get(m, to, &ts, sizeof(ts)) && ts >= last && ts) {
		last = ts;
		to += m->page;
	}
	*p = (struct place){at, to - at};
	*end = to;
	return to > at;
}

static void put(struct mend *m, uint64_t v, size_t n)
{
	memcpy(m->options + m->options_len, &v, n);
	m->options_len += n;
}

/* The option that names a buffer, and that there is no other. */
static void put_index(struct mend *m, const struct place *p, uint32_t n)
{
	size_t clock = strlen(m->clock) + 1;

	put(m, 0, 2); /* section header: options, not compressed */
	put(m, 0, 2);
	put(m, 0, 4);
	put(m, 6 + 8 + 1 + clock + 8 + 20ull * n + 6 + 8, 8);
	put(m, OPTION_BUFFER, 2);
	put(m, 8 + 1 + clock + 8 + 20ull * n, 4);
	put(m, m->data, 8);
	put(m, 0, 1); /* the name of the top buffer */
	memcpy(m->options + m->options_len, m->clock, clock);
	m->options_len += clock;
	put(m, m->page, 4);
	put(m, n, 4);
	for (uint32_t i = 0; i < n; i++) {
		put(m, i, 4);
		put(m, p[i].offset, 8);
		put(m, p[i].size, 8);
	}
	put(m, OPTION_DONE, 2);
	put(m, 8, 4);
	put(m, 0, 8);
}

/* The first buffer, CPU by CPU, as far as it goes. */
static int make_index(struct mend *m)
{
	static struct place place[CPUS_MAX];
	uint32_t n = 0;
	uint64_t at = page_up(m, m->data + SECTION);
	uint16_t head[2];

	if (!get(m, m->data, head, sizeof(head)) || head[0] != SECTION_BUFFER)
		return -EINVAL;
	while (n < m->cpus && n < CPUS_MAX &&
		(head[1] & 1 ? compressed_cpu(m, at, &place[n], &at)
			     : plain_cpu(m, at, &place[n], &at))) {
		at = page_up(m, at);
		n++;
	}
	m->options = malloc(SECTION + 128 + 20 * CPUS_MAX);
	if (!n || !m->options)
		return -EINVAL;
	put_index(m, place, n);
	return pwrite(m->out, m->options, m->options_len, (off_t)m->next) == (ssize_t)m->options_len
		       ? 0
		       : -EIO;
}

/* --- the copy ------------------------------------------------------------------------------- */

static int open_copy(void)
{
	const char *dir = getenv("TMPDIR");
	int fd = open(dir && *dir ? dir : "/tmp", O_TMPFILE | O_RDWR | O_CLOEXEC, 0600);

	return fd >= 0 ? fd : memfd_create("exitwalk-import", MFD_CLOEXEC);
}

static int copy(const struct mend *m, uint64_t n)
{
	static char buf[1 << 16];

	for (uint64_t at = 0; at < n;) {
		size_t want = n - at < sizeof(buf) ? n - at : sizeof(buf);
		ssize_t got = pread(m->in, buf, want, (off_t)at);

		if (got <= 0 || pwrite(m->out, buf, (size_t)got, (off_t)at) != got)
			return -EIO;
		at += (uint64_t)got;
	}
	return 0;
}

static int mend(struct mend *m)
{
	char version[2];
	struct stat st;
	int ret;

	if (fstat(m->in, &st) || !get(m, 0, version, 0))
		return -EIO;
	m->len = (uint64_t)st.st_size;
	if (!get(m, OFFSET_VERSION, version, sizeof(version)) ||
		!get(m, OFFSET_PAGE, &m->page, sizeof(m->page)) || m->page < 1024 ||
		m->page > 1 << 20 || (m->page & (m->page - 1)))
		return -EINVAL;
	if (version[0] == '7' && !find_gap(m))
		return -EINVAL;
	if (version[0] == '7')
		return copy(m, m->len) ?: make_index(m);
	/* The data are at multiples of the page, so what is cut in two is at the end. */
	ret = copy(m, m->len / m->page * m->page);
	return ret ? ret : ftruncate(m->out, SPARSE) ? -errno : 0;
}

int import_mend(int fd)
{
	struct mend m = {.in = fd, .out = open_copy(), .clock = "local"};
	int ret = m.out < 0 ? -errno : mend(&m);

	free(m.options);
	if (ret && m.out >= 0)
		close(m.out);
	return ret ? ret : m.out;
}
