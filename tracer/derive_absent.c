/* SPDX-License-Identifier: MIT */
/* What a recording cannot show, and what it would need: one sentence for each place in the path. */
#include "derive.h"

#include <inttypes.h>
#include <string.h>

enum backend { BACKEND_ANY, BACKEND_PVM, BACKEND_INTEL, BACKEND_AMD, BACKENDS };

/* Where a backend has no sentence of its own, that of BACKEND_ANY serves. */
static const char *const text[ABSENT_MAX][BACKENDS] = {
	[ABSENT_NO_CALL] =
		{"no guest system call was open that does this: the guest kernel did it for itself"},
	[ABSENT_SEVERAL_CALLS] =
		{"not attributed: several guest system calls that do this were open, and no marker_buffer tells in whose buffer the data lie"},
	[ABSENT_NO_STACK] =
		{"not recorded: the guest's call chain (no stack was copied at this exit)"},
	[ABSENT_NO_INSN] =
		{"not recorded: the exiting instruction (its bytes could not be read, or do not tell)"},
	[ABSENT_HW_EXIT] = {"not recorded: hardware exit reason and KVM's handler; needs the kvm_exit tracepoint (host tracefs)",
		[BACKEND_PVM] =
			"not recorded: hardware exit reason and KVM's handler; the kvm_exit tracepoint never fires on kvm_pvm",
		[BACKEND_INTEL] =
			"not recorded: VM-exit reason and qualification, vmx_handle_exit and its handler; needs the kvm_exit tracepoint (host tracefs)",
		[BACKEND_AMD] =
			"not recorded: exit code (SVM), svm_handle_exit and its handler; needs the kvm_exit tracepoint (host tracefs)"},
	[ABSENT_NO_KICK] = {"the driver's notification: no exit to the VMM was recorded for it"},
	[ABSENT_NO_NOTIFY] =
		{"taken without a notification of its own: the device was at work on this queue already, and found it there"},
	[ABSENT_NO_EXIT] = {"no exit: there was no notification that could have caused one"},
	[ABSENT_IOEVENTFD_GUEST] =
		{"not recorded: the guest's call chain and the instruction that notified (no exit came to the VMM, so no stack was copied)"},
	[ABSENT_IOEVENTFD_EXIT] =
		{"handled inside KVM by ioeventfd: the exit is not recorded; needs the tracepoints kvm_exit and kvm_pio or kvm_fast_mmio (host tracefs)"},
	[ABSENT_IOEVENTFD_RETURN] = {"handled inside KVM by ioeventfd: no return of KVM_RUN"},
	[ABSENT_IOEVENTFD_ENTRY] =
		{"handled inside KVM by ioeventfd: KVM itself entered the guest again; needs the kvm_entry tracepoint (host tracefs)"},
	[ABSENT_HOST_BLOCK] =
		{"not recorded: below the host's system call (file system, block layer); needs the host's block tracepoints"},
	[ABSENT_NO_BLOCK] =
		{"nothing below the host's system call: no block event was traced inside it (the page cache has the data)"},
	[ABSENT_NO_HOST_CALL] = {"no host system call was made for this request"},
	[ABSENT_IRQ_INJECT] =
		{"not recorded: inside KVM (kvm_set_irq, kvm_inj_virq); needs the host's kvm tracepoints"},
	[ABSENT_SHARED_COMPLETION] =
		{"interrupt and re-entry are shared: a later request of the same kick shows them"},
	[ABSENT_HW_ENTRY] = {"not recorded: the hardware entry; needs the kvm_entry tracepoint (host tracefs)",
		[BACKEND_PVM] =
			"not recorded: the entry itself; the kvm_entry tracepoint never fires on kvm_pvm"},
	[ABSENT_NOT_ENTERED] =
		{"the vCPU that notified: no entry into the guest was recorded in this window"},
	[ABSENT_NO_ISR_READ] =
		{"the guest's interrupt handler: it did not read the ISR register in this window, so no exit shows it"},
	[ABSENT_MSI_NO_EXIT] =
		{"the guest's interrupt handler: a message (MSI-X) tells it all, so it asks the device nothing and no exit shows it"},
	[ABSENT_NO_IRQ] =
		{"no interrupt: the driver wanted none, and finds the used entry by itself"},
	[ABSENT_GUEST_COMPLETION] =
		{"not recorded: the driver's completion (virtblk_done, blk_mq_end_request); no exit happens inside it"},
	[ABSENT_KERNEL_TASK] =
		{"no guest system call: a task that was in none has queued it, the guest kernel's own (writeback, journal, a file system's thread)"},
	[ABSENT_SHARED_BIOS] =
		{"of several: its bios come from more than one guest system call (or task), and the block layer made one request of them; each block_bio_queue below says whose"},
	[ABSENT_UNSEEN_CALL] =
		{"not attributed: the guest's trace buffers have lost events (v_loss), and with them what would tell whose it is"},
	[ABSENT_IOEVENTFD_INSN] =
		{"not recorded: the instruction that notified (no exit came to the VMM, so nothing was copied)"},
	[ABSENT_NO_RETURN] = {"the system call had not returned when the recording ended"},
};

static enum backend backend_of(sqlite3 *db)
{
	static const char *const name[BACKENDS] = {[BACKEND_PVM] = "kvm_pvm",
		[BACKEND_INTEL] = "kvm_intel",
		[BACKEND_AMD] = "kvm_amd"};
	char value[64];

	sql_meta(db, "kvm_backend", value, sizeof(value));
	for (int b = BACKEND_ANY + 1; b < BACKENDS; b++)
		if (!strcmp(value, name[b]))
			return (enum backend)b;
	return BACKEND_ANY;
}

/* What KVM's counters know of the exits that never came to the VMM. Returns buf, "" if nothing. */
static const char *inside_kvm(struct derive *d, char *buf, size_t size)
{
	int64_t exits = 0, returns = 0;
	int ret = sql_get_int(d->db, d->e,
		"SELECT sum(after - before) FROM kvm_stat WHERE vcpu >= 0 AND name = 'exits'",
		&exits);

	*buf = '\0';
	if (!ret)
		ret = sql_get_int(d->db, d->e, "SELECT count(*) FROM vm_exit", &returns);
	if (!ret && exits > returns)
		snprintf(buf, size,
			". KVM counted %" PRId64 " exits in this run that never came to the VMM",
			exits - returns);
	return buf;
}

int derive_absent_texts(struct derive *d)
{
	char counted[96], line[384];
	enum backend backend = backend_of(d->db);
	sqlite3_stmt *insert = NULL;
	int ret = sql_prepare(d->db, &insert, d->e, "INSERT INTO absent(id, text) VALUES(?1, ?2)");

	for (int i = 1; !ret && i < ABSENT_MAX; i++) {
		const char *t = text[i][backend] ? text[i][backend] : text[i][BACKEND_ANY];

		if (!d->absent_used[i])
			continue;
		if (i == ABSENT_IOEVENTFD_EXIT) {
			snprintf(line, sizeof(line), "%s%s", t,
				inside_kvm(d, counted, sizeof(counted)));
			t = line;
		}
		sqlite3_bind_text(insert, 2, t, -1, SQLITE_TRANSIENT);
		ret = sql_insert(insert, d->e, 1, (int64_t[]){i});
	}
	sqlite3_finalize(insert);
	return ret;
}
