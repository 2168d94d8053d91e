/* SPDX-License-Identifier: MIT */
#include "daemon/cli_bar.h"

#include <string.h>

enum piece { PIECE_USED, PIECE_PEAK, PIECE_LEFT, PIECE_TARGET, PIECE_COUNT };

static const char *const ascii[PIECE_COUNT] = {"#", "-", ".", "|"};
static const char *const blocks[PIECE_COUNT] = {"█", "▒", "░", "│"};

/* What is not nothing has a cell, and what is not all leaves one. */
static unsigned int cells_of(double share, unsigned int cells)
{
	unsigned int n;

	if (!(share > 0))
		return 0;
	if (share >= 1)
		return cells;
	n = (unsigned int)(share * cells + 0.5);
	return n == 0 ? 1 : n == cells ? cells - 1 : n;
}

static enum piece piece_at(unsigned int i, unsigned int used, unsigned int peak,
			   unsigned int target)
{
	if (i == target)
		return PIECE_TARGET;
	return i < used ? PIECE_USED : i < peak ? PIECE_PEAK : PIECE_LEFT;
}

char *bar_draw(const struct bar *bar, char out[BAR_TEXT_MAX])
{
	const char *const *pieces = bar->blocks ? blocks : ascii;
	unsigned int cells = bar->blocks ? bar->cells : bar->cells - 2;
	unsigned int used = cells_of(bar->used, cells), peak = cells_of(bar->peak, cells);
	unsigned int target = cells_of(bar->target, cells);
	size_t len = 0;

	if (!bar->blocks)
		out[len++] = '[';
	for (unsigned int i = 0; i < cells; i++) {
		const char *piece = pieces[piece_at(i, used, peak, target)];

		memcpy(out + len, piece, strlen(piece));
		len += strlen(piece);
	}
	if (!bar->blocks)
		out[len++] = ']';
	out[len] = '\0';
	return out;
}
