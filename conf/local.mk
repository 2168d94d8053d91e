# What is installed beside the programs. A file with @sbindir@ and the like in it is NAME.in,
# listed in CONF_IN.
CONF_IN = conf/closeside.service.in

EXTRA_DIST += $(CONF_IN)
CLEANFILES += $(CONF_IN:.in=)

# Not by configure: ${prefix} in these may change at make install.
conf/%: conf/%.in Makefile
	$(AM_V_GEN)$(MKDIR_P) $(@D) && $(SED) \
		-e 's|[@]bindir[@]|$(bindir)|g' -e 's|[@]sbindir[@]|$(sbindir)|g' \
		-e 's|[@]libdir[@]|$(libdir)|g' -e 's|[@]sysconfdir[@]|$(sysconfdir)|g' \
		-e 's|[@]VERSION[@]|$(VERSION)|g' $< >$@.tmp && mv $@.tmp $@

# The config itself is the admin's once it is there.
examples = \
	conf/examples/busy-web-server.conf \
	conf/examples/canary.conf \
	conf/examples/load-generator.conf \
	conf/examples/proxy-one-upstream.conf \
	conf/examples/restart.conf \
	conf/examples/server-behind-nat.conf
examplesdir = $(docdir)/examples
dist_examples_DATA = conf/closeside.conf $(examples)

# For those who watch it.
prometheusdir = $(docdir)/examples/prometheus
dist_prometheus_DATA = \
	conf/prometheus/closeside.rules.yml \
	conf/prometheus/scrape.yml
zabbixdir = $(docdir)/examples/zabbix
dist_zabbix_DATA = \
	conf/zabbix/closeside.conf \
	conf/zabbix/template_closeside.yaml

install-data-local:
	$(MKDIR_P) '$(DESTDIR)$(sysconfdir)/closeside'
	test -e '$(DESTDIR)$(sysconfdir)/closeside/closeside.conf' || \
		$(INSTALL_DATA) $(srcdir)/conf/closeside.conf '$(DESTDIR)$(sysconfdir)/closeside/closeside.conf'

uninstall-local:
	if cmp -s $(srcdir)/conf/closeside.conf '$(DESTDIR)$(sysconfdir)/closeside/closeside.conf'; then \
		rm -f '$(DESTDIR)$(sysconfdir)/closeside/closeside.conf'; \
		rmdir '$(DESTDIR)$(sysconfdir)/closeside' 2>/dev/null || :; \
	fi

nodist_systemdsystemunit_DATA = conf/closeside.service

# For shells. Made by the program itself; what is built for another machine cannot run here.
if RUN_BUILT
bashcompletiondir = $(datadir)/bash-completion/completions
zshcompletiondir = $(datadir)/zsh/site-functions
nodist_bashcompletion_DATA = conf/completions/closeside
nodist_zshcompletion_DATA = conf/completions/_closeside
CLEANFILES += $(nodist_bashcompletion_DATA) $(nodist_zshcompletion_DATA)

conf/completions/closeside: closeside$(EXEEXT)
	$(AM_V_GEN)$(MKDIR_P) $(@D) && ./closeside completion bash >$@.tmp && mv $@.tmp $@

conf/completions/_closeside: closeside$(EXEEXT)
	$(AM_V_GEN)$(MKDIR_P) $(@D) && ./closeside completion zsh >$@.tmp && mv $@.tmp $@
endif
