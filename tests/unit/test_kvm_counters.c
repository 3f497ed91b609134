/* SPDX-License-Identifier: MIT */
/* KVM's counters of another process: of a vCPU whose statistics it has open, and after its end. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>

#include <fcntl.h>
#include <linux/kvm.h>
#include <signal.h>
#include <stdbool.h>
#include <sys/ioctl.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include "vmm/kvm_counters.h"
#include "vmm/kvm_process.h"

#define VCPU 3

/* A VM with one vCPU that never ran; says one byte when it is there: '1', or '0' if that cannot be. */
static void child(int out)
{
	int kvm = open("/dev/kvm", O_RDWR | O_CLOEXEC);
	int vm = kvm < 0 ? -1 : ioctl(kvm, KVM_CREATE_VM, 0);
	int vcpu = vm < 0 ? -1 : ioctl(vm, KVM_CREATE_VCPU, VCPU);
	int stats = vcpu < 0 ? -1 : ioctl(vcpu, KVM_GET_STATS_FD, NULL);

	if (write(out, stats < 0 ? "0" : "1", 1) != 1)
		_exit(1);
	for (;;)
		pause();
}

static const struct kvm_count *find(const struct kvm_counts *n, int vcpu, const char *name)
{
	for (size_t i = 0; i < n->n; i++)
		if (n->at[i].vcpu == vcpu && !strcmp(n->at[i].name, name))
			return &n->at[i];
	return NULL;
}

static void of_a_vcpu(void **state)
{
	struct kvm_counts before = {0}, after = {0};
	struct kvm_counters c;
	struct kvm_process p;
	int pipe_fd[2], pidfd;
	pid_t pid;
	char ready = '0';

	(void)state;
	assert_int_equal(pipe(pipe_fd), 0);
	pid = fork();
	if (pid == 0)
		child(pipe_fd[1]);
	assert_int_equal(read(pipe_fd[0], &ready, 1), 1);
	pidfd = (int)syscall(SYS_pidfd_open, pid, 0);
	if (ready == '1') {
		assert_int_equal(kvm_process_of(&p, pid, NULL), 0);
		assert_int_equal(p.vms, 1);
		assert_int_equal(p.vcpus, 1); /* its statistics are no vCPU */
		kvm_counters_open(&c, pid, pidfd);
		kvm_counters_hold(&c, pidfd); /* looks again: nothing comes twice */
		assert_string_equal(c.why, "");
		assert_int_equal(c.vcpus, 1);
		assert_int_equal(kvm_counters_read(&c, &before), 0);
	}
	kill(pid, SIGKILL);
	waitpid(pid, NULL, 0);
	if (ready == '1') {
		assert_int_equal(kvm_counters_read(&c, &after), 0);
		kvm_counters_close(&c);
		assert_non_null(find(&before, VCPU, "exits"));
		assert_non_null(find(&after, VCPU, "exits"));
		assert_int_equal(find(&after, VCPU, "exits")->value, 0);
		assert_true(before.from <= before.to && before.to <= after.from);
	}
	close(pidfd);
	close(pipe_fd[0]);
	close(pipe_fd[1]);
	free(before.at);
	free(after.at);
	if (ready != '1')
		skip(); /* no KVM here, or one without statistics */
}

static void of_nobody(void **state)
{
	struct kvm_counts n = {0};
	struct kvm_counters c;

	(void)state;
	kvm_counters_open(&c, getpid(), -1);
	assert_non_null(strstr(c.why, "not read"));
	assert_int_equal(kvm_counters_read(&c, &n), 0);
	assert_int_equal(n.n, 0);
	kvm_counters_close(&c);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(of_a_vcpu),
		cmocka_unit_test(of_nobody),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
