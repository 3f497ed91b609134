/* SPDX-License-Identifier: MIT */
/* The process that reads a foreign trace. */
#include "import_process.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/futex.h>
#include <signal.h>
#include <stdatomic.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#define MEMORY_MAX (1ul << 30) /* far more than any honest file needs */
#define CHILD_IN 3
#define CHILD_OUT 4
#define PIPE_BYTES (1 << 20) /* so that the two processes wait for each other less often */

static void limit(int what, rlim_t max)
{
	const struct rlimit r = {max, max};

	setrlimit(what, &r);
}

/* What the process has already counts too: beside a recorder, its rings. */
static void limit_memory(void)
{
	unsigned long data = 0;
	FILE *f = fopen("/proc/self/statm", "re");

	if (f && fscanf(f, "%*u %*u %*u %*u %*u %lu", &data) != 1)
		data = 0;
	if (f)
		fclose(f);
#ifndef __SANITIZE_ADDRESS__ /* which maps terabytes */
	limit(RLIMIT_DATA, data * (unsigned long)sysconf(_SC_PAGESIZE) + MEMORY_MAX);
#endif
}

/* It may read its file and write to its pipe: no other files, no core, and it does not outlive us. */
__attribute__((noreturn)) static void child(
	const struct import_reader *given, int out, struct import_ring *ring, pid_t parent)
{
	/* Whatever the caller does about these, here they are the end. */
	static const int deadly[] = {
		SIGSEGV, SIGBUS, SIGFPE, SIGILL, SIGABRT, SIGSYS, SIGPROF, SIGTERM};
	int null = open("/dev/null", O_RDWR);
	struct import_reader reader = *given;
	sigset_t none;

	prctl(PR_SET_PDEATHSIG, SIGKILL);
	if (getppid() != parent)
		_exit(1);
	prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0);
	limit_memory();
	/* The library prints. */
	dup2(null, STDIN_FILENO);
	dup2(null, STDOUT_FILENO);
	dup2(null, STDERR_FILENO);
	out = fcntl(out, F_DUPFD, CHILD_OUT + 1);
	dup2(reader.in, CHILD_IN);
	dup2(out, CHILD_OUT);
	reader.in = CHILD_IN;
	close_range(CHILD_OUT + 1, ~0u, 0);
	limit(RLIMIT_CORE, 0);
	for (size_t i = 0; i < sizeof(deadly) / sizeof(deadly[0]); i++)
		signal(deadly[i], SIG_DFL);
	sigemptyset(&none);
	sigprocmask(SIG_SETMASK, &none, NULL);
	signal(SIGPIPE, SIG_IGN);
	_exit(reader.read(&reader, CHILD_OUT, ring) ? 1 : 0);
}

int import_process_start(
	struct import_process *p, const struct import_reader *reader, struct err *e)
{
	pid_t parent = getpid();
	int fd[2];

	p->at = p->len = 0;
	p->library = reader->library;
	p->taken = 0;
	p->ring = mmap(
		NULL, sizeof(*p->ring), PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	if (p->ring == MAP_FAILED) {
		p->ring = NULL;
		return err_set(e, -ENOMEM, "out of memory");
	}
	p->batch = p->ring->batch;
	if (pipe2(fd, O_CLOEXEC))
		return err_set(e, -errno, "no pipe can be made: %s", strerror(errno));
	lseek(reader->in, 0, SEEK_SET);
	fcntl(fd[1], F_SETPIPE_SZ, PIPE_BYTES);
	fflush(NULL);
	p->pid = fork();
	if (p->pid == 0) {
		close(fd[0]);
		child(reader, fd[1], p->ring, parent);
	}
	close(fd[1]);
	if (p->pid < 0) {
		close(fd[0]);
		return err_set(e, -errno, "no process can be started: %s", strerror(errno));
	}
	p->fd = fd[0];
	return 0;
}

static ssize_t refill(struct import_process *p)
{
	ssize_t n;

	do
		n = read(p->fd, p->buf, sizeof(p->buf));
	while (n < 0 && errno == EINTR);
	p->at = 0;
	p->len = n > 0 ? (size_t)n : 0;
	return n < 0 ? -errno : n;
}

int import_process_read(struct import_process *p, void *data, size_t len)
{
	char *to = data;

	while (len) {
		size_t n = p->len - p->at;

		if (!n) {
			ssize_t got = refill(p);

			if (got <= 0)
				return (int)got;
			continue;
		}
		if (n > len)
			n = len;
		memcpy(to, p->buf + p->at, n);
		p->at += n;
		to += n;
		len -= n;
	}
	return 1;
}

const struct import_batch *import_process_batch(const struct import_process *p)
{
	return &p->ring->batch[p->taken % IMPORT_SLOTS];
}

void import_process_taken(struct import_process *p)
{
	atomic_store(&p->ring->taken, ++p->taken);
	syscall(SYS_futex, &p->ring->taken, FUTEX_WAKE, 1, NULL, NULL, 0);
}

void import_process_end(struct import_process *p, bool ended, char *damage, size_t size)
{
	int status = 0;

	close(p->fd);
	if (!ended)
		kill(p->pid, SIGTERM); /* it may be alive, and talk nonsense */
	while (waitpid(p->pid, &status, 0) < 0 && errno == EINTR)
		;
	if (ended || *damage)
		return;
	if (WIFSIGNALED(status) && WTERMSIG(status) == SIGPROF)
		snprintf(damage, size, "%s never came to an end with it", p->library);
	else
		snprintf(damage, size, "%s failed on it (%s)", p->library,
			WIFSIGNALED(status) ? strsignal(WTERMSIG(status)) : "it gave up");
}

void import_process_free(struct import_process *p)
{
	if (p->ring)
		munmap(p->ring, sizeof(*p->ring));
	p->ring = NULL;
	p->batch = NULL;
}
