// SPDX-License-Identifier: MIT
/* Counts the seconds of silence; then gets every vCPU out of KVM_RUN, whose registers nobody else has. */
#include "diag.h"
#include "watchdog.h"

/* On the vCPU's thread. */
static void answer(void *ctx, struct vcpu *v)
{
	struct watchdog *w = ctx;

	if (!__atomic_exchange_n(&v->look, 0, __ATOMIC_ACQUIRE))
		return;
	diag_where(w->to, v, w->kernel, w->kernel_len, w->end);
	__atomic_sub_fetch(&w->asked, 1, __ATOMIC_RELEASE);
}

void watchdog_init(struct watchdog *w)
{
	for (unsigned i = 0; i < w->cpus->count; i++) {
		w->cpus->vcpu[i].kicked = answer;
		w->cpus->vcpu[i].kicked_ctx = w;
	}
}

static void ask(struct watchdog *w)
{
	/* In raw mode the guest's line may have been begun. */
	fprintf(w->to, "%sexitwalk run: no exit and nothing printed for %u s%s",
		*w->end == '\r' ? w->end : "", w->seconds, w->end);
	if (!w->bytes && w->hint)
		fprintf(w->to, "%s%s", w->hint, w->end);
	__atomic_store_n(&w->asked, w->cpus->count, __ATOMIC_RELAXED);
	for (unsigned i = 0; i < w->cpus->count; i++)
		__atomic_store_n(&w->cpus->vcpu[i].look, 1, __ATOMIC_RELEASE);
	w->said = w->waiting = true;
	stop_kick(&w->cpus->stop);
}

void watchdog_tick(void *ctx)
{
	struct watchdog *w = ctx;
	uint64_t exits = __atomic_load_n(&w->cpus->exits, __ATOMIC_RELAXED);
	uint64_t bytes = __atomic_load_n(&w->output->bytes, __ATOMIC_RELAXED);
	bool news = exits != w->exits || bytes != w->bytes;

	w->exits = exits;
	w->bytes = bytes;
	if (!w->seconds || stop_why(&w->cpus->stop) ||
		!__atomic_load_n(&w->cpus->start, __ATOMIC_RELAXED))
		return;
	if (bytes && w->until_output) {
		w->seconds = 0;
	} else if (w->waiting) { /* the kicks are exits too; one that came before KVM_RUN is lost */
		w->waiting = __atomic_load_n(&w->asked, __ATOMIC_ACQUIRE);
		if (w->waiting)
			stop_kick(&w->cpus->stop);
	} else if (news) {
		w->quiet = 0;
		w->said = false;
	} else if (++w->quiet >= w->seconds && !w->said) {
		ask(w);
	}
}
