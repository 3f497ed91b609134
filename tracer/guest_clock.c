/* SPDX-License-Identifier: MIT */
/* From a guest's TSC to CLOCK_MONOTONIC of the host, with a bound of the error. */
#include "guest_clock.h"

#include <errno.h>
#include <stdlib.h>

#include "array.h"

/* CLOCK_MONOTONIC is slewed by at most 500 ppm (adjtimex(2), MAXFREQ): two slopes differ by twice that. */
#define SLEW 1e-3

/* Each event may have to be tried with all offsets. Guests set their TSC once for each processor, if at all. */
#define CHANGES_MAX 4096u

/* kvm_set_tsc_khz(): up to tsc_tolerance_ppm nothing is scaled. */
#define TOLERANCE_PPM 250u

void guest_clock_free(struct guest_clock *c)
{
	for (size_t i = 0; i < c->vcpus; i++)
		free(c->vcpu[i].at);
	free(c->vcpu);
	free(c->pair);
	*c = (struct guest_clock){0};
}

int guest_clock_add_pair(struct guest_clock *c, int64_t ts, uint64_t tsc, uint64_t width)
{
	struct guest_clock_pair *last = c->pairs ? &c->pair[c->pairs - 1] : NULL;

	if (last && (tsc <= last->tsc || ts <= last->ts)) {
		c->backwards |= tsc < last->tsc;
		return 0; /* one that says nothing */
	}
	if (array_grow((void **)&c->pair, &c->cap, c->pairs, sizeof(*c->pair)))
		return -ENOMEM;
	c->pair[c->pairs++] = (struct guest_clock_pair){
		.tsc = tsc, .ts = ts, .half = (int64_t)(width / 2 + 1)};
	return 0;
}

static struct guest_clock_vcpu *vcpu_of(struct guest_clock *c, unsigned vcpu)
{
	if (vcpu >= c->vcpus) {
		struct guest_clock_vcpu *more = reallocarray(c->vcpu, vcpu + 1, sizeof(*more));

		if (!more)
			return NULL;
		c->vcpu = more;
		while (c->vcpus <= vcpu)
			c->vcpu[c->vcpus++] = (struct guest_clock_vcpu){0};
	}
	return &c->vcpu[vcpu];
}

int guest_clock_add_offset(struct guest_clock *c, unsigned vcpu, int64_t ts, uint64_t offset,
	uint64_t khz, uint64_t host_khz)
{
	struct guest_clock_vcpu *v = vcpu_of(c, vcpu);
	struct guest_clock_offset *last = v && v->n ? &v->at[v->n - 1] : NULL;

	if (!v)
		return -ENOMEM;
	if (last && last->offset == offset && last->khz == khz && last->host_khz == host_khz) {
		last->last = ts;
		return 0;
	}
	if (array_grow((void **)&v->at, &v->cap, v->n, sizeof(*v->at)))
		return -ENOMEM;
	v->at[v->n++] = (struct guest_clock_offset){offset, ts, ts, khz, host_khz};
	return 0;
}

/* Between two pairs the clock is taken for a straight line. Where the neighbours' slopes differ it is none, and it
 * is off by no more than half of what that makes over the whole of it. */
static void bound_errors(struct guest_clock *c)
{
	for (size_t i = 0; i + 1 < c->pairs; i++)
		c->pair[i].slope = (double)(c->pair[i + 1].ts - c->pair[i].ts) /
				   (double)(c->pair[i + 1].tsc - c->pair[i].tsc);
	for (size_t i = 0; i + 1 < c->pairs; i++) {
		struct guest_clock_pair *p = &c->pair[i];
		double ticks = (double)(p[1].tsc - p->tsc), bend = 0;

		if (i > 0)
			bend = __builtin_fabs(p[-1].slope - p->slope);
		if (i + 2 < c->pairs && __builtin_fabs(p[1].slope - p->slope) > bend)
			bend = __builtin_fabs(p[1].slope - p->slope);
		p->error = (double)(p->half > p[1].half ? p->half : p[1].half) + bend * ticks / 2;
	}
}

static bool is_scaled(const struct guest_clock_offset *o)
{
	uint64_t apart = o->khz > o->host_khz ? o->khz - o->host_khz : o->host_khz - o->khz;

	return o->khz && o->host_khz && apart > o->host_khz / (1000000 / TOLERANCE_PPM);
}

const char *guest_clock_ready(struct guest_clock *c)
{
	size_t offsets = 0;

	for (size_t i = 0; i < c->vcpus; i++)
		for (size_t k = 0; k < c->vcpu[i].n; k++, offsets++)
			if (is_scaled(&c->vcpu[i].at[k]) && !c->fraction_bits)
				return "the guest's TSC is scaled, and this KVM's way to do that is not known";
	if (guest_clock_changes(c) > CHANGES_MAX)
		return "the guest set its TSC too often";
	if (!offsets)
		return "this KVM does not say the TSC offset of a vCPU (KVM_VCPU_TSC_OFFSET, Linux 5.16)";
	if (c->backwards)
		return "this machine's TSC went backwards";
	if (c->pairs < 2)
		return "the TSC and the clock were read together less than twice";
	bound_errors(c);
	return NULL;
}

/* The host's TSC when the guest's was `tsc`: guest = (host * ratio >> bits) + offset (kvm_read_l1_tsc(),
 * arch/x86/kvm/x86.c). */
static uint64_t host_tsc(
	const struct guest_clock *c, const struct guest_clock_offset *o, uint64_t tsc)
{
	unsigned __int128 ratio;

	tsc -= o->offset;
	if (!is_scaled(o))
		return tsc;
	ratio = ((unsigned __int128)o->khz << c->fraction_bits) / o->host_khz;
	if (!ratio) /* no KVM says such frequencies */
		return tsc;
	return (uint64_t)((((unsigned __int128)tsc << c->fraction_bits) + ratio - 1) / ratio);
}

/* What a recording says may be anything: what is no time becomes the last one. */
static int64_t to_ns(double ns)
{
	if (!(ns > -0x1p62 && ns < 0x1p62))
		return INT64_MAX / 4;
	return (int64_t)(ns < 0 ? ns - 0.5 : ns + 0.5);
}

/* The last pair in front of `host` that is not the last of all; the first one if none is. */
static const struct guest_clock_pair *pair_of(struct guest_clock *c, uint64_t host)
{
	size_t low = 0, high = c->pairs - 1;

	/* Nearly always it is the one of the time before. A guest's times may jump as they like. */
	if (host >= c->pair[c->seek].tsc && host < c->pair[c->seek + 1].tsc)
		return &c->pair[c->seek];
	while (low + 1 < high) {
		size_t mid = low + (high - low) / 2;

		if (c->pair[mid].tsc <= host)
			low = mid;
		else
			high = mid;
	}
	c->seek = low;
	return &c->pair[low];
}

static int64_t to_clock(struct guest_clock *c, uint64_t host, int64_t *error)
{
	const struct guest_clock_pair *p = pair_of(c, host);
	double outside = 0, ticks;

	ticks = host >= p->tsc ? (double)(host - p->tsc) : -(double)(p->tsc - host);
	if (host < p->tsc)
		outside = -ticks;
	else if (host > p[1].tsc)
		outside = (double)(host - p[1].tsc);
	*error = to_ns(p->error + outside * p->slope * SLEW + 0.5);
	return p->ts + to_ns(ticks * p->slope);
}

bool guest_clock_convert(
	struct guest_clock *c, unsigned vcpu, uint64_t tsc, int64_t *ts, int64_t *error)
{
	const struct guest_clock_vcpu *v = vcpu < c->vcpus ? &c->vcpu[vcpu] : NULL;
	size_t k = 0;

	if (!v || !v->n)
		return false;
	*ts = to_clock(c, host_tsc(c, &v->at[0], tsc), error);
	/* The first offset by which it was before the next one was read. */
	while (k + 1 < v->n && *ts > v->at[k + 1].first)
		*ts = to_clock(c, host_tsc(c, &v->at[++k], tsc), error);
	if (k + 1 < v->n && *ts > v->at[k].last) {
		/* Between two readings: it may have been the other one already. */
		int64_t none, other = to_clock(c, host_tsc(c, &v->at[k + 1], tsc), &none);

		*error += other > *ts ? other - *ts : *ts - other;
	}
	return true;
}

size_t guest_clock_changes(const struct guest_clock *c)
{
	size_t n = 0;

	for (size_t i = 0; i < c->vcpus; i++)
		n += c->vcpu[i].n ? c->vcpu[i].n - 1 : 0;
	return n;
}
