/* SPDX-License-Identifier: MIT */
/* evhttp of libevent 2.1 bounds neither the number of its connections nor the time of a request,
 * and tells nobody when one ends before its head has come. So each bufferevent is made here, and a
 * reference to it kept: when evhttp has let go of it, it has no callbacks any more. To end one, its
 * socket is shut down, and evhttp sees the end of file. */
#include "daemon/metrics_http.h"

#include "daemon/limits.h"
#include "daemon/log.h"
#include "daemon/loop.h"
#include "daemon/metrics.h"

#include "common/wire.h"

#include <event2/buffer.h>
#include <event2/bufferevent.h>
#include <event2/event.h>
#include <event2/http.h>
#include <event2/keyvalq_struct.h>
#include <event2/listener.h>

#include <errno.h>
#include <netinet/in.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>

enum {
	AGAIN_MS = 10000, /* between attempts to listen */
	BODY_MAX = 1024,  /* nobody has to send one */
};

struct scraper {
	struct bufferevent *stream;
	uint64_t since_ms; /* it is there, or was answered */
	bool answered;	   /* all it asked up to now */
};

struct metrics_http {
	struct loop *loop;
	struct evhttp *http; /* NULL: does not listen */
	struct evconnlistener *listener;
	struct endpoint at;
	int error;
	uint64_t tried_ms, ended;
	unsigned int count;
	bool paused;				/* out of descriptors */
	struct scraper scraper[LIMIT_SCRAPERS]; /* the oldest first */
};

/* --- connections ------------------------------------------------------------------------------ */

static bool has_gone(const struct scraper *scraper)
{
	bufferevent_data_cb read;
	bufferevent_event_cb event;

	bufferevent_getcb(scraper->stream, &read, NULL, &event, NULL);
	return !read && !event;
}

static void forget(struct metrics_http *http, unsigned int i)
{
	bufferevent_decref(http->scraper[i].stream);
	http->count--;
	memmove(&http->scraper[i], &http->scraper[i + 1],
		(http->count - i) * sizeof(http->scraper[0]));
}

static void forget_gone(struct metrics_http *http)
{
	for (unsigned int i = 0; i < http->count;)
		if (has_gone(&http->scraper[i]))
			forget(http, i);
		else
			i++;
}

/* With an RST: nothing of ours shall wait for a peer that does not read. */
static void end(struct metrics_http *http, unsigned int i)
{
	struct linger abort = {.l_onoff = 1};
	int fd = bufferevent_getfd(http->scraper[i].stream);

	http->ended++;
	if (fd < 0)
		return;
	setsockopt(fd, SOL_SOCKET, SO_LINGER, &abort, sizeof(abort));
	shutdown(fd, SHUT_RDWR);
	bufferevent_trigger_event(http->scraper[i].stream, BEV_EVENT_EOF | BEV_EVENT_READING,
				  BEV_OPT_DEFER_CALLBACKS);
}

/* Of those that are there the one that has been waited for longest; else the one that has been idle
 * for longest. */
static unsigned int oldest(const struct metrics_http *http)
{
	unsigned int found = 0;

	for (unsigned int i = 1; i < http->count; i++) {
		const struct scraper *a = &http->scraper[found], *b = &http->scraper[i];

		if (a->answered == b->answered ? b->since_ms < a->since_ms : a->answered)
			found = i;
	}
	return found;
}

/* evhttp is about to take a connection. */
static struct bufferevent *on_connection(struct event_base *base, void *arg)
{
	struct metrics_http *http = arg;
	struct bufferevent *stream = bufferevent_socket_new(base, -1, 0);

	if (!stream)
		return NULL;
	forget_gone(http);
	if (http->count == LIMIT_SCRAPERS) {
		unsigned int i = oldest(http);

		end(http, i);
		forget(http, i); /* evhttp has its own reference until it sees the end */
	}
	bufferevent_incref(stream);
	http->scraper[http->count++] =
		(struct scraper){.stream = stream, .since_ms = wire_now_ms()};
	return stream;
}

static void end_late(struct metrics_http *http, uint64_t now_ms)
{
	forget_gone(http);
	for (unsigned int i = 0; i < http->count; i++) {
		const struct scraper *scraper = &http->scraper[i];
		uint64_t most = scraper->answered ? LIMIT_SCRAPE_IDLE_S * 1000u : LIMIT_SCRAPE_MS;

		if (now_ms - scraper->since_ms >= most)
			end(http, i);
	}
	forget_gone(http);
}

/* A next request of a connection that has been idle begins to count when its first bytes are seen;
 * what is not whole by then has been begun in the last second. */
static void watch_idle(struct metrics_http *http, uint64_t now_ms)
{
	for (unsigned int i = 0; i < http->count; i++) {
		struct scraper *scraper = &http->scraper[i];

		if (scraper->answered &&
		    (evbuffer_get_length(bufferevent_get_input(scraper->stream)) ||
		     evbuffer_get_length(bufferevent_get_output(scraper->stream)))) {
			scraper->answered = false;
			scraper->since_ms = now_ms;
		}
	}
}

static void note_answer(struct metrics_http *http, struct evhttp_request *request)
{
	struct bufferevent *stream =
		evhttp_connection_get_bufferevent(evhttp_request_get_connection(request));

	for (unsigned int i = 0; i < http->count; i++)
		if (http->scraper[i].stream == stream) {
			http->scraper[i].answered = true;
			http->scraper[i].since_ms = wire_now_ms();
		}
}

/* --- requests --------------------------------------------------------------------------------- */

static void say(struct evhttp_request *request, const char *name, const char *value)
{
	evhttp_add_header(evhttp_request_get_output_headers(request), name, value);
}

/* The body, or for HEAD only how long it would be. */
static void reply(struct metrics_http *http, struct evhttp_request *request, int status,
		  const char *reason, const char *type, struct evbuffer *body)
{
	char length[24];

	snprintf(length, sizeof(length), "%zu", evbuffer_get_length(body));
	say(request, "Content-Type", type);
	say(request, "Content-Length", length);
	say(request, "X-Content-Type-Options", "nosniff");
	say(request, "Cache-Control", "no-store");
	note_answer(http, request);
	if (evhttp_request_get_command(request) == EVHTTP_REQ_HEAD)
		evbuffer_drain(body, evbuffer_get_length(body));
	evhttp_send_reply(request, status, reason, body);
}

static void reply_text(struct metrics_http *http, struct evhttp_request *request, int status,
		       const char *reason, const char *text)
{
	struct evbuffer *body = evbuffer_new();

	if (!body) {
		evhttp_send_error(request, HTTP_SERVUNAVAIL, NULL);
		return;
	}
	evbuffer_add(body, text, strlen(text));
	reply(http, request, status, reason,
	      *text == '<' ? "text/html; charset=utf-8" : "text/plain; charset=utf-8", body);
	evbuffer_free(body);
}

static void reply_metrics(struct metrics_http *http, struct evhttp_request *request)
{
	const char *accept =
		evhttp_find_header(evhttp_request_get_input_headers(request), "Accept");
	enum metrics_format format = metrics_negotiate(accept);
	struct evbuffer *body = evbuffer_new();

	if (!body) {
		evhttp_send_error(request, HTTP_SERVUNAVAIL, NULL);
		return;
	}
	metrics_render(http->loop->metrics, body, format);
	say(request, "Vary", "Accept");
	reply(http, request, HTTP_OK, "OK", metrics_content_type(format), body);
	evbuffer_free(body);
}

static void on_request(struct evhttp_request *request, void *arg)
{
	static const char page[] =
		"<!DOCTYPE html>\n<html lang=\"en\"><head><title>closeside</title>"
		"</head>\n<body><h1>closeside</h1>\n"
		"<p><a href=\"/metrics\">Metrics</a></p></body></html>\n";
	struct metrics_http *http = arg;
	const struct evhttp_uri *uri = evhttp_request_get_evhttp_uri(request);
	const char *path = uri ? evhttp_uri_get_path(uri) : NULL;
	enum evhttp_cmd_type command = evhttp_request_get_command(request);
	bool known = path && (!strcmp(path, "/metrics") || !strcmp(path, "/"));

	if (!known) {
		reply_text(http, request, HTTP_NOTFOUND, "Not Found", "not found\n");
	} else if (command != EVHTTP_REQ_GET && command != EVHTTP_REQ_HEAD) {
		say(request, "Allow", "GET, HEAD");
		reply_text(http, request, HTTP_BADMETHOD, "Method Not Allowed",
			   "method not allowed\n");
	} else if (!strcmp(path, "/")) {
		reply_text(http, request, HTTP_OK, "OK", page);
	} else {
		reply_metrics(http, request);
	}
}

/* --- listening -------------------------------------------------------------------------------- */

/* Out of descriptors, most likely: not at once again. */
static void on_accept_error(struct evconnlistener *listener, void *arg)
{
	struct metrics_http *http = arg;

	evconnlistener_disable(listener);
	http->paused = true;
}

static socklen_t address_of(const struct endpoint *at, struct sockaddr_storage *address)
{
	struct sockaddr_in *four = (struct sockaddr_in *)address;
	struct sockaddr_in6 *six = (struct sockaddr_in6 *)address;

	memset(address, 0, sizeof(*address));
	if (at->family == AF_INET) {
		four->sin_family = AF_INET;
		four->sin_port = htons(at->port);
		memcpy(&four->sin_addr, at->addr + 12, 4);
		return sizeof(*four);
	}
	six->sin6_family = AF_INET6;
	six->sin6_port = htons(at->port);
	memcpy(&six->sin6_addr, at->addr, 16);
	return sizeof(*six);
}

static void quit(struct metrics_http *http)
{
	if (!http->http)
		return;
	while (http->count)
		forget(http, http->count - 1);
	evhttp_free(http->http); /* with its connections and the listener */
	http->http = NULL;
	http->listener = NULL;
	http->paused = false;
}

static bool serve(struct metrics_http *http)
{
	http->http = evhttp_new(http->loop->base);
	if (!http->http || !evhttp_bind_listener(http->http, http->listener))
		return false;
	evconnlistener_set_error_cb(http->listener, on_accept_error);
	evhttp_set_bevcb(http->http, on_connection, http);
	evhttp_set_gencb(http->http, on_request, http);
	evhttp_set_max_headers_size(http->http, LIMIT_SCRAPE_BYTES);
	evhttp_set_max_body_size(http->http, BODY_MAX);
	evhttp_set_timeout(http->http, LIMIT_SCRAPE_IDLE_S);
	evhttp_set_allowed_methods(http->http, EVHTTP_REQ_GET | EVHTTP_REQ_HEAD | EVHTTP_REQ_POST |
						       EVHTTP_REQ_PUT | EVHTTP_REQ_DELETE |
						       EVHTTP_REQ_OPTIONS | EVHTTP_REQ_TRACE |
						       EVHTTP_REQ_CONNECT | EVHTTP_REQ_PATCH);
	return true;
}

static bool begin(struct metrics_http *http)
{
	struct sockaddr_storage address;
	socklen_t len = address_of(&http->at, &address);
	unsigned int flags = LEV_OPT_CLOSE_ON_FREE | LEV_OPT_CLOSE_ON_EXEC | LEV_OPT_REUSEABLE |
			     LEV_OPT_BIND_IPV6ONLY;

	errno = 0;
	if (http->at.family != AF_INET6)
		flags &= ~(unsigned int)LEV_OPT_BIND_IPV6ONLY;
	http->listener = evconnlistener_new_bind(http->loop->base, NULL, http, flags, 16,
						 (struct sockaddr *)&address, (int)len);
	if (!http->listener)
		return false;
	if (serve(http))
		return true;
	if (http->http)
		evhttp_free(http->http);
	http->http = NULL;
	evconnlistener_free(http->listener);
	http->listener = NULL;
	errno = ENOMEM;
	return false;
}

/* Says so once, not at each attempt. */
static void attempt(struct metrics_http *http)
{
	char at[ENDPOINT_TEXT_MAX];
	int before = http->error;

	http->tried_ms = wire_now_ms();
	endpoint_format(&http->at, at, sizeof(at));
	if (begin(http)) {
		http->error = 0;
		log_notice("metrics: http://%s/metrics", at);
		return;
	}
	http->error = errno ? errno : EINVAL;
	if (http->error != before)
		log_warning("metrics: %s: %s; all else goes on, and it is tried again every %d s",
			    at, strerror(http->error), AGAIN_MS / 1000);
}

void metrics_http_reloaded(struct metrics_http *http)
{
	const struct endpoint *wanted = &http->loop->config->metrics.listen;

	if (http->http && wanted->family && endpoint_equal(wanted, &http->at))
		return;
	if (http->http && !wanted->family)
		log_notice("metrics: no listener any more");
	quit(http);
	http->at = *wanted;
	http->error = 0;
	if (wanted->family)
		attempt(http);
}

void metrics_http_tick(struct metrics_http *http, uint64_t now_ms)
{
	if (!http->http) {
		if (http->at.family && now_ms - http->tried_ms >= AGAIN_MS)
			attempt(http);
		return;
	}
	end_late(http, now_ms);
	watch_idle(http, now_ms);
	if (http->paused) {
		http->paused = false;
		evconnlistener_enable(http->listener);
	}
}

/* --- what is said of it ----------------------------------------------------------------------- */

const struct endpoint *metrics_http_at(const struct metrics_http *http)
{
	return http->http ? &http->at : NULL;
}

int metrics_http_error(const struct metrics_http *http)
{
	return http->error;
}

unsigned int metrics_http_count(const struct metrics_http *http)
{
	return http->count;
}

uint64_t metrics_http_ended(const struct metrics_http *http)
{
	return http->ended;
}

struct metrics_http *metrics_http_new(struct loop *loop)
{
	struct metrics_http *http = calloc(1, sizeof(*http));

	if (http)
		http->loop = loop;
	return http;
}

void metrics_http_free(struct metrics_http *http)
{
	if (!http)
		return;
	quit(http);
	free(http);
}
