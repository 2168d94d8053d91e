/* SPDX-License-Identifier: MIT */
/* SOCKET.control: one JSON object a line. A request is {"v":1,"cmd":...}; the reply is rows with a
 * "type", then {"type":"end","ok":...}. Who may connect may read; changing takes root or the
 * daemon's own user. */
#ifndef DAEMON_CONTROL_H
#define DAEMON_CONTROL_H

struct client;
struct control;
struct loop;

struct control *control_new(struct loop *loop, int listener);
void control_free(struct control *control);
void control_each(struct control *control, void (*act)(struct client *client, void *arg),
		  void *arg);

#endif
