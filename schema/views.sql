-- SPDX-License-Identifier: MIT
-- The public views: a contract. More columns may come, none may change. v_event (id, ts_ns, dur_ns,
-- track, exit_id, kind, layer, stage, source, text, error_ns, pid) and one view e_<kind> per kind of event
-- are generated from tracer/events.def.

CREATE VIEW v_meta(key, value) AS SELECT key, value FROM meta;

CREATE VIEW v_loss(source, ts0_ns, ts1_ns, n) AS
SELECT t.name, l.ts0, l.ts1, l.n FROM loss l LEFT JOIN track t ON t.id = l.track;

CREATE VIEW v_exit(id, ts_ns, vcpu, isa, hw_reason, hw_reason_name, kvm_reason, kvm_reason_name, rip,
	symbol, space, addr, size, is_write, value, device, dispatch_ns, total_ns) AS
SELECT x.id, x.t_exit, t.vcpu, x.isa, x.hw_reason,
	-- VT-x: the basic reason is 15:0, and bit 31 says that VM entry failed (tracer/hw_exit.h).
	CASE WHEN x.hw_reason IS NULL THEN NULL ELSE coalesce((SELECT name FROM enum_name
			WHERE enum = CASE x.isa WHEN 1 THEN 'vmx_exit' WHEN 2 THEN 'svm_exit' END
			AND value = CASE x.isa WHEN 1 THEN x.hw_reason & 0xffff ELSE x.hw_reason END),
		printf('unknown 0x%x', x.hw_reason)) ||
		CASE WHEN x.isa = 1 AND x.hw_reason & 0x80000000 THEN ' (failed VM entry)' ELSE '' END ||
		CASE WHEN x.isa = 1 AND x.hw_reason & 0x08000000 THEN ' (in an enclave)' ELSE '' END ||
		CASE WHEN x.isa = 1 AND x.hw_reason & 0x04000000 THEN ' (bus lock)' ELSE '' END END,
	x.kvm_reason,
	CASE WHEN x.kvm_reason IS NULL THEN NULL ELSE
	coalesce((SELECT name FROM enum_name WHERE enum = 'kvm_exit' AND value = x.kvm_reason),
		printf('unknown %d', x.kvm_reason)) END,
	coalesce(x.insn_rip, x.rip),
	(SELECT CASE WHEN coalesce(x.insn_rip, x.rip) < s.addr + max(s.size, 1)
		THEN printf('%s+0x%x', s.name, coalesce(x.insn_rip, x.rip) - s.addr) END
	 FROM symbol s WHERE s.addr <= coalesce(x.insn_rip, x.rip) ORDER BY s.addr DESC LIMIT 1),
	(SELECT name FROM enum_name WHERE enum = 'space' AND value = x.space),
	x.addr, x.size, x.is_write, x.value, r.name, x.t_done - x.t_dispatch, x.t_entry - x.t_exit
FROM vm_exit x LEFT JOIN track t ON t.id = x.track LEFT JOIN region r ON r.id = x.region;

CREATE VIEW v_request(id, device, type, sector, bytes, status, t_first_ns, t_last_ns, exits, pid, comm,
	syscall, call_how, kick, thread) AS
SELECT q.id,
	-- A trace of the host knows a device by the address that its driver writes to.
	coalesce(d.name, (SELECT printf('%s 0x%x', n.name, x.addr) FROM vm_exit x JOIN enum_name n
		ON n.enum = 'space' AND n.value = x.space WHERE x.id = q.kick_exit)),
	CASE WHEN q.type IS NOT NULL THEN
	coalesce((SELECT name FROM enum_name WHERE enum = 'virtio_blk_type' AND value = q.type),
		printf('unknown %d', q.type)) END,
	q.sector, q.bytes,
	CASE WHEN q.status IS NOT NULL THEN
	coalesce((SELECT name FROM enum_name WHERE enum = 'virtio_blk_status' AND value = q.status),
		printf('unknown %d', q.status)) END,
	q.t_first, q.t_last, q.exits, c.pid, c.comm,
	coalesce((SELECT name FROM enum_name WHERE enum = 'syscall' AND value = c.nr), c.nr),
	q.call_how,
	CASE WHEN q.device = 0 AND (SELECT kvm_reason IS NULL FROM vm_exit WHERE id = q.kick_exit)
		THEN 'ioeventfd'
		WHEN q.kick_exit IS NOT NULL THEN 'exit'
		WHEN (SELECT n.track FROM event n WHERE n.id = q.notify_event) = q.track THEN 'ioeventfd'
		END,
	(SELECT name FROM track WHERE id = q.track)
FROM request q LEFT JOIN device d ON d.id = q.device LEFT JOIN guest_call c ON c.id = q.guest_call;

-- System calls written as in C, for the views below. source: 'marker' (id: guest_call.id) or 'entry' (id:
-- entry_call.event_id). The arguments that are addresses are hexadecimal.
CREATE VIEW v_call_text(source, id, syscall, text) AS
SELECT c.source, c.id, coalesce(n.name, printf('syscall_%d', c.nr)),
	coalesce(n.name, printf('syscall_%d', c.nr)) || CASE
	WHEN c.nr IN (0, 1) THEN printf('(%d, 0x%x, %d)', c.arg0, c.arg1, c.arg2)
	WHEN c.nr IN (17, 18) THEN printf('(%d, 0x%x, %d, %d)', c.arg0, c.arg1, c.arg2, c.arg3)
	WHEN c.nr IN (3, 60, 74, 75, 231) THEN printf('(%d)', c.arg0)
	WHEN c.nr = 8 THEN printf('(%d, %d, %d)', c.arg0, c.arg1, c.arg2)
	WHEN c.nr = 257 THEN printf('(%d, 0x%x, 0x%x, 0%o)', c.arg0, c.arg1, c.arg2, c.arg3)
	ELSE printf('(0x%x, 0x%x, 0x%x, 0x%x, 0x%x, 0x%x)', c.arg0, c.arg1, c.arg2, c.arg3, c.arg4,
		c.arg5) END
FROM (SELECT 'marker' AS source, id, nr, arg0, arg1, arg2, arg3, arg4, arg5 FROM guest_call
	UNION ALL SELECT 'entry', event_id, nr, arg0, arg1, arg2, arg3, arg4, arg5 FROM entry_call) c
	LEFT JOIN enum_name n ON n.enum = 'syscall' AND n.value = c.nr;

-- A guest process's system call.
CREATE VIEW v_call(id, track, pid, comm, syscall, path, ret, t_enter_ns, t_exit_ns, text) AS
SELECT c.id, c.track, c.pid, c.comm, t.syscall, c.path, c.ret, c.t_enter, c.t_exit, t.text
FROM guest_call c JOIN v_call_text t ON t.source = 'marker' AND t.id = c.id;

-- The task, or interrupt, in whose context an event of the guest's kernel happened.
CREATE VIEW v_guest_actor(event_id, pid, name) AS
SELECT g.event_id, g.pid, CASE
	WHEN g.flags & 1 THEN printf('interrupt on %s', t.name)
	WHEN g.flags & 2 THEN printf('soft interrupt on %s', t.name)
	WHEN g.pid = 0 THEN printf('idle on %s', t.name)
	ELSE printf('%s[%d]', coalesce(n.name, 'task'), g.pid) END
FROM guest_event g JOIN event e ON e.id = g.event_id LEFT JOIN track t ON t.id = e.track
	LEFT JOIN enum_name n ON n.enum = 'guest_pid' AND n.value = g.pid;

-- Steps of one request, in order. The text of markers, exits, frames and instructions is richer here
-- than in v_event, since what was derived from them is known.
CREATE VIEW v_step(request_id, n, stage, layer, actor, ts_ns, dur_ns, evidence, text, uncertain, error_ns,
	aside) AS
SELECT s.request_id, s.n, s.stage,
	(SELECT name FROM enum_name WHERE enum = 'layer' AND value = s.layer),
	CASE WHEN s.what IN ('event', 'handover') THEN CASE WHEN e.kind >= 200 THEN
			CASE WHEN s.what = 'handover' AND e.kind = 210 THEN printf('%s[%d]', coalesce((SELECT
				name FROM enum_name WHERE enum = 'guest_pid' AND value = e.a2), 'task'), e.a2)
			ELSE coalesce((SELECT name FROM v_guest_actor WHERE event_id = e.id), t.name) END
			ELSE t.name END
		WHEN s.what = 'absent' THEN NULL ELSE 'guest' END,
	CASE WHEN s.what IN ('event', 'handover') THEN e.ts END,
	CASE s.what WHEN 'event' THEN e.dur
		WHEN 'handover' THEN e.ts - (SELECT ts FROM event WHERE id = s.from_event) END,
	CASE s.what WHEN 'event' THEN printf('event %d', s.event_id)
		WHEN 'task' THEN printf('event %d', s.event_id)
		WHEN 'handover' THEN printf('event %d to %d', s.from_event, s.event_id)
		WHEN 'frame' THEN printf('stack %d frame %d', s.event_id, s.frame)
		WHEN 'insn' THEN printf('exit %d insn', e.a0)
		ELSE 'not recorded' END,
	CASE s.what
		WHEN 'event' THEN coalesce(CASE (SELECT name FROM event_kind WHERE id = e.kind)
			WHEN 'marker' THEN (SELECT CASE WHEN c.enter_event = e.id
					THEN printf('%s  pid %d %s %s', c.text, c.pid, c.comm, c.path)
					ELSE printf('%s = %d', c.syscall, c.ret) END
				FROM (SELECT v.*, g.enter_event, g.exit_event FROM v_call v
					JOIN guest_call g ON g.id = v.id) c
				WHERE c.id = (SELECT q.guest_call FROM request q WHERE q.id = s.request_id)
					AND e.id IN (c.enter_event, c.exit_event))
			WHEN 'run_exit' THEN (SELECT printf('KVM_RUN returns: %s', x.kvm_reason_name) ||
					CASE WHEN x.addr IS NULL OR x.space IS NULL THEN '' ELSE
					printf(', %d-byte %s %s 0x%x, value 0x%x', x.size,
						CASE WHEN x.is_write THEN 'write to' ELSE 'read from' END,
						x.space, x.addr, x.value) END ||
					CASE WHEN w.rip IS NULL THEN '' ELSE printf(', rip 0x%x', w.rip) END
				FROM v_exit x JOIN vm_exit w ON w.id = x.id WHERE x.id = e.a0)
			END, (SELECT text FROM v_event WHERE id = e.id)) ||
			coalesce((SELECT printf(': one interrupt for %d requests', q.irq_requests)
				FROM request q WHERE q.id = s.request_id AND q.irq_event = e.id
				AND q.irq_requests > 1), '')
		WHEN 'task' THEN (SELECT printf('current task: %s[%d]', comm, pid) FROM guest_task
			WHERE event_id = s.event_id)
		WHEN 'handover' THEN coalesce(
			(SELECT printf(CASE f.kind
					WHEN 207 THEN 'hand-over: %s queued the work that %s now begins'
					WHEN 211 THEN 'hand-over: %s woke %s, which runs now'
					ELSE 'hand-over: %s put the request into a queue, and %s takes it on' END,
				(SELECT name FROM v_guest_actor WHERE event_id = f.id),
				CASE WHEN f.kind = 211 THEN printf('%s[%d]', coalesce((SELECT name FROM
					enum_name WHERE enum = 'guest_pid' AND value = f.a0), 'task'), f.a0)
				ELSE (SELECT name FROM v_guest_actor WHERE event_id = e.id) END)
			FROM event f WHERE f.id = s.from_event AND f.kind >= 200),
			printf('hand-over: %s told %s, which now takes it on',
			(SELECT ft.name FROM event fe JOIN track ft ON ft.id = fe.track
				WHERE fe.id = s.from_event), t.name))
		WHEN 'frame' THEN (SELECT CASE WHEN y.id IS NULL THEN printf('0x%x', f.ip)
				ELSE printf('%s+0x%x', y.name, f.ip - y.addr) ||
					CASE WHEN y.module LIKE '[%' THEN ' ' || y.module ELSE '' END END ||
				CASE f.how WHEN 'scan' THEN ' (a guess: on the stack, behind a call)' ELSE '' END ||
				CASE WHEN f.ip >= 0 AND f.how = 'pt_regs' THEN coalesce(' in ' || (SELECT t.text
					FROM v_call_text t WHERE t.source = 'entry' AND t.id = f.event_id), '') ELSE ''
				END
			FROM frame f LEFT JOIN symbol y ON y.id = f.symbol
			WHERE f.event_id = s.event_id AND f.n = s.frame)
		WHEN 'insn' THEN (SELECT printf('%s at %s, rip 0x%x', i.text,
				coalesce((SELECT symbol FROM v_exit WHERE id = x.id), 'an unknown place'),
				x.insn_rip)
			FROM vm_exit x JOIN insn_text i ON i.insn = x.insn WHERE x.id = e.a0)
		ELSE (SELECT text FROM absent WHERE id = s.absent) END,
	coalesce(s.uncertain, 0),
	CASE WHEN e.kind >= 200 AND s.what IN ('event', 'handover') THEN
		(SELECT error FROM guest_event WHERE event_id = e.id) END,
	s.aside
FROM step s LEFT JOIN event e ON e.id = s.event_id LEFT JOIN track t ON t.id = e.track;

-- An exit is told by its kvm_exit (kind 101); one that no kvm_exit told by its return from KVM_RUN (kind 2).
CREATE VIEW v_aside(request_id, aside, first_n, last_n, steps, exits, t0_ns, t1_ns, evidence, text) AS
SELECT a.request_id, a.aside, a.n0, a.n1, a.steps, a.exits, a.t0, a.t1,
	printf('event %d to %d', a.ev0, a.ev1),
	CASE WHEN a.exits = 0 THEN '' ELSE
		printf('%d exit%s: ', a.exits, CASE a.exits WHEN 1 THEN '' ELSE 's' END) ||
		(SELECT group_concat(CASE k WHEN 1 THEN name ELSE printf('%d %s', k, name) END, ', ')
		FROM (SELECT count(*) AS k, name FROM
			(SELECT coalesce((SELECT coalesce(v.hw_reason_name, v.kvm_reason_name) ||
					coalesce(' (' || v.device || ')', '') FROM v_exit v WHERE v.id = e.a0),
				'reason not recorded') AS name
			FROM step s JOIN event e ON e.id = s.event_id
			WHERE s.request_id = a.request_id AND s.n BETWEEN a.n0 AND a.n1 AND s.what = 'event' AND (e.kind = 101 OR
				e.kind = 2 AND NOT EXISTS (SELECT 1 FROM vm_exit x WHERE x.id = e.a0 AND x.isa IS NOT NULL)))
			GROUP BY name ORDER BY k DESC, name)) || '; ' END ||
	printf('%d step%s', a.steps, CASE a.steps WHEN 1 THEN '' ELSE 's' END)
FROM (SELECT s.request_id, s.aside, min(s.n) AS n0, max(s.n) AS n1, count(*) AS steps,
		sum(s.what = 'event' AND (e.kind = 101 OR e.kind = 2 AND
			NOT EXISTS (SELECT 1 FROM vm_exit x WHERE x.id = e.a0 AND x.isa IS NOT NULL))) AS exits,
		min(CASE WHEN s.what = 'event' THEN e.ts END) AS t0, max(CASE WHEN s.what = 'event' THEN e.ts END) AS t1,
		min(s.event_id) AS ev0, max(s.event_id) AS ev1
	FROM step s JOIN event e ON e.id = s.event_id WHERE s.aside IS NOT NULL
	GROUP BY s.request_id, s.aside) a;
