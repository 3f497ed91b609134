// SPDX-License-Identifier: MIT
/* Makes the vCPUs, gives each a thread, and waits for all of them. */
#include <errno.h>
#include <stdlib.h>
#include <sys/ioctl.h>
#include <sys/prctl.h>
#include <unistd.h>

#include "cpus.h"

void cpus_init(struct cpus *c)
{
	*c = (struct cpus){.count = 0};
	stop_init(&c->stop);
}

/* "If the KVM_CAP_MAX_VCPUS does not exist, you should assume that max_vcpus is same as the value
 * returned from KVM_CAP_NR_VCPUS", and 4 without that (api.rst, 4.7). */
int cpus_check(const struct kvm *k, unsigned count, struct err *e)
{
	int most = k->cap[KVM_HAS_MAX_VCPUS];

	if (!most)
		most = k->cap[KVM_HAS_NR_VCPUS];
	if (!most)
		most = 4;
	if (count <= (unsigned)most)
		return 0;
	return err_set(e, -EINVAL,
		"this KVM gives a machine up to %d processors (KVM_CAP_MAX_VCPUS), not %u: give "
		"fewer by --cpus",
		most, count);
}

int cpus_create(struct cpus *c, const struct kvm *k, unsigned count, struct err *e)
{
	int rc = cpus_check(k, count, e);

	if (rc)
		return rc;
	c->vcpu = calloc(count, sizeof(c->vcpu[0]));
	if (!c->vcpu)
		return err_set(e, -ENOMEM, "out of memory for %u processors: free some", count);
	for (unsigned i = 0; i < count; i++) {
		rc = vcpu_create(&c->vcpu[i], k, i, e);
		if (rc)
			return rc;
		c->vcpu[i].stop = &c->stop;
		c->vcpu[i].numbers = &c->exits;
		c->count = i + 1;
	}
	return 0;
}

void cpus_destroy(struct cpus *c)
{
	for (unsigned i = 0; i < c->count; i++)
		vcpu_destroy(&c->vcpu[i]);
	free(c->vcpu);
	stop_destroy(&c->stop);
	*c = (struct cpus){.count = 0};
}

/*
 * KVM gives vCPUs that are made soon after one another the same TSC offset (kvm_synchronize_tsc(),
 * arch/x86/kvm/x86.c); a host that was busy in between may have taken too long.
 */
static void same_tsc(const struct cpus *c)
{
	uint64_t offset;
	struct kvm_device_attr attr = {
		.group = KVM_VCPU_TSC_CTRL,
		.attr = KVM_VCPU_TSC_OFFSET,
		.addr = (uintptr_t)&offset,
	};

	if (ioctl(c->vcpu[0].fd, KVM_GET_DEVICE_ATTR, &attr))
		return; /* before Linux 5.16 */
	for (unsigned i = 1; i < c->count; i++)
		ioctl(c->vcpu[i].fd, KVM_SET_DEVICE_ATTR, &attr);
}

int cpus_reset(struct cpus *c, enum cpu_model model, uint64_t entry, struct err *e)
{
	struct cpuid_config cpu = {.model = model, .cpus = c->count};
	int rc = 0;

	for (unsigned i = 0; rc == 0 && i < c->count; i++) {
		cpu.apic_id = i;
		cpu.tsc_deadline = c->vcpu[i].kvm->cap[KVM_HAS_TSC_DEADLINE_TIMER] > 0;
		rc = vcpu_reset(&c->vcpu[i], &cpu, entry, e);
	}
	if (rc == 0)
		same_tsc(c);
	return rc;
}

/* A name of a thread has 15 characters. */
static void name_thread(unsigned id)
{
	char name[16];

	snprintf(name, sizeof(name), id < 100 ? "exitwalk-vcpu%u" : "exitwalk-cpu%u", id);
	prctl(PR_SET_NAME, name);
}

static void *run_one(void *arg)
{
	struct vcpu *v = arg;

	name_thread(v->id);
	PROBE(v->probe, EW_THREAD, (uint64_t)gettid());
	vcpu_run(v);
	return NULL;
}

static uint64_t thread_cpu(void)
{
	struct timespec t;

	clock_gettime(CLOCK_THREAD_CPUTIME_ID, &t);
	return (uint64_t)t.tv_sec * 1000000000u + (uint64_t)t.tv_nsec;
}

enum ew_stop cpus_run(struct cpus *c)
{
	struct probe *p = c->vcpu[0].probe;
	uint64_t cpu;
	unsigned started = 1;

	__atomic_store_n(&c->start, probe_now(), __ATOMIC_RELAXED);
	PROBE_AT(p, c->start, EW_MACHINE_START, 0);
	PROBE(p, EW_THREAD, (uint64_t)gettid());
	for (; started < c->count; started++) {
		struct vcpu *v = &c->vcpu[started];
		int rc = pthread_create(&v->thread, NULL, run_one, v);

		if (rc) {
			vcpu_stop(v, EW_STOP_NO_THREAD, rc);
			break;
		}
	}
	cpu = thread_cpu();
	vcpu_run(&c->vcpu[0]);
	c->cpu_ns = thread_cpu() - cpu;
	while (--started)
		pthread_join(c->vcpu[started].thread, NULL);
	if (c->at_rest)
		c->at_rest(c->ctx);
	c->end = probe_now();
	PROBE_AT(p, c->end, EW_MACHINE_STOP, (uint64_t)c->stop.why,
		(uint64_t)(int64_t)c->stop.status);
	return stop_why(&c->stop);
}
