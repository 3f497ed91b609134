-- SPDX-License-Identifier: MIT
-- exitwalk recording, schema version 3 (PRAGMA user_version), application_id 0x45585731 "EXW1".
-- Tables are the implementation; the v_* views (views.sql and the generated ones) are the contract.
-- Times are nanoseconds of the clock that meta names. 64-bit unsigned values (addresses) are stored as SQLite's
-- signed 64-bit integers with the same bits: print them with printf('%x').

-- Written before the run --------------------------------------------------------------------------
CREATE TABLE meta(key TEXT PRIMARY KEY, value) WITHOUT ROWID;
CREATE TABLE enum_name(enum TEXT NOT NULL, value INTEGER NOT NULL, name TEXT NOT NULL, label TEXT,
	PRIMARY KEY(enum, value)) WITHOUT ROWID;
CREATE TABLE event_kind(id INTEGER PRIMARY KEY, name TEXT NOT NULL, stage INTEGER NOT NULL,
	layer INTEGER NOT NULL, source INTEGER NOT NULL, text TEXT NOT NULL, doc TEXT NOT NULL,
	a0 TEXT, a1 TEXT, a2 TEXT, a3 TEXT, a4 TEXT, a5 TEXT);
CREATE TABLE track(id INTEGER PRIMARY KEY, kind TEXT NOT NULL, vcpu INTEGER, name TEXT NOT NULL);
CREATE TABLE device(id INTEGER PRIMARY KEY, name TEXT NOT NULL, model TEXT);
CREATE TABLE region(id INTEGER PRIMARY KEY, space INTEGER NOT NULL, base INTEGER NOT NULL,
	len INTEGER NOT NULL, device INTEGER, name TEXT NOT NULL);
CREATE TABLE symbol(id INTEGER PRIMARY KEY, addr INTEGER NOT NULL, size INTEGER NOT NULL,
	name TEXT NOT NULL, module TEXT NOT NULL);
CREATE TABLE kvm_stat(vcpu INTEGER NOT NULL, name TEXT NOT NULL, before INTEGER, after INTEGER,
	PRIMARY KEY(vcpu, name)) WITHOUT ROWID;

-- Written during the run, append-only ------------------------------------------------------------
-- id is assigned in time order: paging and stepping need no index. exit_id = the exit during which
-- the event happened (NULL while the vCPU is in KVM_RUN; run_enter carries the exit that it ends).
CREATE TABLE event(id INTEGER PRIMARY KEY, ts INTEGER NOT NULL, dur INTEGER, kind INTEGER NOT NULL,
	track INTEGER NOT NULL, exit_id INTEGER, a0 INTEGER, a1 INTEGER, a2 INTEGER, a3 INTEGER, a4 INTEGER,
	a5 INTEGER);
-- Payloads of events (marker structs, register and stack snapshots, names of tasks).
CREATE TABLE payload(event_id INTEGER PRIMARY KEY, data BLOB NOT NULL);
-- One return of KVM_RUN. The t_* after t_exit are NULL when that did not happen (or the recording was
-- cut off in between). isa, hw_reason, hw_qual: NULL unless a hardware reason was recorded; then an exit
-- is one of the hardware, t_exit is the tracepoint kvm_exit's time, t_entry kvm_entry's, and kvm_reason
-- is NULL unless KVM_RUN returned with it.
-- rip is KVM's; insn_rip is the address of the instruction that exited (derived from the bytes around
-- rip, NULL if they do not tell), insn its bytes.
CREATE TABLE vm_exit(id INTEGER PRIMARY KEY, event_id INTEGER NOT NULL, track INTEGER NOT NULL,
	isa INTEGER, hw_reason INTEGER, hw_qual INTEGER, kvm_reason INTEGER, space INTEGER,
	addr INTEGER, size INTEGER, count INTEGER, is_write INTEGER, value INTEGER, rip INTEGER,
	insn_rip INTEGER, insn BLOB, region INTEGER, result INTEGER, t_exit INTEGER NOT NULL,
	t_dispatch INTEGER, t_done INTEGER, t_entry INTEGER);
-- What every event of the guest's kernel has besides (guest_func and those behind it): the task that ran (name:
-- enum_name 'guest_pid'), flags (bit 0: in a hardware interrupt, 1: in a soft one), its TSC as the guest
-- recorded it, and by how many ns event.ts, which is made of that, may be wrong; NULL: nobody can say.
CREATE TABLE guest_event(event_id INTEGER PRIMARY KEY, pid INTEGER NOT NULL, flags INTEGER NOT NULL,
	tsc INTEGER NOT NULL, error INTEGER);
-- n is NULL where it is not known how many were lost.
CREATE TABLE loss(id INTEGER PRIMARY KEY, track INTEGER NOT NULL, ts0 INTEGER NOT NULL,
	ts1 INTEGER NOT NULL, n INTEGER);

-- Written after the run, from the guest's memory as it was then (with the rows of symbol): the entries of its
-- kernel's ORC tables by which the snapshots' stacks unwind, by the address that each was looked up for.
-- Registers and types as Linux 6.4 numbers them (tracer/orc.h); after_call: the bytes up to ip are a call.
CREATE TABLE orc(ip INTEGER PRIMARY KEY, type INTEGER NOT NULL, sp_reg INTEGER NOT NULL,
	sp_offset INTEGER NOT NULL, bp_reg INTEGER NOT NULL, bp_offset INTEGER NOT NULL,
	after_call INTEGER NOT NULL);

-- Derived at the end from the above (derive_all) ----------------------------------------------------
-- A system call of a guest process, from its two markers, or from what its kernel traced of it: then
-- enter_event and exit_event are those events. sys_enter, sys_exit: what the kernel traced, in either case.
CREATE TABLE guest_call(id INTEGER PRIMARY KEY, track INTEGER NOT NULL, pid INTEGER, comm TEXT,
	nr INTEGER NOT NULL, arg0 INTEGER, arg1 INTEGER, arg2 INTEGER, arg3 INTEGER, arg4 INTEGER,
	arg5 INTEGER, path TEXT, ret INTEGER, enter_event INTEGER NOT NULL, exit_event INTEGER,
	t_enter INTEGER NOT NULL, t_exit INTEGER, sys_enter INTEGER, sys_exit INTEGER);
-- A virtio request. guest_call: the system call that caused it; call_how: how that is known ('sector': its
-- bios were queued by the task that is in the call, 'buffer': its data lie in the call's buffer, 'only call':
-- no other open call does this). call_conflict: another call, in whose buffer the data lie. guest_issue,
-- guest_complete: the events by which the guest's block layer issued it and saw it complete. notify_event: the
-- queue_notify that told the device of it; kick_exit: the exit in which that was. track: the thread that
-- took it from the queue, t_wake: when that thread was woken for it. irq_event: the interrupt, which is
-- for irq_requests requests. t_entry: when kick_exit ended. t_first..t_last: its window on the time axis
-- (docs/architecture.md says how windows are cut).
CREATE TABLE request(id INTEGER PRIMARY KEY, device INTEGER NOT NULL, queue INTEGER NOT NULL,
	head INTEGER, type INTEGER, sector INTEGER, bytes INTEGER, descriptors INTEGER,
	status INTEGER, used_len INTEGER, guest_call INTEGER, kick_exit INTEGER, t_first INTEGER,
	t_kick INTEGER, t_pop INTEGER, t_host INTEGER, t_host_ret INTEGER, t_used INTEGER, t_irq INTEGER,
	t_entry INTEGER, t_last INTEGER, exits INTEGER, notify_event INTEGER, track INTEGER,
	t_wake INTEGER, irq_event INTEGER, irq_requests INTEGER, call_how TEXT, call_conflict INTEGER,
	guest_issue INTEGER, guest_complete INTEGER);
-- A stack snapshot, unwound: n = 0 is the innermost frame. how: 'rip' (the register), 'fp' (frame
-- pointer chain), 'orc' (by an entry of orc), 'pt_regs' (saved registers at a kernel entry), 'scan' (a guess:
-- the next word that is behind a call; what comes after it rests on it).
CREATE TABLE frame(event_id INTEGER NOT NULL, n INTEGER NOT NULL, ip INTEGER NOT NULL, symbol INTEGER,
	how TEXT NOT NULL, PRIMARY KEY(event_id, n)) WITHOUT ROWID;
-- Who ran in the guest at a snapshot, by its task event.
CREATE TABLE guest_task(event_id INTEGER PRIMARY KEY, pid INTEGER, tgid INTEGER, comm TEXT);
-- A snapshot whose outermost frame is a system call: its number and arguments, from the registers that the
-- entry into the kernel saved.
CREATE TABLE entry_call(event_id INTEGER PRIMARY KEY, nr INTEGER NOT NULL, arg0 INTEGER, arg1 INTEGER,
	arg2 INTEGER, arg3 INTEGER, arg4 INTEGER, arg5 INTEGER);
-- The steps of a request, n from 1. what: 'event' (event_id), 'frame' (frame `frame` of the snapshot
-- event_id), 'insn' (the exiting instruction of the exit whose run_exit event is event_id), 'task' (who
-- ran in the guest at the snapshot: the task event event_id), 'handover'
-- (from the thread, or task of the guest, of from_event to that of event_id), 'absent' (absent.id = absent:
-- not recorded, and what it would need). uncertain: it and the step in front may have happened in the other
-- order, since one is of the guest's clock and both lie within its error.
CREATE TABLE step(request_id INTEGER NOT NULL, n INTEGER NOT NULL, stage INTEGER NOT NULL,
	layer INTEGER NOT NULL, what TEXT NOT NULL, event_id INTEGER, frame INTEGER, absent INTEGER,
	from_event INTEGER, uncertain INTEGER, aside INTEGER, PRIMARY KEY(request_id, n)) WITHOUT ROWID;
CREATE TABLE absent(id INTEGER PRIMARY KEY, text TEXT NOT NULL);
CREATE TABLE budget(request_id INTEGER NOT NULL, layer INTEGER NOT NULL, ns INTEGER NOT NULL,
	PRIMARY KEY(request_id, layer)) WITHOUT ROWID;
-- The text of every exiting instruction, by its bytes: "out dx, ax (66 ef)".
CREATE TABLE insn_text(insn BLOB PRIMARY KEY, text TEXT NOT NULL) WITHOUT ROWID;
-- Row counts at the end, so that `check` sees a missing row in any table. keys: where no counting id
-- names a row (meta: key; kvm_stat: vcpu and name), what names it, one per line. digest: for each 1024
-- rows two 64-bit sums, by which `check` finds a row that was changed (tracer/seal.c).
CREATE TABLE seal("table" TEXT PRIMARY KEY, rows INTEGER NOT NULL, keys TEXT, digest BLOB) WITHOUT ROWID;
