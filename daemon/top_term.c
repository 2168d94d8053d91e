/* SPDX-License-Identifier: MIT */
/* Signals are written to a pipe, and acted upon in the loop: ncurses is not made for handlers. Only
 * when the program itself breaks, the handler writes what was made ready at the start. */
#include "daemon/top_term.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <termios.h>
#include <unistd.h>

#include <curses.h>
#include <term.h>

/* curses has macros of such names. */
#undef lines
#undef columns

enum { ESCAPE_MS = 100 };

static const int ending[] = {SIGINT, SIGTERM, SIGHUP, SIGQUIT};
static const int breaking[] = {SIGSEGV, SIGBUS, SIGFPE, SIGILL, SIGABRT};
enum {
	ENDING = sizeof(ending) / sizeof(ending[0]),
	BREAKING = sizeof(breaking) / sizeof(breaking[0]),
};

static struct {
	SCREEN *screen;
	int pipe[2];
	struct termios before;		   /* as the terminal was */
	struct sigaction broken[BREAKING]; /* who handled these */
	char restore[512];		   /* what makes its screen as it was */
	size_t restore_len;
} term = {.pipe = {-1, -1}};

/* --- is it one? ------------------------------------------------------------------------------- */

static bool can(const char *capability)
{
	/* tigetstr() has no const; (char *)-1: no string capability */
	char *text = tigetstr((char *)(uintptr_t)capability);

	return text && text != (char *)-1;
}

const char *term_problem(char *buf, size_t size)
{
	const char *name = getenv("TERM");
	int found;
	bool fine;

	if (!isatty(STDIN_FILENO) || !isatty(STDOUT_FILENO))
		return "needs a terminal, for its keys and its screen";
	if (!name || !*name)
		return "TERM is not set: what the terminal can do is not known";
	if (setupterm(NULL, STDOUT_FILENO, &found) == ERR) {
		snprintf(buf, size, "TERM=%.32s: %s", name,
			 found < 0 ? "there is no terminfo database"
				   : "a terminal that is not known here");
		return buf;
	}
	fine = can("cup") && can("clear");
	del_curterm(cur_term);
	if (fine)
		return NULL;
	snprintf(buf, size, "TERM=%.32s: a terminal on which the cursor cannot be moved", name);
	return buf;
}

/* --- as it was -------------------------------------------------------------------------------- */

static int keep(int c)
{
	if (term.restore_len < sizeof(term.restore))
		term.restore[term.restore_len++] = (char)c;
	return c;
}

static void make_restore(void)
{
	static const char *const capabilities[] = {"sgr0", "rmkx", "cnorm", "rmcup"};

	term.restore_len = 0;
	for (size_t i = 0; i < sizeof(capabilities) / sizeof(capabilities[0]); i++)
		if (can(capabilities[i]))
			tputs(tigetstr((char *)(uintptr_t)capabilities[i]), 1, keep);
}

/* Whoever handled it before has its turn when we return, for it is blocked until then. */
static void on_break(int sig)
{
	ssize_t n = write(STDOUT_FILENO, term.restore, term.restore_len);

	(void)n;
	tcsetattr(STDIN_FILENO, TCSANOW, &term.before);
	for (int i = 0; i < BREAKING; i++)
		if (breaking[i] == sig)
			sigaction(sig, &term.broken[i], NULL);
	raise(sig);
}

/* --- signals ---------------------------------------------------------------------------------- */

static void on_signal(int sig)
{
	unsigned char byte = (unsigned char)sig;
	int error = errno;
	ssize_t n = write(term.pipe[1], &byte, 1);

	(void)n;
	errno = error;
}

static void handle(int sig, void (*handler)(int))
{
	struct sigaction action = {.sa_handler = handler, .sa_flags = SA_RESTART}, before;

	/* what nohup or a script ignores stays ignored */
	if (sigaction(sig, NULL, &before) == 0 && before.sa_handler == SIG_IGN)
		return;
	sigemptyset(&action.sa_mask);
	sigaction(sig, &action, NULL);
}

/* Before ncurses starts: it leaves those alone that somebody handles. */
static bool take_signals(void)
{
	struct sigaction broken = {.sa_handler = on_break};

	if (pipe2(term.pipe, O_CLOEXEC | O_NONBLOCK) < 0)
		return false;
	for (int i = 0; i < ENDING; i++)
		handle(ending[i], on_signal);
	handle(SIGTSTP, on_signal);
	handle(SIGCONT, on_signal);
	handle(SIGWINCH, on_signal);
	sigemptyset(&broken.sa_mask);
	for (int i = 0; i < BREAKING; i++)
		sigaction(breaking[i], &broken, &term.broken[i]);
	return true;
}

static void resize(void)
{
	struct winsize size;

	if (ioctl(STDOUT_FILENO, TIOCGWINSZ, &size) == 0 && size.ws_row && size.ws_col)
		resizeterm(size.ws_row, size.ws_col);
}

/* After a stop: the shell had the terminal meanwhile, and it may be of another size. */
static void go_on(void)
{
	reset_prog_mode();
	keypad(stdscr, TRUE); /* ncurses would only when it waits for a key */
	resize();
	clearok(curscr, TRUE);
	refresh();
}

static void stop(void)
{
	endwin();
	signal(SIGTSTP, SIG_DFL);
	raise(SIGTSTP);
	handle(SIGTSTP, on_signal);
	go_on();
}

int term_signal_fd(void)
{
	return term.pipe[0];
}

int term_signal(void)
{
	unsigned char sig;

	while (read(term.pipe[0], &sig, 1) == 1) {
		if (sig == SIGTSTP)
			stop();
		else if (sig == SIGCONT)
			go_on();
		else if (sig == SIGWINCH)
			resize();
		else
			return sig;
	}
	return 0;
}

void term_die(int sig)
{
	signal(sig, SIG_DFL);
	raise(sig);
}

/* --- the screen ------------------------------------------------------------------------------- */

bool term_open(void)
{
	if (tcgetattr(STDIN_FILENO, &term.before) < 0 || !take_signals())
		return false;
	use_env(FALSE);
	use_tioctl(TRUE);
	term.screen = newterm(NULL, stdout, stdin);
	if (!term.screen) {
		errno = ENOMEM;
		return false;
	}
	make_restore();
	cbreak();
	noecho();
	nonl();
	keypad(stdscr, TRUE);
	nodelay(stdscr, TRUE);
	set_escdelay(ESCAPE_MS);
	curs_set(0);
	return true;
}

void term_close(void)
{
	erase(); /* for terminals without a second screen */
	refresh();
	endwin();
	delscreen(term.screen);
	term.screen = NULL;
	for (int i = 0; i < BREAKING; i++)
		sigaction(breaking[i], &term.broken[i], NULL);
}

/* --- keys ------------------------------------------------------------------------------------- */

static uint32_t function_key(wint_t key)
{
	static const struct {
		wint_t key;
		uint32_t ours;
	} rows[] = {
		{KEY_UP, TOP_UP},	{KEY_DOWN, TOP_DOWN},
		{KEY_LEFT, TOP_LEFT},	{KEY_RIGHT, TOP_RIGHT},
		{KEY_PPAGE, TOP_PGUP},	{KEY_NPAGE, TOP_PGDN},
		{KEY_HOME, TOP_HOME},	{KEY_END, TOP_END},
		{KEY_ENTER, TOP_ENTER}, {KEY_BACKSPACE, TOP_BACKSPACE},
	};

	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++)
		if (rows[i].key == key)
			return rows[i].ours;
	return 0;
}

static uint32_t character(wint_t key)
{
	switch (key) {
	case '\r':
	case '\n':
		return TOP_ENTER;
	case 27:
		return TOP_ESC;
	case 8:
	case 127:
		return TOP_BACKSPACE;
	default:
		return key;
	}
}

static bool at_end_of_input(void)
{
	struct termios now;
	int waiting;

	return tcgetattr(STDIN_FILENO, &now) < 0 || ioctl(STDIN_FILENO, FIONREAD, &waiting) < 0;
}

enum term_key term_key(uint32_t *key)
{
	wint_t got;
	int kind = get_wch(&got);

	if (kind == ERR)
		return at_end_of_input() ? TERM_GONE : TERM_NO_KEY;
	*key = kind == KEY_CODE_YES ? function_key(got) : character(got);
	return TERM_KEY;
}

/* --- drawing ---------------------------------------------------------------------------------- */

static void put(void *arg, unsigned int y, unsigned int x, const char *text, enum top_style style)
{
	static const attr_t attributes[] = {
		[TOP_PLAIN] = A_NORMAL, [TOP_BOLD] = A_BOLD, [TOP_INVERSE] = A_REVERSE};

	(void)arg;
	attrset(attributes[style]);
	mvaddstr((int)y, (int)x, text);
}

void term_draw(struct top *top)
{
	int width = getmaxx(stdscr), height = getmaxy(stdscr);

	erase();
	top_view(top, (unsigned int)width, (unsigned int)height, put, NULL);
	attrset(A_NORMAL);
	move(height - 1, 0);
	refresh();
}
