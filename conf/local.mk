# What is installed beside the programs. A file with @sbindir@ and the like in it is NAME.in,
# listed in CONF_IN.
CONF_IN =

EXTRA_DIST += $(CONF_IN)
CLEANFILES += $(CONF_IN:.in=)

# Not by configure: ${prefix} in these may change at make install.
conf/%: conf/%.in Makefile
	$(AM_V_GEN)$(MKDIR_P) $(@D) && $(SED) \
		-e 's|[@]bindir[@]|$(bindir)|g' -e 's|[@]sbindir[@]|$(sbindir)|g' \
		-e 's|[@]libdir[@]|$(libdir)|g' -e 's|[@]sysconfdir[@]|$(sysconfdir)|g' \
		-e 's|[@]VERSION[@]|$(VERSION)|g' $< >$@.tmp && mv $@.tmp $@
