/* SPDX-License-Identifier: MIT */
/* What a record of a tracepoint costs. */
#include "host_cost.h"

#include <fcntl.h>
#include <stdint.h>
#include <tracefs.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "host_returns.h"
#include "probe.h"

#define WRITES 256
#define PASSES 5 /* the fastest counts: an interrupt is no part of it */

static const char record[32] = "as long as kvm_exit's arguments";

/* Nanoseconds of WRITES writes; those that the kernel refuses take their way through it all the same. */
static uint64_t pass(int fd)
{
	uint64_t begin = probe_now();

	for (int i = 0; i < WRITES; i++)
		if (write(fd, record, sizeof(record)) < 0)
			continue;
	return probe_now() - begin;
}

static uint64_t fastest(const struct host_instance *in, int fd, const char *on)
{
	uint64_t best = UINT64_MAX;

	if (host_instance_write(in, "tracing_on", on))
		return 0;
	for (int i = 0; i < PASSES; i++) {
		uint64_t ns = pass(fd);

		if (ns < best)
			best = ns;
	}
	return best;
}

static uint64_t fastest_calls(void)
{
	uint64_t best = UINT64_MAX;

	for (int i = 0; i < PASSES; i++) {
		uint64_t begin = probe_now(), ns;

		for (int n = 0; n < WRITES; n++)
			syscall(SYS_getppid);
		ns = probe_now() - begin;
		if (ns < best)
			best = ns;
	}
	return best;
}

uint64_t host_cost_of_return(const struct host_instance *in)
{
	struct host_nesting nesting = {0};
	uint64_t off = fastest_calls(), on = 0;
	struct host_returns r;

	host_returns_enable(in, "__x64_sys_getppid", &r, &nesting);
	if (nesting.on && host_instance_write(in, "tracing_on", "1") == 0)
		on = fastest_calls();
	host_instance_write(in, "tracing_on", "0");
	host_returns_disable(in, &r);
	host_returns_remove(&r);
	host_instance_clear(in, "trace");
	return on > off ? (on - off) * 1000 / WRITES : 0;
}

uint64_t host_cost_of_record(const struct host_instance *in)
{
	int fd = tracefs_instance_file_open(in->tracefs, "trace_marker", O_WRONLY);
	uint64_t off, on;

	if (fd < 0)
		return 0;
	off = fastest(in, fd, "0");
	on = fastest(in, fd, "1");
	close(fd);
	host_instance_write(in, "tracing_on", "0");
	host_instance_clear(in, "trace");
	return on > off ? (on - off) * 1000 / WRITES : 0;
}
