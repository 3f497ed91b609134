/* SPDX-License-Identifier: MIT */
/*
 * Recorded returns of KVM_RUN against KVM's own counters, vCPU by vCPU. A failure only where KVM's sources
 * leave no room: what each counter counts, and where, is said in kvm_account.h.
 */
#include "check.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>

#include "kvm_account.h"
#include "sql.h"

struct comparison {
	struct check *c;
	bool lost;                      /* records were lost: nothing has to agree */
	int64_t returns, vcpus, traced; /* sums of what agreed */
	int64_t slack;                  /* and by how much that is uncertain */
	char whose[32];
	bool counted, disagreed;
	bool emulated; /* the backend emulates I/O instructions instead of trapping them */
};

/* A contradiction, or where records were lost only a note. */
#define CONTRADICTS(k, ...)                                                                        \
	do {                                                                                       \
		(k)->disagreed = true;                                                             \
		check_say((k)->c, (k)->lost ? CHECK_NOTE : CHECK_FAIL, "kvm", __VA_ARGS__);        \
	} while (0)

static const char *whose(struct comparison *k, const struct kvm_account *a)
{
	if (a->vcpu == KVM_ALL_VCPUS)
		return "all vCPUs";
	snprintf(k->whose, sizeof(k->whose), "vCPU %" PRId64, a->vcpu);
	return k->whose;
}

/* kvm_put_guest_fpu() is at the end of every ioctl(KVM_RUN) that came past its first checks. */
static void compare_returns(struct comparison *k, const struct kvm_account *a)
{
	if (a->returns == KVM_NO_COUNT)
		return;
	k->counted = true;
	k->vcpus++;
	k->returns += a->rows;
	k->slack += a->slack;
	if (llabs(a->returns - a->rows) > a->slack)
		CONTRADICTS(k,
			"KVM counts %" PRId64 " returns of KVM_RUN (fpu_reload) of %s, %" PRId64
			" are recorded%s",
			a->returns, whose(k, a), a->rows, k->lost ? ": records were lost" : "");
}

/*
 * io_exits counts trapped instructions, those that KVM's own devices served too: never fewer than came to
 * the VMM, but for a string instruction, of which each piece returns. Where ring 0 is emulated (kvm_pvm)
 * nothing is trapped and it stays 0.
 */
static void compare_io(struct comparison *k, const struct kvm_account *a)
{
	int64_t kvm = a->class[KVM_CLASS_io_exits], rows = a->row[KVM_RET_IO];

	if (kvm == KVM_NO_COUNT || !rows)
		return;
	if (!kvm)
		k->emulated = true;
	else if (kvm + a->slack < rows && !a->strings)
		CONTRADICTS(k,
			"KVM counts %" PRId64 " io_exits of %s, fewer than the %" PRId64
			" KVM_EXIT_IO that are recorded",
			kvm, whose(k, a), rows);
}

/*
 * mmio_exits moves once for each instruction whose access goes to the VMM; one that crosses a page or has
 * more than 8 bytes returns once for each piece.
 */
static void compare_others(struct comparison *k, const struct kvm_account *a)
{
	const struct {
		const char *counter, *reason;
		int64_t kvm, rows;
		bool more; /* more of them may be recorded */
	} pair[] = {
		{"mmio_exits", "KVM_EXIT_MMIO", a->mmio, a->row[KVM_RET_MMIO], true},
		/* immediate_exit and a vCPU that waits for its start return without moving it */
		{"signal_exits", "KVM_EXIT_INTR", a->signals, a->row[KVM_RET_INTR], true},
		{"request_irq_exits", "KVM_EXIT_IRQ_WINDOW_OPEN", a->windows,
			a->row[KVM_RET_WINDOW], false},
	};

	for (size_t i = 0; i < sizeof(pair) / sizeof(pair[0]); i++)
		if (pair[i].kvm > pair[i].rows + a->slack ||
			(pair[i].kvm != KVM_NO_COUNT && pair[i].kvm + a->slack < pair[i].rows &&
				!pair[i].more))
			CONTRADICTS(k,
				"KVM counts %" PRId64 " %s of %s, %" PRId64 " %s are recorded",
				pair[i].kvm, pair[i].counter, whose(k, a), pair[i].rows,
				pair[i].reason);
}

/* What returned because of an exit of the hardware was counted as one. */
static void compare_exits(struct comparison *k, const struct kvm_account *a)
{
	int64_t caused = a->rows - a->row[KVM_RET_INTR] - a->row[KVM_RET_WINDOW];

	if (a->exits == KVM_NO_COUNT || k->emulated || a->strings ||
		a->row[KVM_RET_MMIO] > a->mmio || a->exits + a->slack >= caused)
		return;
	CONTRADICTS(k,
		"KVM counts %" PRId64 " exits of %s, fewer than the %" PRId64
		" returns that an exit caused",
		a->exits, whose(k, a), caused);
}

/* vcpu_enter_guest() counts where kvm_exit fires. */
static void compare_traced(struct comparison *k, const struct kvm_account *a)
{
	if (a->exits == KVM_NO_COUNT || !a->traced)
		return;
	k->traced += a->traced;
	if (llabs(a->exits - a->traced) > a->slack)
		CONTRADICTS(k,
			"KVM counts %" PRId64 " exits of %s, %" PRId64 " kvm_exit are recorded%s",
			a->exits, whose(k, a), a->traced, k->lost ? ": records were lost" : "");
}

static int compare(void *ctx, const struct kvm_account *a)
{
	struct comparison *k = ctx;

	compare_returns(k, a);
	compare_io(k, a);
	compare_others(k, a);
	compare_exits(k, a);
	compare_traced(k, a);
	return 0;
}

static int say_line(void *ctx, const struct kvm_line *line)
{
	char vcpu[24] = "all";

	if (line->vcpu != KVM_ALL_VCPUS)
		snprintf(vcpu, sizeof(vcpu), "%" PRId64, line->vcpu);
	check_say(ctx, CHECK_NOTE, "kvm", "vCPU %-3s%8" PRId64 "  %s%s%s%s", vcpu, line->count,
		line->part ? "  " : "", line->name, *line->what ? ": " : "", line->what);
	return 0;
}

static int say_claimed(struct check *c, struct err *e)
{
	int64_t all = 0, mmio = 0;
	int ret = kvm_account_claimed(c->db, &all, &mmio, e);

	if (!ret && all)
		check_say(c, CHECK_NOTE, "kvm",
			"%" PRId64 " notifies were given to ioeventfds: KVM counts each as an exit"
			" (%" PRId64 " by port, which are io_exits too, %" PRId64 " by MMIO), and"
			" none is a return of KVM_RUN",
			all, all - mmio, mmio);
	return ret;
}

static void say_agreed(const struct comparison *k)
{
	char within[64] = "";

	if (k->disagreed)
		return;
	if (k->slack)
		snprintf(within, sizeof(within),
			" (within %" PRId64 ": they were read while it ran)", k->slack);
	check_say(k->c, CHECK_OK, "kvm",
		"KVM counts %" PRId64
		" returns of KVM_RUN (fpu_reload)%s, and so many are recorded%s",
		k->returns, k->vcpus > 1 ? " over all vCPUs" : "", within);
	if (k->traced)
		check_say(k->c, CHECK_OK, "kvm",
			"KVM counts %" PRId64
			" exits of the hardware%s, and so many kvm_exit are recorded%s",
			k->traced, k->vcpus > 1 ? " over all vCPUs" : "", within);
}

int check_kvm_stats(struct check *c, struct err *e)
{
	struct comparison k = {.c = c};
	int64_t lost = 0;
	int ret;

	if (c->recording->cut_off) {
		check_say(c, CHECK_NOTE, "kvm",
			"KVM's counters are read at the end, which this recording does not have");
		return 0;
	}
	ret = sql_get_int(c->db, e, "SELECT count(*) FROM loss", &lost);
	k.lost = lost > 0;
	if (!ret)
		ret = kvm_account_each(c->db, compare, &k, e);
	if (ret)
		return ret;
	if (!k.counted) {
		check_say(c, CHECK_NOTE, "kvm",
			"nothing to compare with: KVM's counters were not recorded before and "
			"after");
		return 0;
	}
	say_agreed(&k);
	if (k.emulated)
		check_say(c, CHECK_NOTE, "kvm",
			"io_exits stays 0 on this backend, which emulates I/O instructions instead of"
			" trapping them");
	ret = say_claimed(c, e);
	return ret ? ret : kvm_account_lines(c->db, say_line, c, e);
}
