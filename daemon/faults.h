/* SPDX-License-Identifier: MIT */
/* The doctor's faults for who asks again and again: a round every few seconds, in small steps, as
 * long as somebody has asked lately. What was found is kept: a scrape walks over nothing. */
#ifndef DAEMON_FAULTS_H
#define DAEMON_FAULTS_H

#include "daemon/verdict.h"

#include <stdint.h>

struct faults;
struct loop;
struct verdicts;

struct faults_found {
	uint64_t judged_ms;		    /* 0: no round has ended yet */
	unsigned int active[VERDICT_COUNT]; /* findings, of faults only */
	char worst[VERDICT_TEXT];	    /* the first one's title; "": none */
};

/* NULL: out of memory. */
struct faults *faults_new(struct loop *loop);
void faults_free(struct faults *faults);
/* Each second. */
void faults_tick(struct faults *faults, uint64_t now_ms);
/* Somebody asks: rounds go on for a while. faults may be NULL. */
void faults_want(struct faults *faults, uint64_t now_ms);
/* What a round has found, whoever's it was. verdicts, faults may be NULL. */
void faults_take(struct faults *faults, const struct verdicts *verdicts, uint64_t now_ms);
const struct faults_found *faults_found(const struct faults *faults);

#endif
