/* SPDX-License-Identifier: MIT */
/*
 * The tables from which a running Linux kernel names its own addresses (/proc/kallsyms), found in a copy
 * of its image without being told where they are. scripts/kallsyms.c of Linux writes them.
 */
#ifndef EXITWALK_TRACER_KALLSYMS_H
#define EXITWALK_TRACER_KALLSYMS_H

#include "ksyms.h"

/*
 * Adds every symbol of the image to s, by the addresses that the kernel has in this boot: KASLR is in
 * them. `image` has the bytes from the guest's address `base` on, 0 where nothing is mapped. The layouts
 * of Linux 4.20 to 6.1, 6.2 to 6.3 and 6.4 on are known, all with CONFIG_KALLSYMS_BASE_RELATIVE (always
 * set on x86-64). Returns the number of symbols; -ENOENT: there are no such tables; -ENOMEM, -E2BIG.
 */
int kallsyms_find(const uint8_t *image, size_t len, uint64_t base, struct ksyms *s);

#endif
