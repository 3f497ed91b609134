// SPDX-License-Identifier: MIT
/* Questions that only a running guest answers: SYSCALL from ring 3, and the ways of guest debug. */
#include <errno.h>
#include <stdarg.h>
#include <string.h>
#include <sys/ioctl.h>

#include "backend.h"
#include "tinyvm.h"

#define LIMIT_MS 1000

#define MSR_STAR 0xc0000081
#define MSR_LSTAR 0xc0000082
#define MSR_SFMASK 0xc0000084
#define EFER_SCE 1

/* OUT imm8 to this port says "arrived"; nothing is behind it. */
#define PORT "\x80"

__attribute__((format(printf, 4, 5))) static enum backend_answer answer(
	enum backend_answer a, char *detail, size_t size, const char *fmt, ...)
{
	va_list ap;

	va_start(ap, fmt);
	vsnprintf(detail, size, fmt, ap);
	va_end(ap);
	return a;
}

static enum backend_answer no_exit(int rc, const struct err *e, char *detail, size_t size)
{
	if (rc == -ETIME)
		return answer(BACKEND_NO, detail, size, "the test guest did not get there in %d ms",
			LIMIT_MS);
	return answer(BACKEND_UNKNOWN, detail, size, "%s", e->msg[0] ? e->msg : strerror(-rc));
}

static enum backend_answer other_exit(int rc, char *detail, size_t size)
{
	return answer(
		BACKEND_NO, detail, size, "the test guest ended in %s", exit_name((uint32_t)rc));
}

static int enable_syscall(struct tinyvm *t, struct err *e)
{
	struct kvm_sregs sregs;
	int rc;

	if (ioctl(t->vcpu.fd, KVM_GET_SREGS, &sregs))
		return err_set(e, -errno, "KVM_GET_SREGS failed: %s", strerror(errno));
	sregs.efer |= EFER_SCE;
	if (ioctl(t->vcpu.fd, KVM_SET_SREGS, &sregs))
		return err_set(e, -errno, "EFER.SCE cannot be set: %s", strerror(errno));
	rc = vcpu_set_msr(&t->vcpu, MSR_STAR, 0x23ull << 48 | (uint64_t)TINYVM_KERNEL_CS << 32, e);
	if (rc == 0)
		rc = vcpu_set_msr(&t->vcpu, MSR_LSTAR, TINYVM_ENTRY, e);
	if (rc == 0)
		rc = vcpu_set_msr(&t->vcpu, MSR_SFMASK, 0, e);
	return rc;
}

/* Ring 0 goes to ring 3 by IRETQ, ring 3 executes SYSCALL, and the code at LSTAR reports its CS. */
static int run_syscall(struct tinyvm *t, struct err *e)
{
	static const char ring0[] = "\x6a\x2b"             /* push $0x2b (ss) */
				    "\x68\x00\x60\x00\x00" /* push $0x6000 (rsp) */
				    "\x6a\x02"             /* push $2 (rflags) */
				    "\x6a\x33"             /* push $0x33 (cs) */
				    "\x68\x00\x90\x00\x00" /* push $TINYVM_USER (rip) */
				    "\x48\xcf";            /* iretq */
	static const char ring3[] = "\x0f\x05"             /* syscall */
				    "\xeb\xfe";            /* jmp . */
	static const char entry[] = "\x8c\xc8"             /* mov %cs, %eax */
				    "\xe6" PORT            /* out %al, $0x80 */
				    "\xeb\xfe";            /* jmp . */
	int rc = enable_syscall(t, e);

	if (rc)
		return rc;
	tinyvm_code(t, TINYVM_CODE, ring0, sizeof(ring0));
	tinyvm_code(t, TINYVM_USER, ring3, sizeof(ring3));
	tinyvm_code(t, TINYVM_ENTRY, entry, sizeof(entry));
	return tinyvm_run(t, LIMIT_MS, e);
}

enum backend_answer backend_syscall(const char *kvm_device, char *detail, size_t size)
{
	struct err e = {""};
	struct tinyvm t;
	int rc = tinyvm_create(&t, kvm_device, &e);
	uint8_t cs;

	if (rc)
		return no_exit(rc, &e, detail, size);
	rc = run_syscall(&t, &e);
	cs = rc == KVM_EXIT_IO ? ((uint8_t *)t.vcpu.run)[t.vcpu.run->io.data_offset] : 0xff;
	tinyvm_destroy(&t);
	if (rc < 0)
		return no_exit(rc, &e, detail, size);
	if (rc == KVM_EXIT_SHUTDOWN)
		return answer(BACKEND_NO, detail, size,
			"a test guest's SYSCALL did not arrive at LSTAR in ring 0 "
			"(KVM_EXIT_SHUTDOWN)");
	if (rc != KVM_EXIT_IO)
		return other_exit(rc, detail, size);
	if (cs & 3)
		return answer(BACKEND_NO, detail, size, "SYSCALL arrived with CS 0x%x", cs);
	return answer(BACKEND_YES, detail, size, "SYSCALL arrived at LSTAR with CS 0x%x", cs);
}

/* nop, nop, nop, out: with debug on, KVM_EXIT_DEBUG is to come at `pc` and not the OUT. */
static enum backend_answer debug_exit(const char *kvm_device, const struct kvm_guest_debug *debug,
	const char *code, uint64_t pc, char *detail, size_t size)
{
	struct err e = {""};
	struct tinyvm t;
	uint64_t at = 0;
	int rc = tinyvm_create(&t, kvm_device, &e);

	if (rc)
		return no_exit(rc, &e, detail, size);
	tinyvm_code(&t, TINYVM_CODE, code, strlen(code));
	if (ioctl(t.vcpu.fd, KVM_SET_GUEST_DEBUG, debug)) {
		rc = errno;
		tinyvm_destroy(&t);
		return answer(BACKEND_NO, detail, size, "KVM_SET_GUEST_DEBUG: %s", strerror(rc));
	}
	rc = tinyvm_run(&t, LIMIT_MS, &e);
	if (rc == KVM_EXIT_DEBUG)
		at = t.vcpu.run->debug.arch.pc;
	tinyvm_destroy(&t);
	if (rc < 0)
		return no_exit(rc, &e, detail, size);
	if (rc == KVM_EXIT_IO)
		return answer(BACKEND_NO, detail, size, "the guest ran on without KVM_EXIT_DEBUG");
	if (rc != KVM_EXIT_DEBUG)
		return other_exit(rc, detail, size);
	if (at != pc)
		return answer(BACKEND_NO, detail, size,
			"KVM_EXIT_DEBUG came at 0x%llx, not at 0x%llx", (unsigned long long)at,
			(unsigned long long)pc);
	return answer(BACKEND_YES, detail, size, "KVM_EXIT_DEBUG came where it should");
}

enum backend_answer backend_single_step(const char *kvm_device, char *detail, size_t size)
{
	struct kvm_guest_debug debug = {.control = KVM_GUESTDBG_ENABLE | KVM_GUESTDBG_SINGLESTEP};

	return debug_exit(kvm_device, &debug, "\x90\x90\x90\xe6" PORT "\xeb\xfe", TINYVM_CODE + 1,
		detail, size);
}

enum backend_answer backend_hw_breakpoint(const char *kvm_device, char *detail, size_t size)
{
	struct kvm_guest_debug debug = {
		.control = KVM_GUESTDBG_ENABLE | KVM_GUESTDBG_USE_HW_BP,
		/* DR0; DR7: G0, bit 10 is always set (SDM vol. 3B 18.2.4) */
		.arch.debugreg = {[0] = TINYVM_CODE + 2, [7] = 0x402},
	};

	return debug_exit(kvm_device, &debug, "\x90\x90\x90\xe6" PORT "\xeb\xfe", TINYVM_CODE + 2,
		detail, size);
}

enum backend_answer backend_int3(const char *kvm_device, char *detail, size_t size)
{
	struct kvm_guest_debug debug = {.control = KVM_GUESTDBG_ENABLE | KVM_GUESTDBG_USE_SW_BP};

	return debug_exit(kvm_device, &debug, "\x90\xcc\x90\xe6" PORT "\xeb\xfe", TINYVM_CODE + 1,
		detail, size);
}
