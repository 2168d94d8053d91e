/* SPDX-License-Identifier: MIT */
/* The tuner's commands of the control socket. Each begins with a fresh sheet. */
#ifndef DAEMON_TUNE_COMMAND_H
#define DAEMON_TUNE_COMMAND_H

#include <jansson.h>

struct client;

void tune_show_begin(struct client *client, const json_t *request);
void tune_apply_begin(struct client *client, const json_t *request);
void tune_revert_begin(struct client *client, const json_t *request);
void tune_ignore_begin(struct client *client, const json_t *request);
void tune_resume_begin(struct client *client, const json_t *request);

#endif
