/* SPDX-License-Identifier: MIT */
/*
 * The path and the timeline: rows with time, lanes and text, and the crossings between the
 * lanes.
 */
#include "view.h"

#include <stdio.h>
#include <string.h>
#include "text.h"

enum lane { LANE_USER, LANE_KERNEL, LANE_KVM, LANE_VMM, LANE_HOST, LANES, LANE_NONE = -1 };

#define BORDER LANE_KVM /* left of this lane the guest ends */

/* A line on the screen: a row of the model, or something between two rows. */
struct item {
	enum { ITEM_ROW, ITEM_STAGE, ITEM_CROSSING, ITEM_THREAD } what;
	int rel;              /* the row (the one that follows) */
	enum lane from, lane; /* lane: after this line */
	enum lane to;
};

struct layout {
	struct rect r;
	int lane_w; /* columns of one lane */
	int lanes_x, text_x, delta_x, time_x;
	bool headings, all_crossings;
	struct time_unit unit; /* of the column "since" */
};

#define ITEMS_MAX 2048

enum style view_layer_style(int layer)
{
	static const enum style style[MODEL_LAYERS] = {[EW_LAYER_NONE] = STYLE_OTHER,
		[EW_LAYER_GUEST_USER] = STYLE_GUEST_USER,
		[EW_LAYER_GUEST_KERNEL] = STYLE_GUEST_KERNEL,
		[EW_LAYER_EXIT_ENTRY] = STYLE_CROSSING,
		[EW_LAYER_KVM] = STYLE_KVM,
		[EW_LAYER_VMM] = STYLE_VMM,
		[EW_LAYER_HOST_KERNEL] = STYLE_HOST,
		[EW_LAYER_WAITING] = STYLE_OTHER,
		[EW_LAYER_RECORDER] = STYLE_OTHER,
		[EW_LAYER_IN_KVM_RUN] = STYLE_GUEST_KERNEL,
		[EW_LAYER_UNACCOUNTED] = STYLE_WARN,
		[EW_LAYER_GUEST] = STYLE_GUEST_KERNEL,
		[EW_LAYER_IN_VMM] = STYLE_VMM};

	return style[layer >= 0 && layer < MODEL_LAYERS ? layer : 0];
}

static enum lane lane_of(const struct row *r)
{
	switch (r->layer) {
	case EW_LAYER_GUEST_USER:
		return LANE_USER;
	case EW_LAYER_GUEST_KERNEL:
		return LANE_KERNEL;
	case EW_LAYER_EXIT_ENTRY:
	case EW_LAYER_KVM:
	case EW_LAYER_IN_KVM_RUN:
		return LANE_KVM;
	case EW_LAYER_VMM:
	case EW_LAYER_IN_VMM:
		return LANE_VMM;
	case EW_LAYER_HOST_KERNEL:
		return LANE_HOST;
	default:
		return LANE_NONE;
	}
}

static const struct {
	const char *wide, *narrow;
	enum style style;
} lanes[LANES] = {
	[LANE_USER] = {"usr", "u", STYLE_GUEST_USER},
	[LANE_KERNEL] = {"krn", "k", STYLE_GUEST_KERNEL},
	[LANE_KVM] = {"KVM", "K", STYLE_KVM},
	[LANE_VMM] = {"VMM", "V", STYLE_VMM},
	[LANE_HOST] = {"hst", "H", STYLE_HOST},
};

static const char *crossing_text(enum lane from, enum lane to)
{
	bool guest_from = from < BORDER, guest_to = to < BORDER;

	if (guest_from && !guest_to)
		return "═══ VM exit ═══▶";
	if (!guest_from && guest_to)
		return "◀═══ VM entry ═══";
	if (guest_from)
		return from < to ? "── into the guest kernel ──▶" : "◀── back to the process ──";
	if (from == LANE_KVM && to == LANE_VMM)
		return "── the ioctl returns ──▶";
	if (to == LANE_KVM)
		return "◀── ioctl into KVM ──";
	if (from == LANE_KVM)
		return "── on into the host kernel ──▶";
	return to == LANE_HOST ? "── host system call ──▶" : "◀── it returns ──";
}

static int lane_x(const struct layout *l, enum lane lane)
{
	return l->lanes_x + (int)lane * l->lane_w + (lane >= BORDER) + (l->lane_w > 2);
}

static int border_x(const struct layout *l)
{
	return l->lanes_x + (int)BORDER * l->lane_w;
}

static struct layout lay_out(const struct ui *ui, struct rect r)
{
	struct layout l = {.r = r};
	bool path = model_mode(ui->m) == MODEL_PATH;
	int id_w = path ? 2 : 9; /* the stage's number, or the event's id */

	l.lane_w = r.w >= 78 ? 4 : 2;
	l.time_x = r.x + id_w;
	l.delta_x = r.w >= 60 ? l.time_x + 10 : -1;
	l.lanes_x = (l.delta_x >= 0 ? l.delta_x : l.time_x) + 10;
	l.text_x = l.lanes_x + LANES * l.lane_w + 2;
	l.headings = path && r.h >= 18;
	l.all_crossings = r.h >= 22;
	l.unit = model_unit(ui->m);
	return l;
}

/* Do the rows from this one on come from another thread, or task, than those in front of it? */
static bool other(const struct ui *ui, const char *who, const char *before)
{
	return model_several(ui->m) && who[0] && strcmp(who, before) != 0;
}

/*
 * Nobody saw how the host came to what was not recorded, or left it: such a row stands in its lane, and what goes
 * on goes on from the lane in front of it. From and to the guest there is one way only, and that is drawn.
 */
static bool unseen(const struct row *r, enum lane lane)
{
	return r->what == WHAT_ABSENT && lane >= BORDER && lane_of(r) >= BORDER;
}

/* The lane behind a row. */
static enum lane lane_after(enum lane lane, const struct row *r)
{
	return lane_of(r) == LANE_NONE || unseen(r, lane) ? lane : lane_of(r);
}

/* The lane in front of the row at `rel`: it follows from the rows, not from where the screen begins. */
static enum lane lane_before(const struct ui *ui, int rel)
{
	enum lane lane = LANE_NONE;
	const struct row *r;
	int from = rel;

	do
		r = model_row(ui->m, --from);
	while (r && (lane_of(r) == LANE_NONE || r->what == WHAT_ABSENT));
	for (; from < rel; from++) {
		r = model_row(ui->m, from);
		if (r)
			lane = lane_after(lane, r);
	}
	return lane;
}

/* The items around the cursor, `reach` rows to both sides; *cursor is the cursor's own. */
static int collect(
	const struct ui *ui, const struct layout *l, int reach, struct item *item, int *cursor)
{
	enum lane lane = lane_before(ui, -reach);
	const char *thread = "", *actor = "";
	int n = 0, stage = -1;
	bool path = model_mode(ui->m) == MODEL_PATH;
	/* Where the walk begins depends on the cursor; what came before it decides whose steps these are. */
	const struct row *before = model_row(ui->m, -reach - 1);

	for (int rel = -reach - 1; before && !*thread; rel--) {
		before = model_row(ui->m, rel);
		if (before) {
			thread = before->track;
			actor = before->actor;
		}
	}
	before = model_row(ui->m, -reach - 1);
	stage = before ? before->stage : -1;
	for (int rel = -reach; rel <= reach && n + 4 < ITEMS_MAX; rel++) {
		const struct row *r = model_row(ui->m, rel);
		bool switched, another;
		enum lane to;

		if (!r)
			continue;
		to = lane_of(r) == LANE_NONE ? lane : lane_of(r);
		switched = path && other(ui, r->track, thread);
		another = path && other(ui, r->actor, actor);
		if (switched) /* nobody crosses from one thread's lane to another's */
			lane = to = lane_of(r);
		if (r->track[0])
			thread = r->track;
		if (r->actor[0])
			actor = r->actor;
		if (path && lane != LANE_NONE && to != lane && !unseen(r, lane) &&
			(l->all_crossings || (lane < BORDER) != (to < BORDER)))
			item[n++] = (struct item){ITEM_CROSSING, rel, lane, to, to};
		if (l->headings && r->stage != stage)
			item[n++] = (struct item){ITEM_STAGE, rel, lane, to, to};
		if (another)
			item[n++] = (struct item){ITEM_THREAD, rel, lane, to, to};
		if (rel == 0)
			*cursor = n;
		item[n++] = (struct item){ITEM_ROW, rel, lane, to, to};
		lane = lane_after(lane, r);
		stage = r->stage;
	}
	return n;
}

static void draw_lanes(struct ui *ui, const struct layout *l, int y)
{
	for (int i = 0; i < LANES; i++)
		screen_put(&ui->s, y, lane_x(l, (enum lane)i), 1, STYLE_LANE, "┆");
	screen_put(&ui->s, y, border_x(l), 1, STYLE_BOLD, "║");
}

static void draw_crossing(struct ui *ui, const struct layout *l, const struct item *it, int y)
{
	bool outer = (it->from < BORDER) != (it->to < BORDER);
	enum style style = outer ? STYLE_CROSSING : STYLE_DIM;
	bool right = it->to > it->from;
	int a = lane_x(l, it->from), b = lane_x(l, it->to);
	int width = l->r.x + l->r.w - l->text_x;

	draw_lanes(ui, l, y);
	for (int x = (right ? a : b) + 1; x < (right ? b : a); x++)
		screen_put(&ui->s, y, x, 1, style, x == border_x(l) ? "╬" : outer ? "═" : "─");
	screen_put(&ui->s, y, a, 1, style, right ? "╰" : "╯");
	screen_put(&ui->s, y, b, 1, style, right ? "▶" : "◀");
	screen_put(&ui->s, y, l->text_x, width, style, crossing_text(it->from, it->to));
}

static void draw_thread(struct ui *ui, const struct layout *l, const struct item *it, int y)
{
	draw_lanes(ui, l, y);
	screen_printf(&ui->s, y, l->text_x, l->r.x + l->r.w - l->text_x, STYLE_HEAD, "▸ %s",
		model_row(ui->m, it->rel)->actor);
}

static void draw_stage(struct ui *ui, const struct layout *l, const struct item *it, int y)
{
	const struct row *r = model_row(ui->m, it->rel);
	int used;

	used = screen_printf(&ui->s, y, l->r.x, l->r.w, STYLE_HEAD, "%d %s ", r->stage,
		model_stage_name(r->stage));
	screen_fill(&ui->s, y, l->r.x + used, l->lanes_x - 1 - l->r.x - used, STYLE_LANE, "─");
	draw_lanes(ui, l, y);
	screen_fill(&ui->s, y, l->text_x, l->r.x + l->r.w - l->text_x, STYLE_LANE, "─");
}

/* In the unit of the whole column; NULL: each in its own. */
static void draw_time(struct ui *ui, int y, int x, int64_t ns, const struct time_unit *unit)
{
	char t[32];

	if (x < 0 || ns == MODEL_NONE)
		return;
	if (unit)
		text_in_unit(unit, ns, t, sizeof(t));
	else
		text_ns(ns, t, sizeof(t));
	screen_put(&ui->s, y, x + 9 - (int)text_width(t, ui->s.ascii), 10, STYLE_NORMAL, t);
}

static void draw_row(struct ui *ui, const struct layout *l, const struct item *it, int y)
{
	const struct row *r = model_row(ui->m, it->rel), *before = model_row(ui->m, it->rel - 1);
	bool absent = r->what == WHAT_ABSENT;
	enum style style = absent ? STYLE_DIM : view_layer_style(r->layer);
	int width = l->r.x + l->r.w - l->text_x;

	if (model_mode(ui->m) == MODEL_TIMELINE)
		screen_printf(&ui->s, y, l->r.x, 9, STYLE_DIM, "%8lld", (long long)r->id);
	else if (!l->headings && (!before || before->stage != r->stage))
		screen_printf(&ui->s, y, l->r.x, 1, STYLE_HEAD, "%d", r->stage);
	draw_time(ui, y, l->time_x, model_since(ui->m, r), &l->unit);
	if (r->uncertain)
		screen_put(&ui->s, y, l->time_x - 1, 1, STYLE_WARN, "~");
	draw_time(ui, y, l->delta_x, model_delta(ui->m, it->rel), NULL);
	draw_lanes(ui, l, y);
	if (r->what == WHAT_ASIDE)
		screen_put(&ui->s, y, l->time_x - 1, 1, STYLE_DIM, "+");
	else if (r->what == WHAT_HANDOVER && it->lane == LANE_NONE)
		screen_put(&ui->s, y, l->time_x - 1, 1, STYLE_CROSSING, "▶");
	else if (it->lane != LANE_NONE)
		screen_put(&ui->s, y, lane_x(l, it->lane), 1,
			r->what == WHAT_HANDOVER ? STYLE_CROSSING : style,
			absent                     ? "○"
			: r->what == WHAT_HANDOVER ? "▶"
						   : "●");
	screen_put(&ui->s, y, l->text_x, width,
		absent || r->aside                                 ? STYLE_DIM
		: r->what == WHAT_HANDOVER                         ? STYLE_CROSSING
		: r->kind == EW_RUN_EXIT || r->kind == EW_KVM_EXIT ? STYLE_BOLD
								   : STYLE_NORMAL,
		r->text);
	if (it->rel == 0)
		screen_select(&ui->s, y, l->r.x, l->r.w);
}

static void draw_columns(struct ui *ui, const struct layout *l)
{
	int y = l->r.y;

	if (model_mode(ui->m) == MODEL_TIMELINE)
		screen_put(&ui->s, y, l->r.x, 9, STYLE_DIM, "   event");
	screen_printf(&ui->s, y, l->time_x + (l->unit.ns < 1000000000 ? 1 : 2), 8, STYLE_DIM,
		"since %s", l->unit.name);
	if (l->delta_x >= 0)
		screen_put(&ui->s, y, l->delta_x + 8, 2, STYLE_DIM, "Δ");
	for (int i = 0; i < LANES; i++)
		screen_put(&ui->s, y, lane_x(l, (enum lane)i) - (l->lane_w > 2), 3, lanes[i].style,
			l->lane_w > 2 ? lanes[i].wide : lanes[i].narrow);
	screen_put(&ui->s, y, border_x(l), 1, STYLE_BOLD, "║");
	screen_put(&ui->s, y, l->text_x, l->r.x + l->r.w - l->text_x, STYLE_DIM,
		model_mode(ui->m) == MODEL_PATH ? "what happened" : "event");
}

int view_list(struct ui *ui, struct rect r)
{
	struct layout l = lay_out(ui, r);
	struct item item[ITEMS_MAX];
	int n, cursor = 0, top, height = r.h - 1;

	ui->page = height > 2 ? height - 1 : 1;
	if (height < 1)
		return r.y;
	if (!model_row(ui->m, 0)) {
		screen_wrap(&ui->s, (struct rect){r.y + 1, r.x + 2, height, r.w - 4}, 0,
			STYLE_NORMAL, model_empty(ui->m));
		return r.y + 1;
	}
	n = collect(ui, &l, height, item, &cursor);
	/*
	 * The cursor stays in the middle as long as there is something on both sides. So what is
	 * shown depends on the place alone, not on the way that led there.
	 */
	top = cursor - height / 2;
	if (top > n - height)
		top = n - height;
	if (top < 0)
		top = 0;
	draw_columns(ui, &l);
	for (int i = 0; i < height && top + i < n; i++) {
		const struct item *it = &item[top + i];
		int y = r.y + 1 + i;

		if (it->what == ITEM_ROW)
			draw_row(ui, &l, it, y);
		else if (it->what == ITEM_STAGE)
			draw_stage(ui, &l, it, y);
		else if (it->what == ITEM_THREAD)
			draw_thread(ui, &l, it, y);
		else
			draw_crossing(ui, &l, it, y);
	}
	return r.y + 1 + cursor - top;
}
