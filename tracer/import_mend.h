/* SPDX-License-Identifier: MIT */
/*
 * A trace.dat whose end is missing. libtracecmd refuses the whole of it: version 6 names places beyond the
 * end, version 7 has its index of buffers at the end.
 */
#ifndef EXITWALK_TRACER_IMPORT_MEND_H
#define EXITWALK_TRACER_IMPORT_MEND_H

/*
 * Makes a copy, in a file without a name, whose missing part is zeros: pages without events; and for
 * version 7 an index of the trace data that is there. Pages and chunks that were cut in two are left out.
 * The copy's descriptor, or -errno: -EINVAL if not even the formats are there, or it is no such damage.
 */
int import_mend(int fd);

#endif
