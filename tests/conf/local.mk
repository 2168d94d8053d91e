# Golden tests of the configuration.
CONF_TESTS +=
