#!/usr/bin/env bash
# SPDX-License-Identifier: MIT
# Boots a host kernel with a real KVM module in software emulation, runs a command there and gives back
# its output, its files and its exit status (docs/lab.md). `lab.sh --help` has the options.
set -euo pipefail
here=$(cd "$(dirname "$0")" && pwd)

usage() {
	cat <<'TEXT'
usage: lab.sh [option]... svm|vmx [COMMAND]
  -x BINARY   is `exitwalk` there (with the shared libraries it needs)
  -f FILE     goes there too: a relative path keeps its place below /lab, any other becomes /lab/NAME;
              programs bring their shared libraries; may be given several times
  -o DIR      what the command leaves in /lab/out comes here
  -k FILE     keep the kernel's log here
  -m MIB      memory of the lab's host (1024)
  -c CPUS     processors of the lab's host (1; svm only)
  -i          the lab's clock counts instructions, 1 ns each: times do not depend on what else runs on this
              machine (svm only; Bochs counts them always)
  -t SECONDS  the command's time limit, boot included (svm 300, vmx 900)
Without COMMAND: a shell. The exit status is the command's; 125: the lab itself failed; 124: the limit;
69: its packages cannot be had here.
TEXT
}
die() {
	echo "lab: $*" >&2
	exit 125
}

binary='' out='' log='' limit='' mem=1024 cpus=1 icount=() files=()
while getopts x:f:o:k:m:c:it:h- opt; do
	case $opt in
	x) binary=$OPTARG ;;
	f) files+=("$OPTARG") ;;
	o) out=$OPTARG ;;
	k) log=$OPTARG ;;
	m) mem=$OPTARG ;;
	c) cpus=$OPTARG ;;
	i) icount=(-icount "shift=0,sleep=off") ;;
	t) limit=$OPTARG ;;
	h | -) usage; exit 0 ;;
	*) usage >&2; exit 64 ;;
	esac
done
shift $((OPTIND - 1))
if [ $# -lt 1 ] || [ $# -gt 2 ]; then
	usage >&2
	exit 64
fi
backend=$1 command=${2-}
case $backend in
svm) : "${limit:=300}" ;;
vmx) : "${limit:=900}" ;;
*) usage >&2; exit 64 ;;
esac
if [ -z "$command" ]; then
	[ -t 0 ] || die "without a command the lab is a shell, and that needs a terminal"
	limit=86400
fi

rc=0
image=$(bash "$here/setup.sh" "$backend") || rc=$?
case $rc in
0 | 69) ;;
*) rc=125 ;;
esac
[ $rc -eq 0 ] || exit $rc
work=$(mktemp -d "${TMPDIR:-/tmp}/exitwalk-lab.XXXXXX")
pids=()
# shellcheck disable=SC2317 # by the trap
cleanup() {
	[ ! -s "$work/pid" ] || pids+=("$(cat "$work/pid")")
	[ ${#pids[@]} -eq 0 ] || kill "${pids[@]}" 2>/dev/null || true
	[ -z "${tty_state-}" ] || stty "$tty_state" 2>/dev/null || true
	rm -rf "$work"
}
trap cleanup EXIT
trap 'exit 130' INT TERM HUP

# --- what goes in: one tar ----------------------------------------------------------------------------
root=$work/root
mkdir -p "$root/lab" "$root/bin"

# with_libraries FILE TARGET: copies FILE, and its shared libraries under the paths ldd gives.
with_libraries() {
	local lib
	mkdir -p "$root/$(dirname "$2")"
	cp -L -p "$1" "$root/$2"
	[ "$(head -c 4 "$1" | tail -c 3)" = ELF ] || return 0
	for lib in $(ldd "$1" 2>/dev/null | grep -o '/[^ ]*' || true); do
		[ -e "$root$lib" ] && continue
		mkdir -p "$root$(dirname "$lib")"
		cp -L "$lib" "$root$lib"
	done
}

[ -z "$binary" ] || [ -x "$binary" ] || die "$binary is no program; run make first"
[ -z "$binary" ] || with_libraries "$binary" lab/exitwalk
with_libraries "$(command -v bash)" bin/bash
for f in "${files[@]}"; do
	[ -e "$f" ] || die "$f does not exist"
	case $f in
	/* | *..*) to=lab/${f##*/} ;;
	*) to=lab/$f ;;
	esac
	if [ -d "$f" ]; then
		mkdir -p "$root/$to"
		cp -R -L -p "$f/." "$root/$to"
	else
		with_libraries "$f" "$to"
	fi
done
if [ -n "$command" ]; then
	printf '%s\n' "$command" >"$root/lab/.cmd"
	echo "export TERM=dumb NO_COLOR=1" >"$root/lab/.env"
else
	read -r rows cols < <(stty size)
	[ "$rows" -gt 0 ] || rows=24 cols=80
	echo "export TERM=${TERM:-linux}; ROWS=$rows COLS=$cols" >"$root/lab/.env"
	mkdir -p "$root/lab/terminfo/${TERM:0:1}"
	infocmp -x "${TERM:-linux}" >/dev/null 2>&1 &&
		TERMINFO="$root/lab/terminfo" tic -x <(infocmp -x "$TERM") 2>/dev/null &&
		echo "export TERMINFO=/lab/terminfo" >>"$root/lab/.env"
fi
if [ -d /usr/lib/locale/C.utf8 ]; then
	mkdir -p "$root/usr/lib/locale"
	cp -R /usr/lib/locale/C.utf8 "$root/usr/lib/locale/"
fi
echo "export LC_ALL=C.UTF-8" >>"$root/lab/.env"
tar -c -f "$work/in" --owner=0 --group=0 -C "$root" .
rm -rf "$root"
# Whole cylinders of 16 heads and 63 sectors, as the emulated IDE disk wants them.
cylinder=$((16 * 63 * 512))
truncate -s "%$cylinder" "$work/in"
truncate -s $((512 * cylinder)) "$work/out"

# --- the machine ----------------------------------------------------------------------------------------
append="console=ttyS0 quiet panic=-1 mitigations=off tsc=reliable no_timer_check audit=0 cryptomgr.notests=1"
# Both run their emulator in the background, so that a signal for us ends it at once (by cleanup).
# shellcheck disable=SC2317 # called by name
svm() {
	local stdio=stdio,id=cmd,signal=off
	[ -z "$command" ] || stdio=stdio,id=cmd
	# Not thread=multi: when one CPU runs code that another one patches (static calls, tracepoints),
	# QEMU 7.2 may keep a translation of the int3 that stood there for a moment. kprobe_int3_handler sees
	# that memory holds no int3 and tries again, for ever.
	qemu=(qemu-system-x86_64 -M pc -accel "tcg,thread=single" -cpu "qemu64,+svm,+npt" -m "$mem"
		"${icount[@]}" -smp "$cpus" -no-reboot -no-user-config -nodefaults -display none -kernel "$image/vmlinuz"
		-initrd "$image/initrd" -append "$append" -serial "file:$work/log" -chardev "$stdio"
		-serial chardev:cmd -drive "file=$work/in,if=virtio,format=raw,cache=unsafe"
		-drive "file=$work/out,if=virtio,format=raw,cache=unsafe")
	if [ -n "$command" ]; then
		timeout -k 5 "$limit" "${qemu[@]}" </dev/null 2>"$work/err" &
		pids+=($!)
		wait $!
	else
		tty_state=$(stty -g)
		"${qemu[@]}" 2>"$work/err"
	fi
}

# Bochs draws on a pseudo-terminal that it opens. Nobody looks at it, but it must be read: when its few KiB are
# full (a blinking cursor is enough) Bochs waits for ever.
# shellcheck disable=SC2317
read_screen() {
	local screen=''
	while [ -z "$screen" ]; do
		sleep 0.2
		screen=$(sed -n 's/^Bochs connected to screen "\([^"]*\)".*/\1/p' "$work/err" 2>/dev/null) || true
	done
	stty -F "$screen" raw -echo
	exec cat "$screen" >/dev/null 2>&1
}

# shellcheck disable=SC2317 # called by name
vmx() {
	local com2 bochs
	if [ -n "$command" ]; then
		mkfifo "$work/cmd"
		cat "$work/cmd" &
		pids+=($!)
		com2="mode=file, dev=$work/cmd"
	else
		tty_state=$(stty -g)
		com2="mode=term, dev=$(tty)"
	fi
	cat >"$work/bochsrc" <<RC
display_library: term
memory: host=$mem, guest=$mem
romimage: file="/usr/share/bochs/BIOS-bochs-latest"
vgaromimage: file="/usr/share/bochs/VGABIOS-lgpl-latest"
ata0-master: type=disk, path="$work/in", mode=flat, cylinders=$(($(stat -c %s "$work/in") / cylinder)), heads=16, spt=63
ata0-slave: type=disk, path="$work/out", mode=flat, cylinders=512, heads=16, spt=63
ata1-master: type=cdrom, path="$image/boot.iso", status=inserted
cpu: model=corei7_haswell_4770, count=1, ips=100000000, reset_on_triple_fault=0, ignore_bad_msrs=1
com1: enabled=1, mode=file, dev=$work/log
com2: enabled=1, $com2
clock: sync=none, time0=local
boot: cdrom
log: $work/bochs.log
RC
	echo c >"$work/rc"
	# The display library wants a terminal of its own; nothing of it is shown. script(1) runs Bochs in a
	# session of its own and does not pass signals on, so the limit and cleanup work inside it.
	TERM=xterm script -q -e -c "echo \$\$ >'$work/pid'; exec timeout --foreground -k 1 $limit \
		bochs -q -f '$work/bochsrc' -rc '$work/rc'" /dev/null </dev/null >"$work/err" 2>&1 &
	bochs=$!
	read_screen &
	screen_reader=$!
	pids+=("$screen_reader")
	wait $bochs
}

: >"$work/log"
status=0
"$backend" || status=$?
if [ -p "$work/cmd" ]; then
	# An emulator that ended before it opened the pipe leaves its reader waiting: open it once more.
	exec 8<>"$work/cmd" 8>&-
	wait "${pids[0]}" || true
fi
[ -z "${screen_reader-}" ] || kill "$screen_reader" 2>/dev/null || true
pids=()
rm -f "$work/pid"
[ -z "$log" ] || cp "$work/log" "$log"

# --- what comes back ------------------------------------------------------------------------------------
mkdir -p "$work/result"
if ! tar -x -f "$work/out" -C "$work/result" --no-same-owner 2>/dev/null || [ ! -s "$work/result/status" ]; then
	{
		[ -z "$command" ] || echo "--- the last lines of the emulator and of its kernel:"
		tail -n 5 "$work/err" || true
		tail -n 30 "$work/log" || true
		[ ! -e "$work/bochs.log" ] || grep -a PANIC "$work/bochs.log" | tail -n 5 || true
		echo "---"
	} >&2
	if [ "$status" -eq 124 ] || [ "$status" -eq 137 ]; then
		echo "lab: no result after $limit seconds: stopped (-t, or LIMIT=, raises the limit)" >&2
		exit 124
	fi
	die "the $backend lab ended without a result (emulator's exit status $status)"
fi
if [ -n "$out" ]; then
	mkdir -p "$out"
	cp -R "$work/result/files/." "$out/"
fi
exit "$(cat "$work/result/status")"
