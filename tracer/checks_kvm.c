/* SPDX-License-Identifier: MIT */
/* Counts of recorded exits against KVM's own counters (KVM_GET_STATS_FD). */
#include "check.h"

#include <inttypes.h>

#include "sql.h"

#define MOVED(counter)                                                                             \
	"SELECT sum(after - before) FROM kvm_stat WHERE vcpu >= 0 AND name = '" counter "'"
#define EXITS_OF(reason)                                                                           \
	"SELECT count(*) FROM vm_exit x JOIN enum_name n ON n.enum = 'kvm_exit' AND n.value ="     \
	" x.kvm_reason WHERE n.name = '" reason "'"

/*
 * fpu_reload is incremented once in every ioctl(KVM_RUN), whatever the backend: kvm_put_guest_fpu()
 * at the end of kvm_arch_vcpu_ioctl_run(), arch/x86/kvm/x86.c. So it is the number of returns.
 */
static int check_returns(struct check *c, struct err *e)
{
	int64_t kvm = -1, rows = 0, lost = 0;
	int ret = sql_get_int(c->db, e, MOVED("fpu_reload"), &kvm);

	if (!ret)
		ret = sql_get_int(c->db, e, "SELECT count(*) FROM vm_exit", &rows);
	if (!ret)
		ret = sql_get_int(c->db, e, "SELECT count(*) FROM loss", &lost);
	if (ret)
		return ret;
	if (kvm < 0)
		check_say(c, CHECK_NOTE, "kvm",
			"nothing to compare with: KVM's counters were not recorded before and "
			"after");
	else if (kvm == rows)
		check_say(c, CHECK_OK, "kvm",
			"KVM counts %" PRId64
			" returns of KVM_RUN (fpu_reload), and so many are recorded",
			kvm);
	else if (lost)
		check_say(c, CHECK_NOTE, "kvm",
			"KVM counts %" PRId64 " returns of KVM_RUN (fpu_reload), %" PRId64
			" are recorded: records were lost",
			kvm, rows);
	else
		check_say(c, CHECK_FAIL, "kvm",
			"KVM counts %" PRId64 " returns of KVM_RUN (fpu_reload), %" PRId64
			" are recorded",
			kvm, rows);
	return 0;
}

/*
 * io_exits counts trapped I/O instructions (handle_io() of kvm_intel, io_interception() of
 * kvm_amd), those that KVM's own devices served too: it can only be the larger one. Where ring 0 is
 * emulated (kvm_pvm) nothing is trapped and it stays 0.
 */
static int check_io(struct check *c, struct err *e)
{
	int64_t kvm = -1, rows = 0;
	int ret = sql_get_int(c->db, e, MOVED("io_exits"), &kvm);

	if (!ret)
		ret = sql_get_int(c->db, e, EXITS_OF("KVM_EXIT_IO"), &rows);
	if (ret || kvm < 0 || !rows)
		return ret;
	if (!kvm)
		check_say(c, CHECK_NOTE, "kvm",
			"io_exits stays 0 on this backend, which emulates I/O instructions instead of"
			" trapping them; %" PRId64 " KVM_EXIT_IO are recorded",
			rows);
	else if (kvm < rows)
		check_say(c, CHECK_FAIL, "kvm",
			"KVM counts %" PRId64 " io_exits, fewer than the %" PRId64
			" KVM_EXIT_IO that are recorded",
			kvm, rows);
	else
		check_say(c, CHECK_OK, "kvm",
			"KVM counts %" PRId64 " io_exits: %" PRId64
			" reached the VMM, its own devices"
			" served the rest",
			kvm, rows);
	return 0;
}

int check_kvm_stats(struct check *c, struct err *e)
{
	int64_t exits = -1, rows = 0;
	int ret;

	if (c->recording->cut_off) {
		check_say(c, CHECK_NOTE, "kvm",
			"KVM's counters are read at the end, which this recording does not have");
		return 0;
	}
	ret = check_returns(c, e);
	if (!ret)
		ret = check_io(c, e);
	if (!ret)
		ret = sql_get_int(c->db, e, MOVED("exits"), &exits);
	if (!ret)
		ret = sql_get_int(c->db, e, "SELECT count(*) FROM vm_exit", &rows);
	if (!ret && exits >= 0)
		check_say(c, CHECK_NOTE, "kvm",
			"KVM counts %" PRId64 " exits in all (exits), %" PRId64
			" returns of KVM_RUN are recorded: %s",
			exits, rows,
			exits >= rows ? "KVM served the others itself"
				      : "this backend does not count those it emulates");
	return ret;
}
