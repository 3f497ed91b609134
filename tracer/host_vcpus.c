/* SPDX-License-Identifier: MIT */
/* Which threads run which vCPUs. */
#include "host_vcpus.h"

#include <linux/kvm.h>
#include <stdio.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/syscall.h>
#include <unistd.h>

/* Its link says anon_inode:kvm-vcpu:N. */
static int32_t vcpu_of_file(pid_t pid, int fd)
{
	char path[64], target[48];
	ssize_t n;
	int vcpu;

	snprintf(path, sizeof(path), "/proc/%d/fd/%d", pid, fd);
	n = readlink(path, target, sizeof(target) - 1);
	if (n < 0)
		return HOST_NO_VCPU;
	target[n] = '\0';
	return sscanf(target, "anon_inode:kvm-vcpu:%d", &vcpu) == 1 ? vcpu : HOST_NO_VCPU;
}

static bool is_run(const struct host_event *ev)
{
	return ev->rec.kind == EW_SYS_ENTER && ev->rec.a[0] == SYS_ioctl &&
	       (uint32_t)ev->rec.a[2] == KVM_RUN;
}

bool host_vcpus_see(struct host_vcpus *v, pid_t pid, struct host_event *ev)
{
	bool run = is_run(ev), known;
	unsigned i = ev->task & (HOST_VCPUS - 1);

	if (!run && ev->rec.kind != EW_KVM_ENTRY && ev->rec.kind != EW_KVM_EXIT)
		return false;
	known = v->slot[i].task == ev->task;
	if (!known) {
		v->slot[i].task = ev->task;
		v->slot[i].vcpu = ev->vcpu;
	}
	/* A file that is closed by now: the next one may tell. */
	if (run && v->slot[i].vcpu == HOST_NO_VCPU)
		v->slot[i].vcpu = vcpu_of_file(pid, (int)ev->rec.a[1]);
	if (run)
		ev->vcpu = v->slot[i].vcpu;
	return !known;
}
