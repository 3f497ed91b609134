/* SPDX-License-Identifier: MIT */
/* Importing trace.dat: versions, buffers, CPUs, losses, exit reasons, names, damage. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <errno.h>
#include <sys/stat.h>

#include "tests/lib/scratch.h"
#include "tests/lib/trace_dat.h"
#include "tracer/hw_exit.h"
#include "tracer/import.h"
#include "tracer/probe.h"
#include "tracer/recording.h"

#define VMX HW_VMX
#define SVM HW_SVM

struct world {
	struct scratch s;
	char dat[192];
	struct td t;
	struct import_result result;
	struct err e;
	struct recording rec;
};

static void begin(struct world *w, int version, unsigned cpus)
{
	memset(w, 0, sizeof(*w));
	scratch_make(&w->s);
	snprintf(w->dat, sizeof(w->dat), "%s/t.dat", w->s.dir);
	td_init(&w->t, version, cpus);
}

static int import(struct world *w)
{
	const struct import_opts o = {.in = w->dat, .out = w->s.file};

	return import_file(&o, &w->result, &w->e);
}

static void write_and_open(struct world *w)
{
	td_write(&w->t, w->dat);
	if (import(w))
		fail_msg("%s", w->e.msg);
	if (recording_open(&w->rec, w->s.file, &w->e))
		fail_msg("%s", w->e.msg);
}

static void end(struct world *w)
{
	recording_close(&w->rec);
	td_free(&w->t);
	unlink(w->dat);
	scratch_remove(&w->s);
}

static int64_t number(struct world *w, const char *sql)
{
	return query_int(w->rec.db, sql);
}

static const char *text(struct world *w, const char *sql)
{
	return query_text(w->rec.db, sql);
}

static void put_entry(struct td *t, unsigned cpu, uint64_t ts, int pid, int vcpu)
{
	TD(t, 0, cpu, ts, pid, TD_ENTRY, 0x1000, (uint64_t)vcpu);
}

static void put_exit(struct td *t, unsigned cpu, uint64_t ts, int pid, int vcpu, uint64_t isa,
	uint64_t reason, uint64_t info1)
{
	TD(t, 0, cpu, ts, pid, TD_EXIT, 0xabcd, info1, isa, reason, 0xffffffff81000000, 0,
		(uint64_t)vcpu);
}

/* Two vCPUs on two CPUs: rows are merged by time, exits belong to their thread. */
static void two_vcpus(void **state)
{
	const int *version = *state;
	struct world w;
	struct td *t = &w.t;

	begin(&w, *version, 2);
	put_entry(t, 0, 1000, 100, 0);
	put_exit(t, 0, 1500, 100, 0, VMX, 30, 0x62100001);
	TD(t, 0, 0, 1600, 100, TD_PIO, 7, 1, 0x6210, 2, 1);
	TD(t, 0, 0, 1700, 100, TD_USERSPACE_EXIT, 2, 0);
	TD(t, 0, 0, 1750, 100, TD_SYS_EXIT_IOCTL, 16, 0);
	put_entry(t, 0, 2500, 100, 0);
	put_entry(t, 1, 1100, 101, 1);
	put_exit(t, 1, 1650, 101, 1, VMX, 10, 0);
	put_entry(t, 1, 1680, 101, 1);
	write_and_open(&w);
	assert_int_equal(w.result.events, 9);
	assert_int_equal(w.result.exits, 2);
	assert_string_equal(text(&w, "SELECT group_concat(ts) FROM event"),
		"1000,1100,1500,1600,1650,1680,1700,1750,2500");
	assert_string_equal(
		text(&w,
			"SELECT group_concat(name || ' ' || kind || ' ' || vcpu, ', ') FROM track"),
		"vmm-vcpu0-100 vcpu 0, vmm-vcpu1-101 vcpu 1");
	assert_string_equal(text(&w, "SELECT group_concat(coalesce(exit_id, 0)) FROM event"),
		"0,0,1,1,2,2,1,1,1");
	assert_string_equal(
		text(&w,
			"SELECT isa || ' ' || hw_reason_name || ' ' || kvm_reason_name || ' ' || space"
			" || ' ' || addr || ' ' || size || ' ' || is_write || ' ' || value || ' ' || total_ns"
			" || ' ' || vcpu FROM v_exit WHERE id = 1"),
		"1 EXIT_REASON_IO_INSTRUCTION KVM_EXIT_IO port 25104 2 1 7 1000 0");
	assert_int_equal(number(&w, "SELECT hw_qual FROM vm_exit WHERE id = 1"), 0x62100001);
	assert_int_equal(
		number(&w, "SELECT count(*) FROM v_exit WHERE id = 2 AND kvm_reason IS NULL AND"
			   " kvm_reason_name IS NULL AND addr IS NULL AND total_ns = 30"),
		1);
	assert_string_equal(
		text(&w, "SELECT value FROM v_meta WHERE key = 'clock'"), "CLOCK_MONOTONIC");
	assert_string_equal(
		text(&w, "SELECT value FROM v_meta WHERE key = 'kvm_backend'"), "kvm_intel");
	assert_string_equal(text(&w, "SELECT text FROM v_event WHERE id = 3"),
		"kvm_exit: EXIT_REASON_IO_INSTRUCTION (port 0x6210, OUT, size 2), rip 0xffffffff81000000,"
		" info1 0x62100001, info2 0xabcd");
	assert_int_equal(number(&w, "SELECT dur FROM event WHERE id = 3"), 500);
	end(&w);
}

/* The time in the guest, in KVM and in a system call. */
static void system_calls_and_tasks(void **state)
{
	const int *version = *state;
	struct world w;
	struct td *t = &w.t;

	begin(&w, *version, 1);
	TD(t, 0, 0, 100, 200, TD_SYS_ENTER_PWRITE, 18, 12, 0x7f00, 512, 0x600000);
	TD(t, 0, 0, 150, 200, TD_ISSUE, 254u << 20 | 3, 12288, 1, 512, 'W' | 'S' << 8);
	TD(t, 0, 0, 200, 200, TD_SYS_EXIT_PWRITE, 18, (uint64_t)-5);
	TD(t, 0, 0, 300, 200, TD_RAW_ENTER, 202, 0x5591, 129, 1, 0, 0, 0);
	TD(t, 0, 0, 310, 200, TD_WAKING, 'q' | 'e' << 8, 777, 1);
	TD(t, 0, 0, 320, 200, TD_RAW_EXIT, 202, 1);
	TD(t, 0, 0, 330, 200, TD_SWITCH, 'v', 200, 1, 's', 0);
	TD(t, 0, 0, 340, 200, TD_UNKNOWN, 1);
	TD(t, 0, 0, 350, 200, TD_EMULATE, 0x1000, 0, 3, 0xaabbcc, 0);
	TD(t, 0, 0, 360, 200, TD_SYS_ENTER_IOCTL, 16, 9, 0xae80, 0);
	write_and_open(&w);
	assert_int_equal(w.result.events, 9);
	assert_string_equal(text(&w, "SELECT text FROM v_event WHERE ts_ns = 100"),
		"pwrite64(fd 12, 0x7f00, 512 bytes, offset 6291456)");
	assert_string_equal(text(&w, "SELECT text FROM v_event WHERE ts_ns = 150"),
		"block_rq_issue: 254:3 WS sector 12288 + 1");
	assert_string_equal(text(&w, "SELECT text || ' ' || dur_ns FROM v_event WHERE ts_ns = 200"),
		"pwrite64 = -5 100");
	assert_string_equal(text(&w, "SELECT text FROM v_event WHERE ts_ns = 300"),
		"futex(0x5591, FUTEX_WAKE, 1)");
	assert_string_equal(text(&w, "SELECT text FROM v_event WHERE ts_ns = 310"),
		"sched_waking: qe-777 on CPU 1");
	assert_string_equal(text(&w, "SELECT text FROM v_event WHERE ts_ns = 330"),
		"sched_switch: vmm-io-200 ==> idle/0");
	assert_string_equal(text(&w, "SELECT text FROM v_event WHERE ts_ns = 350"),
		"kvm_emulate_insn: ccbbaa at 0x1000");
	assert_string_equal(text(&w, "SELECT text FROM v_event WHERE ts_ns = 360"),
		"ioctl(fd 9, KVM_RUN, 0x0)");
	assert_string_equal(text(&w, "SELECT value FROM v_meta WHERE key = 'import.not_imported'"),
		"power:cpu_idle 1");
	end(&w);
}

/* Exit reasons by their numbers; what nobody has named is said to be unknown. */
static void exit_reasons(void **state)
{
	static const struct {
		uint64_t isa, reason, info1;
		const char *name;
	} c[] = {
		{VMX, 7, 0, "EXIT_REASON_INTERRUPT_WINDOW"},
		{VMX, 48, 0, "EXIT_REASON_EPT_VIOLATION"},
		{VMX, 0x80000021, 0, "EXIT_REASON_INVALID_STATE (failed VM entry)"},
		{VMX, 0x0400001e, 0x00700048, "EXIT_REASON_IO_INSTRUCTION (bus lock)"},
		{VMX, 200, 0, "unknown 0xc8"},
		{SVM, 0x7b, 0xc0100020, "SVM_EXIT_IOIO"},
		{SVM, 0x400, 0, "SVM_EXIT_NPF"},
		{SVM, 0xffffffff, 0, "SVM_EXIT_ERR"},
		{SVM, 0x64, 0, "SVM_EXIT_VINTR"},
		{SVM, 0x300, 0, "unknown 0x300"},
		{9, 30, 0, "unknown 0x1e"},
	};
	struct world w;
	char sql[96];

	(void)state;
	begin(&w, 6, 1);
	for (size_t i = 0; i < sizeof(c) / sizeof(c[0]); i++)
		put_exit(&w.t, 0, 1000 * (i + 1), 100, 0, c[i].isa, c[i].reason, c[i].info1);
	write_and_open(&w);
	for (size_t i = 0; i < sizeof(c) / sizeof(c[0]); i++) {
		snprintf(sql, sizeof(sql), "SELECT hw_reason_name FROM v_exit WHERE id = %zu",
			i + 1);
		assert_string_equal(text(&w, sql), c[i].name);
	}
	/* The qualification's access, where KVM's tracepoint does not say it. */
	assert_string_equal(
		text(&w, "SELECT space || ' ' || addr || ' ' || size || ' ' || is_write FROM v_exit"
			 " WHERE id = 4"),
		"port 112 1 0");
	assert_string_equal(
		text(&w, "SELECT space || ' ' || addr || ' ' || size || ' ' || is_write FROM v_exit"
			 " WHERE id = 6"),
		"port 49168 2 1");
	end(&w);
}

static void qualifications(void **state)
{
	struct hw_io io;

	(void)state;
	assert_true(hw_exit_io(VMX, 30, 0x01f00000 | 1 | 8 | 16 | 32, &io));
	assert_int_equal(io.port, 0x1f0);
	assert_int_equal(io.size, 2);
	assert_true(io.in && io.string && io.rep);
	assert_true(hw_exit_io(VMX, 30, 0x00800040, &io));
	assert_true(io.port == 0x80 && io.size == 1 && !io.in && !io.string && !io.rep);
	assert_true(hw_exit_io(SVM, 0x7b, 0x01f00000 | 4u << 4 | 1 | 4 | 8, &io));
	assert_true(io.port == 0x1f0 && io.size == 4 && io.in && io.string && io.rep);
	assert_false(hw_exit_io(SVM, 30, 0, &io));
	assert_false(hw_exit_io(VMX, 0x8000001e, 0, &io));
}

/* A gap ends what is known: counted where the kernel counted, of unknown size where it did not. */
static void losses(void **state)
{
	const int *version = *state;
	struct world w;
	struct td *t = &w.t;

	begin(&w, *version, 2);
	put_entry(t, 0, 1000, 100, 0);
	put_exit(t, 0, 1500, 100, 0, SVM, 0x72, 0);
	td_lose(t, 0, 0, 77);
	TD(t, 0, 0, 5000, 100, TD_MSI, 0xfee00000, 33);
	td_lose(t, 0, 1, -1);
	put_exit(t, 1, 6000, 101, 1, SVM, 0x72, 0);
	put_entry(t, 1, 6100, 101, 1);
	write_and_open(&w);
	assert_int_equal(w.result.gaps, 2);
	assert_int_equal(w.result.lost, 77);
	assert_string_equal(
		text(&w, "SELECT source || ' ' || ts0_ns || ' ' || ts1_ns || ' ' || n FROM v_loss"
			 " WHERE n IS NOT NULL"),
		"CPU 0 1500 5000 77");
	assert_string_equal(text(&w, "SELECT source || ' ' || ts0_ns || ' ' || ts1_ns FROM v_loss"
				     " WHERE n IS NULL"),
		"CPU 1 1000 6000");
	assert_int_equal(number(&w, "SELECT t_entry FROM vm_exit WHERE id = 1"), QUERY_NULL);
	assert_int_equal(
		number(&w, "SELECT exit_id FROM event WHERE ts = 5000 AND kind <> 62"), QUERY_NULL);
	assert_non_null(strstr(w.rec.banner, "77 records LOST in 2 gaps"));
	end(&w);
}

static void several_buffers(void **state)
{
	const int *version = *state;
	struct world w;
	struct td *t = &w.t;

	begin(&w, *version, 2);
	t->buffers = 2;
	t->buffer_name[1] = "calls";
	put_exit(t, 0, 1000, 100, 0, VMX, 10, 0);
	put_entry(t, 0, 3000, 100, 0);
	TD(t, 1, 0, 2000, 100, TD_SYS_ENTER_IOCTL, 16, 9, 0xae80, 0);
	td_lose(t, 1, 1, 5);
	TD(t, 1, 1, 2500, 200, TD_SYS_ENTER_IOCTL, 16, 9, 0xae80, 0);
	write_and_open(&w);
	assert_int_equal(w.result.events, 5);
	assert_string_equal(
		text(&w, "SELECT group_concat(ts) FROM event"), "1000,2000,2500,2500,3000");
	assert_string_equal(text(&w, "SELECT source FROM v_loss"), "CPU 1 of buffer calls");
	end(&w);
}

/* A clock that is none of POSIX is kept, and called what it is. */
static void other_clock(void **state)
{
	const int *version = *state;
	struct world w;

	begin(&w, *version, 1);
	w.t.clock = "x86-tsc";
	put_exit(&w.t, 0, 1000, 100, 0, VMX, 10, 0);
	write_and_open(&w);
	assert_string_equal(
		text(&w, "SELECT value FROM v_meta WHERE key = 'clock'"), "ftrace clock x86-tsc");
	end(&w);
}

/* A guest's trace of a host and guest pair comes in the host's time. */
static void time_shift(void **state)
{
	const int *version = *state;
	struct world w;

	begin(&w, *version, 2);
	w.t.shift = 5000000;
	put_exit(&w.t, 0, 1000, 100, 0, VMX, 10, 0);
	put_exit(&w.t, 1, 2000, 101, 1, VMX, 10, 0);
	write_and_open(&w);
	assert_string_equal(text(&w, "SELECT group_concat(ts) FROM event"), "5001000,5002000");
	end(&w);
}

/* Memory-mapped accesses, and one that an ioeventfd takes. */
static void mmio(void **state)
{
	struct world w;
	struct td *t = &w.t;

	(void)state;
	begin(&w, 7, 1);
	put_exit(t, 0, 1000, 100, 0, VMX, 49, 0);
	TD(t, 0, 0, 1100, 100, TD_MMIO, 2, 4, 0xfebf3000, 1);
	TD(t, 0, 0, 1200, 100, TD_USERSPACE_EXIT, 6, 0);
	put_entry(t, 0, 1300, 100, 0);
	put_exit(t, 0, 2000, 100, 0, VMX, 49, 0);
	TD(t, 0, 0, 2100, 100, TD_FAST_MMIO, 0xfebf3000);
	put_entry(t, 0, 2300, 100, 0);
	put_exit(t, 0, 3000, 100, 0, VMX, 49, 0);
	TD(t, 0, 0, 3100, 100, TD_MMIO, 0, 4, 0xfebf3004, 0);
	TD(t, 0, 0, 3150, 100, TD_USERSPACE_EXIT, 6, (uint64_t)-4);
	TD(t, 0, 0, 3200, 100, TD_USERSPACE_EXIT, 6, 0);
	TD(t, 0, 0, 3250, 100, TD_MMIO, 1, 4, 0xfebf3004, 0x55);
	put_entry(t, 0, 3300, 100, 0);
	write_and_open(&w);
	assert_string_equal(
		text(&w, "SELECT space || ' ' || addr || ' ' || size || ' ' || is_write || ' ' ||"
			 " value || ' ' || kvm_reason_name FROM v_exit WHERE id = 1"),
		"MMIO 4273942528 4 1 1 KVM_EXIT_MMIO");
	assert_int_equal(
		number(&w,
			"SELECT count(*) FROM v_exit WHERE id = 2 AND addr = 4273942528 AND is_write"
			" AND size IS NULL AND value IS NULL AND kvm_reason IS NULL"),
		1);
	assert_string_equal(
		text(&w, "SELECT is_write || ' ' || value || ' ' || kvm_reason_name FROM v_exit"
			 " WHERE id = 3"),
		"0 85 KVM_EXIT_MMIO");
	end(&w);
}

/* --- requests ------------------------------------------------------------------------------- */

#define VCPU 100
#define IO 200
#define MAIN 300
#define MSI_DATA 0x26

/* A write to the queue's notify port by vCPU 0, up to KVM_RUN's return. */
static void put_notify(struct td *t, uint64_t ts)
{
	put_entry(t, 0, ts, VCPU, 0);
	put_exit(t, 0, ts + 100, VCPU, 0, SVM, 0x7b, 0xc0100020);
	TD(t, 0, 0, ts + 110, VCPU, TD_PIO, 0, 1, 0xc010, 2, 1);
	TD(t, 0, 0, ts + 120, VCPU, TD_USERSPACE_EXIT, 2, 0);
	TD(t, 0, 0, ts + 130, VCPU, TD_SYS_EXIT_IOCTL, 16, 0);
}

/* The main thread raises the interrupt, and the vCPU gets it with its next entry. */
static void put_completion(struct td *t, uint64_t ts, uint64_t data)
{
	TD(t, 0, 1, ts, MAIN, TD_SYS_ENTER_IOCTL, 16, 9, 0x4020aea5, 0);
	TD(t, 0, 1, ts + 10, MAIN, TD_MSI, 0xfee00000, data);
	TD(t, 0, 1, ts + 20, MAIN, TD_SYS_EXIT_IOCTL, 16, 1);
	TD(t, 0, 0, ts + 30, VCPU, TD_SYS_ENTER_IOCTL, 16, 11, 0xae80, 0);
	TD(t, 0, 0, ts + 40, VCPU, TD_INJ, data, 0, 0);
	put_entry(t, 0, ts + 50, VCPU, 0);
}

/* "2 kvm_entry, 3 kvm_exit, …": stage and kind of each step, absent ones as "-". */
static const char *path_of(struct world *w, int request)
{
	char sql[384];

	snprintf(sql, sizeof(sql),
		"SELECT group_concat(x, ', ') FROM (SELECT s.stage || ' ' || CASE s.what WHEN 'event' THEN"
		" k.name WHEN 'absent' THEN '-' ELSE s.what END AS x FROM step s LEFT JOIN event e ON e.id ="
		" s.event_id LEFT JOIN event_kind k ON k.id = e.kind WHERE request_id = %d ORDER BY n)",
		request);
	return text(w, sql);
}

/* vCPU → wake-up → I/O thread → wake-up → main thread → interrupt → vCPU, twice; another interrupt between. */
static void request_over_threads(void **state)
{
	struct world w;
	struct td *t = &w.t;

	(void)state;
	begin(&w, 7, 2);
	for (uint64_t i = 0; i < 2; i++) {
		uint64_t ts = 10000 * (i + 1);

		put_notify(t, ts);
		TD(t, 0, 0, ts + 200, VCPU, TD_WAKING, 'v', IO, 1);
		TD(t, 0, 1, ts + 300, IO, TD_SYS_ENTER_PWRITE, 18, 12, 0x7f00, 512,
			(12288 + i) * 512);
		TD(t, 0, 1, ts + 350, IO, TD_ISSUE, 8u << 20, 99, 1, 512, 'W');
		TD(t, 0, 1, ts + 400, IO, TD_SYS_EXIT_PWRITE, 18, 512);
		TD(t, 0, 1, ts + 450, IO, TD_WAKING, 'v', MAIN, 0);
		put_completion(t, ts + 600, MSI_DATA);
		TD(t, 0, 1, ts + 900, MAIN, TD_MSI, 0xfee00000, 0x99); /* of a network card, say */
	}
	write_and_open(&w);
	assert_int_equal(number(&w, "SELECT count(*) FROM request"), 2);
	for (int i = 1; i <= 2; i++)
		assert_string_equal(path_of(&w, i),
			"1 -, 2 kvm_entry, 2 -, 3 kvm_exit, 3 kvm_pio, 3 -, 4 kvm_userspace_exit, 4 sys_exit,"
			" 5 sched_waking, 5 -, 6 handover, 6 sys_enter, 6 block_rq_issue, 6 sys_exit,"
			" 7 sched_waking, 7 handover, 7 sys_enter, 7 kvm_msi_set_irq, 7 sys_exit,"
			" 8 sys_enter, 8 kvm_inj_virq, 8 kvm_entry, 9 -");
	assert_string_equal(
		text(&w,
			"SELECT group_concat(device || ' ' || type || ' ' || sector || ' ' || bytes ||"
			" ' ' || kick || ' ' || thread, ', ') FROM v_request"),
		"port 0xc010 VIRTIO_BLK_T_OUT 12288 512 exit vmm-io-200,"
		" port 0xc010 VIRTIO_BLK_T_OUT 12289 512 exit vmm-io-200");
	assert_string_equal(
		text(&w,
			"SELECT t_first || ' ' || t_kick || ' ' || t_host || ' ' || t_host_ret ||"
			" ' ' || t_irq || ' ' || t_entry || ' ' || t_last FROM request WHERE id = 1"),
		"10000 10100 10300 10400 10610 10650 10650");
	/* Guest 100; KVM 30 to the ioctl's return, 10 in KVM_SIGNAL_MSI twice, 10 + 10 in KVM_RUN; the call
	 * 100; the rest is the VMM's, or waits for the thread that was woken. */
	assert_string_equal(
		text(&w,
			"SELECT group_concat(n.name || ' ' || b.ns, ', ') FROM budget b JOIN enum_name n"
			" ON n.enum = 'layer' AND n.value = b.layer WHERE request_id = 1 AND b.ns > 0"),
		"kvm 70, vmm 130, host_kernel 100, waiting 250, guest 100");
	end(&w);
}

/* The I/O on the vCPU's own thread, and a read that the trace has no system call of. */
static void request_on_one_thread(void **state)
{
	struct world w;
	struct td *t = &w.t;

	(void)state;
	begin(&w, 6, 2);
	put_notify(t, 10000);
	TD(t, 0, 0, 10300, VCPU, TD_SYS_ENTER_PWRITE, 18, 12, 0x7f00, 512, 512);
	TD(t, 0, 0, 10400, VCPU, TD_SYS_EXIT_PWRITE, 18, (uint64_t)-5);
	put_completion(t, 10600, MSI_DATA);
	put_notify(t, 20000);
	put_completion(t, 20600, MSI_DATA);
	write_and_open(&w);
	assert_string_equal(path_of(&w, 1),
		"1 -, 2 kvm_entry, 2 -, 3 kvm_exit, 3 kvm_pio, 3 -, 4 kvm_userspace_exit, 4 sys_exit, 5 -,"
		" 6 sys_enter, 6 sys_exit, 6 -, 7 -, 7 sys_enter, 7 kvm_msi_set_irq, 7 sys_exit, 8 sys_enter,"
		" 8 kvm_inj_virq, 8 kvm_entry, 9 -");
	assert_int_equal(number(&w, "SELECT bytes FROM v_request WHERE id = 1"), QUERY_NULL);
	assert_string_equal(path_of(&w, 2),
		"1 -, 2 kvm_entry, 2 -, 3 kvm_exit, 3 kvm_pio, 3 -, 4 kvm_userspace_exit, 4 sys_exit, 5 -,"
		" 6 -, 7 sys_enter, 7 kvm_msi_set_irq, 7 sys_exit, 8 sys_enter, 8 kvm_inj_virq, 8 kvm_entry, 9 -");
	assert_int_equal(
		number(&w,
			"SELECT count(*) FROM v_request WHERE id = 2 AND type IS NULL AND sector IS NULL"
			" AND status IS NULL"),
		1);
	end(&w);
}

/* An ioeventfd takes the notification: KVM_RUN does not return, the guest goes on, a thread is woken. */
static void request_by_ioeventfd(void **state)
{
	struct world w;
	struct td *t = &w.t;

	(void)state;
	begin(&w, 7, 2);
	for (uint64_t ts = 10000; ts <= 30000; ts += 10000) {
		put_entry(t, 0, ts, VCPU, 0);
		put_exit(t, 0, ts + 100, VCPU, 0, VMX, 49, 0);
		TD(t, 0, 0, ts + 110, VCPU, TD_FAST_MMIO, 0xfebf3000);
		TD(t, 0, 0, ts + 120, VCPU, TD_WAKING, 'v', IO, 1);
		put_entry(t, 0, ts + 130, VCPU, 0);
		TD(t, 0, 1, ts + 300, IO, TD_SYS_ENTER_PWRITE, 18, 12, 0x7f00, 512, ts);
		TD(t, 0, 1, ts + 400, IO, TD_SYS_EXIT_PWRITE, 18, 512);
		TD(t, 0, 1, ts + 410, IO, TD_MSI, 0xfee00000, MSI_DATA);
	}
	write_and_open(&w);
	assert_int_equal(number(&w, "SELECT count(*) FROM v_request WHERE kick = 'ioeventfd' AND"
				    " device = 'MMIO 0xfebf3000'"),
		3);
	assert_string_equal(path_of(&w, 1),
		"1 -, 2 kvm_entry, 2 -, 3 kvm_exit, 3 kvm_fast_mmio, 3 sched_waking, 3 -, 4 -, 5 -,"
		" 6 handover, 6 sys_enter, 6 sys_exit, 6 -, 7 kvm_msi_set_irq, 7 -, 8 kvm_entry, 9 -");
	end(&w);
}

/* Writes that nothing follows are no notifications, whatever they look like. */
static void no_requests(void **state)
{
	struct world w;

	(void)state;
	begin(&w, 7, 2);
	put_notify(&w.t, 10000);
	put_notify(&w.t, 20000);
	TD(&w.t, 0, 1, 30000, 999, TD_SYS_ENTER_PWRITE, 18, 12, 0x7f00, 512,
		512); /* no thread of the VMM */
	write_and_open(&w);
	assert_int_equal(number(&w, "SELECT count(*) FROM request"), 0);
	end(&w);
}

/* Inputs that cannot be imported: one sentence, and a recording that is there stays. */
static void wrong_inputs(void **state)
{
	static const struct {
		const char *bytes;
		size_t len;
		int error;
		const char *says;
	} c[] = {
		{"", 0, -ENODATA, "is empty"},
		{"hello, world", 12, -EPROTO, "is not a trace.dat file"},
		{"SQLite format 3\0", 16, -EPROTO, "is a recording"},
		{"\x17\x08\x44tracing9\0\0\10", 14, -EPROTO, "another version"},
		{"\x17\x08\x44tracing6\0\0\10\0\20\0\0", 18, -EIO, "nothing could be read"},
		{"\x17\x08\x44tracing7\0\0\10\0\20\0\0zstd\0", 23, -EIO, "nothing could be read"},
	};
	struct world w;

	(void)state;
	begin(&w, 6, 1);
	for (size_t i = 0; i < sizeof(c) / sizeof(c[0]); i++) {
		FILE *f = fopen(w.dat, "we");

		fwrite(c[i].bytes, 1, c[i].len, f);
		fclose(f);
		w.e.msg[0] = '\0';
		assert_int_equal(import(&w), c[i].error);
		if (!strstr(w.e.msg, c[i].says))
			fail_msg("%s", w.e.msg);
		assert_int_equal(access(w.s.file, F_OK), -1);
	}
	/* Good, but nothing that exitwalk knows. */
	TD(&w.t, 0, 0, 100, 1, TD_UNKNOWN, 1);
	td_write(&w.t, w.dat);
	w.e.msg[0] = '\0';
	assert_int_equal(import(&w), -ENODATA);
	assert_int_equal(access(w.s.file, F_OK), -1);
	end(&w);
}

int main(void)
{
	static int six = 6, seven = 7;
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_prestate(two_vcpus, &six),
		cmocka_unit_test_prestate(two_vcpus, &seven),
		cmocka_unit_test_prestate(system_calls_and_tasks, &six),
		cmocka_unit_test_prestate(system_calls_and_tasks, &seven),
		cmocka_unit_test(exit_reasons),
		cmocka_unit_test(qualifications),
		cmocka_unit_test_prestate(losses, &six),
		cmocka_unit_test_prestate(losses, &seven),
		cmocka_unit_test_prestate(several_buffers, &six),
		cmocka_unit_test_prestate(several_buffers, &seven),
		cmocka_unit_test_prestate(other_clock, &six),
		cmocka_unit_test_prestate(other_clock, &seven),
		cmocka_unit_test_prestate(time_shift, &six),
		cmocka_unit_test_prestate(time_shift, &seven),
		cmocka_unit_test(mmio),
		cmocka_unit_test(request_over_threads),
		cmocka_unit_test(request_on_one_thread),
		cmocka_unit_test(request_by_ioeventfd),
		cmocka_unit_test(no_requests),
		cmocka_unit_test(wrong_inputs),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
