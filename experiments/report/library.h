/* Chart.js as the distribution's package (libjs-chart.js) has it, made fit to stand inside a page: its banner comments keep
 * their copyright and licence and lose their web addresses, so that nothing in a report is an address. A copy that is of
 * another major version, or holds more than banners that could ask a network or end the script element, is not used. */
#ifndef KVSIM_EXPERIMENTS_REPORT_LIBRARY_H
#define KVSIM_EXPERIMENTS_REPORT_LIBRARY_H

#include <stdbool.h>

/* The caller's; NULL when there is none on this machine. KVSIM_CHART_JS names the file where the distribution has it elsewhere. */
char *exp_chart_library(void);

/* Takes lines with an address out of banner comments, in place; false when the text is still not fit for a page. */
bool exp_chart_library_clean(char *text);

/* What no page holds outside of its data: words of asking a network. Ends with NULL. */
extern const char *const exp_asking_words[];

#endif
