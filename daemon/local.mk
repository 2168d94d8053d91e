# closesided and the closeside CLI. All but the two main()s is in libdaemon.la, which the unit
# tests link as well.
noinst_LTLIBRARIES += libdaemon.la
libdaemon_la_SOURCES =
libdaemon_la_CPPFLAGS = $(AM_CPPFLAGS) \
	$(EVENT_CFLAGS) $(CONFUSE_CFLAGS) $(MNL_CFLAGS) $(JANSSON_CFLAGS)
libdaemon_la_LIBADD = libcommon.la $(EVENT_LIBS) $(CONFUSE_LIBS) $(MNL_LIBS) $(JANSSON_LIBS)
