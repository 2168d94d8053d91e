/* SPDX-License-Identifier: MIT */
/* While the command runs, two streams are read: the capture, and the daemon's transitions of the
 * connections with the command's tag. After it each connection of the second is looked for in the
 * first. */
#include "daemon/cli_verify.h"

#include "daemon/agree.h"
#include "daemon/capture.h"
#include "daemon/claims.h"
#include "daemon/cli_control.h"
#include "daemon/cli_filter.h"
#include "daemon/cli_run.h"
#include "daemon/filter.h"

#include "common/tcp_state.h"

#include <errno.h>
#include <locale.h>
#include <poll.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

enum {
	FLOWS_MAX = 1 << 20,
	SEGMENTS_MAX = 1 << 23,
	CLAIMS_MAX = 1 << 20,
	SETTLE_MS = 10000, /* for the last connections to end */
	STILL_MS = 300,	   /* and for what is said of them then */
	POLL_MS = 50,
	LADDERS_MAX = 5, /* of disagreements, of each kind */
	/* The daemon's clock for rows is coarse. */
	CLOCK_NS = 20000000,
};

struct verify {
	const struct cli *cli;
	struct capture *capture;
	struct control *control;
	bool control_gone;
	struct flows *flows;
	struct claims *claims;
	struct filter filter; /* of the ladder */
	unsigned long ladder_nth;
	struct run_meanwhile meanwhile;
	uint64_t lost; /* segments */
	FILE *verdicts;
	unsigned int results[AGREE_COUNT], said[AGREE_COUNT];
	unsigned int agreed[SIDE_COUNT], claimed[SIDE_COUNT];
};

static uint64_t now_ms(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_MONOTONIC, &ts);
	return (uint64_t)ts.tv_sec * 1000 + (uint64_t)ts.tv_nsec / 1000000;
}

/* --- meanwhile -------------------------------------------------------------------------------- */

static void take_segment(void *arg, const struct segment *segment)
{
	struct verify *verify = arg;

	flows_take(verify->flows, segment);
}

static void read_control(struct verify *verify)
{
	struct pollfd here = {.fd = control_fd(verify->control), .events = POLLIN};
	json_t *row;

	for (;;) {
		while (control_has_row(verify->control)) {
			if (control_next(verify->control, &row) != 1) {
				verify->control_gone = true;
				break;
			}
			claims_take(verify->claims, row);
			json_decref(row);
		}
		if (verify->control_gone || poll(&here, 1, 0) <= 0)
			break;
		verify->control_gone = control_read(verify->control) < 0;
	}
	if (verify->control_gone)
		verify->meanwhile.fds[1] = -1;
}

static void take_both(void *arg)
{
	struct verify *verify = arg;

	capture_read(verify->capture, take_segment, verify);
	if (!verify->control_gone)
		read_control(verify);
}

const struct run_meanwhile *verify_meanwhile(struct verify *verify)
{
	return &verify->meanwhile;
}

/* --- begin ------------------------------------------------------------------------------------ */

/* "", "N", "FILTER", "FILTER#N" */
static bool take_ladder(struct verify *verify, const char *text)
{
	char words[FILTER_TEXT_MAX];
	struct filter_error error;
	char *number, *end;

	verify->ladder_nth = 1;
	snprintf(words, sizeof(words), "%s", text);
	number = strrchr(words, '#');
	if (!number && strspn(words, "0123456789") == strlen(words) && *words)
		number = words;
	if (number) {
		verify->ladder_nth = strtoul(number + (*number == '#'), &end, 10);
		if (*end || !verify->ladder_nth || number[1] == '-') {
			cli_fail(0, "--ladder=%s: no number of a connection; the first is 1", text);
			return false;
		}
		*number = '\0';
	}
	if (filter_parse(&verify->filter, words, NULL, &error))
		return true;
	cli_fail(0, "--ladder=%s: %s", text, error.text);
	return false;
}

static int no_capture(int error)
{
	if (error == EPERM)
		return cli_fail(
			CLI_RUN_FAILED,
			"--verify and --ladder see the segments with CAP_NET_RAW, which is not "
			"here: run it as root, or in a user namespace with a network "
			"namespace of its own (unshare -rn)");
	return cli_fail(CLI_RUN_FAILED, "no capture: %s", strerror(error));
}

static int begin_claims(struct verify *verify, const char *tag)
{
	json_t *request = json_pack("{s:s}", "tag", tag);
	int code = control_begin(verify->cli, &verify->control, "watch", request);

	if (code)
		return CLI_RUN_FAILED;
	return 0;
}

static void verify_free(struct verify *verify)
{
	capture_close(verify->capture);
	if (verify->control)
		control_close(verify->control);
	flows_free(verify->flows);
	claims_free(verify->claims);
	if (verify->verdicts)
		fclose(verify->verdicts);
	free(verify);
}

static int begin(struct verify *verify, const char *tag)
{
	const char *ladder = verify->cli->value[OPT_LADDER];
	const char *file = verify->cli->value[OPT_VERDICTS];

	if (ladder && !take_ladder(verify, ladder))
		return CLI_RUN_FAILED;
	verify->flows = flows_new(FLOWS_MAX, SEGMENTS_MAX);
	verify->claims = claims_new(CLAIMS_MAX, ladder != NULL);
	if (!verify->flows || !verify->claims)
		return cli_fail(CLI_RUN_FAILED, "%s", strerror(ENOMEM));
	if (file && !(verify->verdicts = fopen(file, "we")))
		return cli_fail(CLI_RUN_FAILED, "%s: %s", file, strerror(errno));
	verify->capture = capture_open(ladder != NULL);
	if (!verify->capture)
		return no_capture(errno);
	return begin_claims(verify, tag);
}

int verify_begin(struct verify **out, const struct cli *cli, const char *tag)
{
	struct verify *verify = calloc(1, sizeof(*verify));
	int code;

	if (!verify)
		return cli_fail(CLI_RUN_FAILED, "%s", strerror(ENOMEM));
	verify->cli = cli;
	code = begin(verify, tag);
	if (code) {
		verify_free(verify);
		return code;
	}
	verify->meanwhile = (struct run_meanwhile){
		.fds = {capture_fd(verify->capture), control_fd(verify->control)},
		.act = take_both,
		.arg = verify,
	};
	*out = verify;
	return 0;
}

/* --- the end of the last ---------------------------------------------------------------------- */

/* Of several connections of the same ends, one after the other, the last that had begun when the
 * daemon heard of this one, and that is not another's. On the loopback each end is a connection of
 * its own, with the same segments. */
static struct flow *flow_of(struct verify *verify, const struct claim *claim)
{
	struct flow *flow = flows_find(verify->flows, &claim->local, &claim->remote), *found = NULL;

	for (; flow; flow = flow->next)
		if (flow->begun_ns <= claim->opened_ns + CLOCK_NS &&
		    (flow_is_established(flow) || !found))
			found = flow;
	return found;
}

static bool is_settled(struct verify *verify, const struct claim *claim)
{
	const struct flow *flow = flow_of(verify, claim);

	if (claim->state == STATE_ESTABLISHED || claim->state == STATE_CLOSE_WAIT)
		return false;
	return !claim->state || claim->side != SIDE_UNKNOWN || !flow || flow_is_over(flow);
}

static bool all_settled(struct verify *verify)
{
	struct claim *claim;

	for (claim = claims_first(verify->claims); claim; claim = claim->hh.next) {
		const struct flow *flow = flow_of(verify, claim);

		if (!is_settled(verify, claim) ||
		    (flow && flow_is_established(flow) && !flow_is_over(flow)))
			return false;
	}
	return true;
}

static void wait_and_take(struct verify *verify, int ms)
{
	struct pollfd fds[2] = {{.fd = verify->meanwhile.fds[0], .events = POLLIN},
				{.fd = verify->meanwhile.fds[1], .events = POLLIN}};

	poll(fds, 2, ms);
	take_both(verify);
}

static void settle(struct verify *verify)
{
	uint64_t begun = now_ms(), looked = 0, settled = 0;

	for (uint64_t now = begun; now - begun < SETTLE_MS; now = now_ms()) {
		wait_and_take(verify, POLL_MS);
		if (settled && now - settled >= STILL_MS)
			break;
		if (settled || now - looked < POLL_MS || now - begun < STILL_MS)
			continue;
		looked = now;
		if (all_settled(verify))
			settled = now;
	}
	verify->lost = capture_lost(verify->capture) + flows_left_out(verify->flows);
}

/* --- verdicts --------------------------------------------------------------------------------- */

static enum agree_result judge(struct verify *verify, struct claim *claim)
{
	struct agree_case about = {
		.claim = claim->side,
		.flow = claim->flow = flow_of(verify, claim),
		.claimed_ns = claim->claimed_ns,
		.unacked = claim->unacked,
		.lost = verify->lost || claims_lost(verify->claims),
	};

	if (claim->flow)
		about.us = flow_end(claim->flow, &claim->local);
	return agree_judge(&about);
}

static void write_verdict(struct verify *verify, const struct claim *claim,
			  enum agree_result result)
{
	char local[ENDPOINT_TEXT_MAX], remote[ENDPOINT_TEXT_MAX];
	const char *wire = "unseen", *kinds[] = {"agrees", "differs", "unjudged"};

	if (!verify->verdicts)
		return;
	endpoint_format(&claim->local, local, sizeof(local));
	endpoint_format(&claim->remote, remote, sizeof(remote));
	if (claim->flow)
		wire = flow_first_word(
			flow_first(claim->flow, flow_end(claim->flow, &claim->local)));
	fprintf(verify->verdicts,
		"{\"cookie\":\"%llx\",\"local\":\"%s\",\"remote\":\"%s\",\"role\":\"%s\","
		"\"begun_ns\":%llu,\"claim\":\"%s\",\"wire\":\"%s\",\"verdict\":\"%s\","
		"\"why\":\"%s\"}\n",
		(unsigned long long)claim->cookie, local, remote, claim->role,
		claim->flow ? (unsigned long long)claim->flow->begun_ns : 0,
		close_side_word(claim->side), wire, kinds[agree_kind(result)], agree_word(result));
}

static void print_ladder(struct verify *verify, const struct claim *claim)
{
	ladder_print(stderr, claim->flow, flow_end(claim->flow, &claim->local), claim->notes,
		     claim->note_count, verify->cli->value[OPT_LADDER] != NULL);
}

static void say_difference(struct verify *verify, const struct claim *claim,
			   enum agree_result result)
{
	char local[ENDPOINT_TEXT_MAX], remote[ENDPOINT_TEXT_MAX];
	int us = flow_end(claim->flow, &claim->local);

	if (++verify->said[result] > LADDERS_MAX)
		return;
	fprintf(stderr, "closeside: %s > %s, policy %s: claimed %s%s%s, on the wire %s: %s\n",
		endpoint_format(&claim->local, local, sizeof(local)),
		endpoint_format(&claim->remote, remote, sizeof(remote)),
		*claim->policy ? claim->policy : "-", close_side_word(claim->side),
		*claim->custody ? ", custody " : "", claim->custody,
		flow_first_word(flow_first(claim->flow, us)), agree_text(result));
	print_ladder(verify, claim);
}

static void judge_all(struct verify *verify)
{
	struct claim *claim;

	for (claim = claims_first(verify->claims); claim; claim = claim->hh.next) {
		enum agree_result result = judge(verify, claim);

		verify->results[result]++;
		write_verdict(verify, claim, result);
		if (agree_kind(result) != UNJUDGED)
			verify->claimed[claim->side]++;
		if (result == AGREE_SAME)
			verify->agreed[claim->side]++;
		if (agree_kind(result) == DIFFERS && verify->cli->value[OPT_VERIFY])
			say_difference(verify, claim, result);
	}
}

/* --- what is said ----------------------------------------------------------------------------- */

static unsigned int count_of(const struct verify *verify, enum agree_kind kind)
{
	unsigned int count = 0;

	for (int i = 0; i < AGREE_COUNT; i++)
		if (agree_kind((enum agree_result)i) == kind)
			count += verify->results[i];
	return count;
}

static void say_kind(const struct verify *verify, enum agree_kind kind, const char *what)
{
	for (int i = 0; i < AGREE_COUNT; i++)
		if (agree_kind((enum agree_result)i) == kind && verify->results[i])
			fprintf(stderr, "closeside: %s %u: %s\n", what, verify->results[i],
				agree_text((enum agree_result)i));
}

static void say_agreement(const struct verify *verify)
{
	unsigned int same = count_of(verify, AGREES), differ = count_of(verify, DIFFERS);
	const char *separator = "";

	fprintf(stderr, "closeside: verified on the wire: %u of %u connections agree", same,
		same + differ);
	if (same + differ)
		fprintf(stderr, " (%.2f %%):", 100.0 * same / (same + differ));
	for (int i = 0; i < SIDE_COUNT; i++) {
		if (!verify->claimed[i])
			continue;
		fprintf(stderr, "%s %s %u of %u", separator, close_side_word((enum close_side)i),
			verify->agreed[i], verify->claimed[i]);
		separator = ",";
	}
	fputc('\n', stderr);
	say_kind(verify, DIFFERS, "differ");
	say_kind(verify, UNJUDGED, "not judged");
	if (verify->lost)
		fprintf(stderr, "closeside: the capture has lost %llu segments\n",
			(unsigned long long)verify->lost);
	if (claims_lost(verify->claims))
		fprintf(stderr, "closeside: %llu transitions came faster than they were read\n",
			(unsigned long long)claims_lost(verify->claims));
	if (verify->control_gone)
		fputs("closeside: the daemon has gone meanwhile: what it said before is compared\n",
		      stderr);
}

static bool is_chosen(const struct verify *verify, const struct claim *claim)
{
	struct filter_subject subject = {
		.state = claim->state ? claim->state : STATE_CLOSE,
		.local = claim->local,
		.remote = claim->remote,
		.policy = claim->policy,
		.uid = (uid_t)-1,
		.side = (uint8_t)claim->side,
		.role = !strcmp(claim->role, "server")	 ? ROLE_SERVER
			: !strcmp(claim->role, "client") ? ROLE_CLIENT
							 : ROLE_ANY,
		.shim = true,
		.age_ms = FILTER_UNKNOWN,
		.state_ms = FILTER_UNKNOWN,
	};

	return filter_matches(&verify->filter, &subject);
}

static void say_ladder(struct verify *verify)
{
	unsigned long nth = verify->ladder_nth;
	struct claim *claim;

	for (claim = claims_first(verify->claims); claim; claim = claim->hh.next)
		if (is_chosen(verify, claim) && --nth == 0)
			break;
	if (!claim)
		cli_fail(0, "--ladder: there is no such connection among %u",
			 claims_count(verify->claims));
	else if (!claim->flow)
		cli_fail(0, "--ladder: no segment of that connection was seen here");
	else
		print_ladder(verify, claim);
}

unsigned int verify_end(struct verify *verify, bool started)
{
	unsigned int unexplained;

	if (!started) {
		verify_free(verify);
		return 0;
	}
	setlocale(LC_CTYPE, "");
	settle(verify);
	judge_all(verify);
	if (verify->cli->value[OPT_VERIFY])
		say_agreement(verify);
	if (verify->cli->value[OPT_LADDER])
		say_ladder(verify);
	unexplained = verify->cli->value[OPT_VERIFY] ? verify->results[AGREE_UNEXPLAINED] : 0;
	verify_free(verify);
	return unexplained;
}
