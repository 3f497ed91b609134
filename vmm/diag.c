// SPDX-License-Identifier: MIT
/* Explains INTERNAL_ERROR, FAIL_ENTRY, SHUTDOWN and the other ends that nobody asked for. */
#include <inttypes.h>
#include <string.h>
#include <sys/ioctl.h>

#include "diag.h"
#include "tracer/elf_symbols.h"
#include "tracer/insn.h"

static const char *const stop_texts[] = {
#define STOP(id, v, n) [v] = n,
#include "tracer/names.def"
};

const char *stop_text(enum ew_stop why)
{
	const char *text = why < EW_STOP_MAX ? stop_texts[why] : NULL;

	return text ? text : "unknown reason";
}

bool diag_wanted(enum ew_stop why)
{
	switch (why) {
	case EW_STOP_TIMEOUT: /* where does it hang? */
	case EW_STOP_SHUTDOWN:
	case EW_STOP_INTERNAL_ERROR:
	case EW_STOP_FAIL_ENTRY:
	case EW_STOP_RUN_FAILED:
	case EW_STOP_UNHANDLED:
	case EW_STOP_HALT:
		return true;
	default:
		return false;
	}
}

/* <linux/kvm.h>, KVM_INTERNAL_ERROR_* */
static const char *suberror(uint32_t n)
{
	static const char *const text[] = {
		[1] = "KVM_INTERNAL_ERROR_EMULATION: an instruction that KVM's emulator does not "
		      "know",
		[2] = "KVM_INTERNAL_ERROR_SIMUL_EX: exceptions at the same time",
		[3] = "KVM_INTERNAL_ERROR_DELIVERY_EV: an event could not be delivered",
		[4] = "KVM_INTERNAL_ERROR_UNEXPECTED_EXIT_REASON: an unexpected hardware exit",
	};

	return n < sizeof(text) / sizeof(text[0]) && text[n] ? text[n] : "unknown suberror";
}

/*
 * With suberror 1 and the flag, KVM gives the instruction's length and bytes as KVM saw them
 * (api.rst 5, emulation_failure); else ndata words whose meaning is the backend's.
 */
static void print_internal_error(FILE *out, const struct kvm_run *run)
{
	uint32_t n = run->internal.ndata;

	fprintf(out, "  suberror %u (%s)\n", run->internal.suberror,
		suberror(run->internal.suberror));
	if (n > sizeof(run->internal.data) / sizeof(run->internal.data[0]))
		n = sizeof(run->internal.data) / sizeof(run->internal.data[0]);
	if (n) {
		fprintf(out, "  data");
		for (uint32_t i = 0; i < n; i++)
			fprintf(out, " 0x%" PRIx64, (uint64_t)run->internal.data[i]);
		fputc('\n', out);
	}
	if (run->internal.suberror == KVM_INTERNAL_ERROR_EMULATION && n >= 3 &&
		(run->emulation_failure.flags &
			KVM_INTERNAL_ERROR_EMULATION_FLAG_INSTRUCTION_BYTES)) {
		unsigned size = run->emulation_failure.insn_size;
		char text[INSN_TEXT_MAX];

		if (size > sizeof(run->emulation_failure.insn_bytes))
			size = sizeof(run->emulation_failure.insn_bytes);
		insn_format(run->emulation_failure.insn_bytes, size, 0, text, sizeof(text));
		fprintf(out, "  KVM's emulator saw: %s\n", text);
	}
}

static void print_reason(FILE *out, const struct vcpu *v)
{
	const struct kvm_run *run = v->run;
	uint32_t last;

	switch (stop_why(v->stop)) {
	case EW_STOP_INTERNAL_ERROR:
		print_internal_error(out, run);
		break;
	case EW_STOP_FAIL_ENTRY:
		fprintf(out, "  hardware entry failure reason 0x%" PRIx64 " on CPU %u\n",
			(uint64_t)run->fail_entry.hardware_entry_failure_reason,
			run->fail_entry.cpu);
		break;
	case EW_STOP_SHUTDOWN:
		if (run->exit_reason == KVM_EXIT_SYSTEM_EVENT)
			fprintf(out, "  system event %u\n", run->system_event.type);
		else
			fprintf(out, "  on SVM, KVM has reset the registers below\n");
		break;
	case EW_STOP_RUN_FAILED:
		/* Not run->exit_reason, which KVM need not have set. */
		last = v->history[v->exits % VCPU_HISTORY].reason;
		fprintf(out, "  %s; exit reason %u (%s)\n", strerror(v->stop->status), last,
			exit_name(last));
		break;
	case EW_STOP_UNHANDLED:
		fprintf(out, "  exit reason %u (%s)\n", run->exit_reason,
			exit_name(run->exit_reason));
		if (run->exit_reason == KVM_EXIT_UNKNOWN)
			fprintf(out, "  hardware exit reason 0x%" PRIx64 "\n",
				(uint64_t)run->hw.hardware_exit_reason);
		break;
	default:
		break;
	}
}

static void print_registers(FILE *out, const struct kvm_regs *r, const struct kvm_sregs *s)
{
	const struct {
		const char *name;
		uint64_t value;
	} reg[] = {
		{"rax", r->rax},
		{"rbx", r->rbx},
		{"rcx", r->rcx},
		{"rdx", r->rdx},
		{"rsi", r->rsi},
		{"rdi", r->rdi},
		{"rsp", r->rsp},
		{"rbp", r->rbp},
		{"r8", r->r8},
		{"r9", r->r9},
		{"r10", r->r10},
		{"r11", r->r11},
		{"r12", r->r12},
		{"r13", r->r13},
		{"r14", r->r14},
		{"r15", r->r15},
		{"rip", r->rip},
		{"rflags", r->rflags},
		{"cr0", s->cr0},
		{"cr2", s->cr2},
		{"cr3", s->cr3},
		{"cr4", s->cr4},
		{"efer", s->efer},
	};
	size_t n = sizeof(reg) / sizeof(reg[0]);

	for (size_t i = 0; i < n; i++)
		fprintf(out, "%s%-6s %016" PRIx64 "%s", "  ", reg[i].name, reg[i].value,
			i % 3 == 2 || i == n - 1 ? "\n" : "");
	fprintf(out, "  cs %04x (CPL %u)  ss %04x  tr %04x  gdt %" PRIx64 "  idt %" PRIx64 "\n",
		s->cs.selector, s->ss.dpl, s->ss.selector, s->tr.selector, (uint64_t)s->gdt.base,
		(uint64_t)s->idt.base);
}

static void print_code(FILE *out, const struct vcpu *v, uint64_t rip, uint64_t cr3)
{
	uint8_t code[48];
	uint64_t n = mem_read_virt(v->mem, cr3, rip, code, sizeof(code)), at = 0;

	if (n == 0) {
		fprintf(out, "  code: rip is not in mapped memory\n");
		return;
	}
	fprintf(out, "  code at rip:\n");
	for (unsigned i = 0; i < 5 && at < n; i++) {
		char text[INSN_TEXT_MAX];
		unsigned len = insn_format(code + at, n - at, rip + at, text, sizeof(text));

		fprintf(out, "    %016" PRIx64 "  ", rip + at);
		for (unsigned b = 0; b < INSN_MAX; b++)
			if (b < (len ? len : 1))
				fprintf(out, "%02x ", code[at + b]);
			else if (b < 8)
				fprintf(out, "   ");
		fprintf(out, " %s\n", text);
		if (len == 0)
			break;
		at += len;
	}
}

static void print_history(FILE *out, const struct vcpu *v)
{
	uint64_t first = v->exits > VCPU_HISTORY ? v->exits - VCPU_HISTORY + 1 : 1;

	if (v->exits == 0)
		return;
	fprintf(out, "  the last exits:\n");
	for (uint64_t n = first; n <= v->exits; n++) {
		const struct exit_note *x = &v->history[n % VCPU_HISTORY];

		fprintf(out, "    %8" PRIu64 " %s", x->number, exit_name(x->reason));
		if (x->space != EW_SPACE_MAX)
			fprintf(out, " %s %s 0x%" PRIx64 ", %u byte%s",
				x->is_write ? "write to" : "read from",
				x->space == EW_SPACE_PIO ? "port" : "address", x->addr, x->size,
				x->size == 1 ? "" : "s");
		if (x->count > 1)
			fprintf(out, ", %u times", x->count);
		if (x->rip)
			fprintf(out, ", rip 0x%" PRIx64, x->rip);
		fputc('\n', out);
	}
}

/* A processor that the guest has not started has nothing to show. */
static bool waits_for_start(const struct vcpu *v)
{
	struct kvm_mp_state mp;

	return ioctl(v->fd, KVM_GET_MP_STATE, &mp) == 0 &&
	       (mp.mp_state == KVM_MP_STATE_UNINITIALIZED ||
		       mp.mp_state == KVM_MP_STATE_INIT_RECEIVED);
}

static void print_vcpu(FILE *out, struct vcpu *v)
{
	struct kvm_regs regs;
	struct kvm_sregs sregs;

	if (waits_for_start(v)) {
		fprintf(out, "  not started by the guest: it waits for INIT and SIPI\n");
		return;
	}
	if (ioctl(v->fd, KVM_GET_REGS, &regs) == 0 && ioctl(v->fd, KVM_GET_SREGS, &sregs) == 0) {
		print_registers(out, &regs, &sregs);
		print_code(out, v, regs.rip, sregs.cr3);
	}
	print_history(out, v);
}

struct symbol_at {
	uint64_t addr;
	char text[96];
};

static int symbol_at(void *ctx, uint64_t addr, uint64_t size, const char *name)
{
	struct symbol_at *s = ctx;

	if (s->addr < addr || s->addr - addr >= size)
		return 0;
	snprintf(s->text, sizeof(s->text), " %s+0x%" PRIx64, name, s->addr - addr);
	err_clean(s->text);
	return 1;
}

void diag_where(FILE *out, struct vcpu *v, const void *kernel, size_t len, const char *end)
{
	char insn[INSN_TEXT_MAX] = "not in mapped memory";
	struct kvm_mp_state mp = {.mp_state = KVM_MP_STATE_RUNNABLE};
	struct symbol_at s = {.text = ""};
	struct kvm_sregs sregs;
	struct kvm_regs regs;
	uint8_t code[INSN_MAX];
	uint64_t n;

	if (waits_for_start(v) || ioctl(v->fd, KVM_GET_REGS, &regs) ||
		ioctl(v->fd, KVM_GET_SREGS, &sregs))
		return;
	ioctl(v->fd, KVM_GET_MP_STATE, &mp);
	s.addr = regs.rip;
	elf_symbols(kernel, len, symbol_at, &s, "", NULL);
	n = mem_read_virt(v->mem, sregs.cr3, regs.rip, code, sizeof(code));
	if (n)
		insn_format(code, n, regs.rip, insn, sizeof(insn));
	fprintf(out, "  vCPU %u: RIP 0x%016" PRIx64 "%s: %s%s", v->id, (uint64_t)regs.rip, s.text,
		mp.mp_state == KVM_MP_STATE_HALTED ? "halted, it waits for an interrupt" : insn,
		end);
}

void diag_print(FILE *out, struct cpus *c)
{
	int who = c->stop.vcpu;

	fprintf(out, "%s\n", stop_text(stop_why(&c->stop)));
	for (unsigned i = 0; i < c->count; i++) {
		if (who != STOP_NO_VCPU && who != (int)i)
			continue;
		if (c->count > 1)
			fprintf(out, "vCPU %u\n", i);
		if (who == (int)i)
			print_reason(out, &c->vcpu[i]);
		print_vcpu(out, &c->vcpu[i]);
	}
}
