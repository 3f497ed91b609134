/* SPDX-License-Identifier: MIT */
/*
 * Which bytes the writer puts where: one list per mode, known to the program that writes in the guest
 * and to the same program when it checks the image on the host.
 *
 * The disk (mkdisk.sh): 1..16 MiB belong to the writer, a partition with ext4 begins at 16 MiB.
 */
#ifndef EXITWALK_SAMPLES_LINUX_PLAN_H
#define EXITWALK_SAMPLES_LINUX_PLAN_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/*
 * MODE(name, text, on a file, count, what is seen)
 * One number of a write, `n`, never stands for two writes: see plan_step().
 */
#define PLAN_MODES                                                                                 \
	MODE(DIRECT, "direct", false, 2, "512 B and 64 KiB, one system call each")                 \
	MODE(BIG, "big", false, 1, "2 MiB in one system call")                                     \
	MODE(BATCH, "batch", false, 16, "16 * 4 KiB in flight together (io_submit)")               \
	MODE(MERGE, "merge", false, 16, "16 * 4 KiB side by side (io_submit): one request")        \
	MODE(TWO, "two", false, 48, "48 writes by two processes, up to 4 each in flight")          \
	MODE(SHARED, "shared", false, 8, "8 * 4 KiB, by two processes side by side at once")       \
	MODE(WRITEBACK, "writeback", false, 8, "8 * 8 KiB that the kernel writes later by itself") \
	MODE(MANY, "many", false, 1000, "1000 writes by two processes, up to 4 each in flight")    \
	MODE(FILE_DIRECT, "file-direct", true, 1, "64 KiB to a file, O_DIRECT")                    \
	MODE(FILE_SMALL, "file-small", true, 2, "twice 512 B to one block of a file, O_DIRECT")    \
	MODE(FILE_BUFFERED, "file-buffered", true, 1, "64 KiB to a file, then fsync")

enum plan_mode {
#define MODE(id, text, file, count, what) PLAN_##id,
	PLAN_MODES
#undef MODE
		PLAN_COUNT
};

struct plan_mode_info {
	const char *name;
	bool on_file; /* offsets count from the start of a file, not of the device */
	unsigned count;
	const char *what;
};
extern const struct plan_mode_info plan_mode_info[PLAN_COUNT];

struct plan_step {
	unsigned n; /* number of the write: in its payload */
	uint64_t offset;
	size_t len;
};

/* The longest len of all. */
#define PLAN_MAX_LEN (2u << 20)

/* The i-th write of a mode, i < plan_mode_info[mode].count. */
struct plan_step plan_step(enum plan_mode mode, unsigned i);

/* Every 8-byte word is (n << 48) | its offset (vmm/guest_abi.h). */
void plan_fill(const struct plan_step *s, void *buf);
/* The offset of the first word that is wrong, or UINT64_MAX. */
uint64_t plan_compare(const struct plan_step *s, const void *buf);

#endif
