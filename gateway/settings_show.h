/* Settings for people, made from the table: --help, the annotated example file, and what `ringcast check` prints. */
#ifndef GATEWAY_SETTINGS_SHOW_H
#define GATEWAY_SETTINGS_SHOW_H

#include "gateway/settings_read.h"

/* All settings with default and meaning. */
void settings_write_help(struct text *text);
/* deploy/ringcast.ini: every setting with its unit, bounds and default, commented out. */
void settings_write_example(struct text *text);
/* What is in force and where each comes from, itself a file of settings; of secrets only whether they are set. */
void configuration_write(const struct configuration *configuration, struct text *text);

#endif
