/* SPDX-License-Identifier: MIT */
#include "terminfo.h"

#include <unistd.h>
#include <curses.h>
#include <term.h>

bool terminfo_moves_cursor(const char *term)
{
	const char *cup;
	int status;
	bool can;

	if (!term || setupterm(term, STDOUT_FILENO, &status) != OK)
		return false;
	cup = tigetstr("cup");
	can = cup && cup != (const char *)-1;
	del_curterm(cur_term);
	return can;
}
