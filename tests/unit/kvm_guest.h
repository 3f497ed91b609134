/* SPDX-License-Identifier: MIT */
/*
 * A machine on KVM whose guest is a few bytes of code, recorded on tapes. Tests that use it are skipped where
 * /dev/kvm cannot be used.
 */
#ifndef EXITWALK_TESTS_KVM_GUEST_H
#define EXITWALK_TESTS_KVM_GUEST_H

#include <elf.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "vmm/guest_abi.h"
#include "vmm/kick.h"
#include "vmm/layout.h"
#include "vmm/machine.h"
#include "vmm/watch.h"

#define CODE 0x100000
#define DATA (CODE + 0x80)
#define MAX_RECORDS 1024

struct tape {
	struct probe probe;
	unsigned n;
	struct ew_rec rec[MAX_RECORDS];
	struct ew_exit_payload exit[MAX_RECORDS];
	struct ew_marker marker;
};

static inline void record(struct probe *p, const struct ew_rec *rec, const void *payload)
{
	struct tape *t = (struct tape *)p;

	if (t->n == MAX_RECORDS)
		return;
	t->rec[t->n] = *rec;
	if (rec->kind == EW_RUN_EXIT)
		memcpy(&t->exit[t->n], payload, sizeof(t->exit[0]));
	if (rec->kind == EW_MARKER)
		memcpy(&t->marker, payload, sizeof(t->marker));
	t->n++;
}

struct fixture {
	struct machine m;
	struct tape tape, second; /* of vCPU 0, of vCPU 1 */
	struct guest_output output;
	char disk[64];
	struct kernel {
		Elf64_Ehdr h;
		Elf64_Phdr p;
		uint8_t bytes[0x200];
	} kernel;
};

/* A machine whose guest is `code`, loaded at CODE, and recorded on the tapes. */
static inline struct fixture *make_cpus(unsigned cpus, const char *code, size_t len)
{
	struct fixture *f = calloc(1, sizeof(*f));
	struct err e = {""};
	struct machine_config c;
	int fd, rc;

	if (access(KVM_DEVICE, R_OK | W_OK)) {
		free(f);
		skip();
	}
	assert_non_null(f);
	f->kernel.h = (Elf64_Ehdr){
		.e_ident = {ELFMAG0, ELFMAG1, ELFMAG2, ELFMAG3, ELFCLASS64, ELFDATA2LSB,
			EV_CURRENT},
		.e_type = ET_EXEC,
		.e_machine = EM_X86_64,
		.e_entry = CODE,
		.e_phoff = offsetof(struct kernel, p),
		.e_phentsize = sizeof(Elf64_Phdr),
		.e_phnum = 1,
	};
	f->kernel.p = (Elf64_Phdr){
		.p_type = PT_LOAD,
		.p_offset = offsetof(struct kernel, bytes),
		.p_paddr = CODE,
		.p_filesz = sizeof(f->kernel.bytes),
		.p_memsz = sizeof(f->kernel.bytes),
	};
	memcpy(f->kernel.bytes, code, len);
	strcpy(f->disk, "/tmp/exitwalk-test-XXXXXX");
	fd = mkstemp(f->disk);
	assert_int_equal(ftruncate(fd, 4096), 0);
	close(fd);
	guest_output_init(&f->output, -1);
	c = (struct machine_config){
		.kvm_device = KVM_DEVICE,
		.kernel = &f->kernel,
		.kernel_len = sizeof(f->kernel),
		.cmdline = "",
		.ram = LAYOUT_RAM_MIN_MIB << 20,
		.cpus = cpus,
		.disk = {{.path = f->disk}},
		.disks = 1,
		.output = &f->output,
	};
	rc = machine_create(&f->m, &c, &e);
	unlink(f->disk);
	if (rc)
		fail_msg("%s", e.msg);
	f->tape.probe.emit = f->second.probe.emit = record;
	machine_record(&f->m, 0, &f->tape.probe, NULL);
	if (cpus > 1)
		machine_record(&f->m, 1, &f->second.probe, NULL);
	assert_int_equal(kick_init(&e), 0);
	return f;
}

static inline struct fixture *make(const char *code, size_t len)
{
	return make_cpus(1, code, len);
}

static inline void drop(struct fixture *f)
{
	machine_destroy(&f->m);
	free(f);
}

/* Runs the guest for at most a second. */
static inline enum ew_stop run(struct fixture *f)
{
	struct err e = {""};
	struct watch w = {.tick = NULL};
	enum ew_stop why;

	assert_int_equal(watch_start(&w, &f->m.cpus.stop, &e), 0);
	watch_limit(&w, 1);
	why = machine_run(&f->m);
	watch_end(&w);
	return why;
}

static inline const struct ew_rec *nth_of(const struct tape *t, enum ew_kind kind, unsigned n)
{
	for (unsigned i = 0; i < t->n; i++)
		if (t->rec[i].kind == kind && n-- == 0)
			return &t->rec[i];
	return NULL;
}

/* The n-th record of a kind (from 0) of vCPU 0, or NULL. */
static inline const struct ew_rec *nth(const struct fixture *f, enum ew_kind kind, unsigned n)
{
	return nth_of(&f->tape, kind, n);
}

static inline const struct ew_exit_payload *nth_exit(const struct fixture *f, unsigned n)
{
	const struct ew_rec *r = nth(f, EW_RUN_EXIT, n);

	return r ? &f->tape.exit[r - f->tape.rec] : NULL;
}

#define EXIT "\xb0\x07\xe6\xf4\xf4" /* mov $7, %al; out %al, $0xf4; hlt */

#endif
