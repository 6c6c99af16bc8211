#include "traces/clock.h"

/* Where we are in a text that is not NUL-terminated. */
struct cursor {
    const char *at, *end;
};

static bool is_digit(struct cursor c)
{
    return c.at < c.end && *c.at >= '0' && *c.at <= '9';
}

static bool take(struct cursor *c, char wanted)
{
    if (c->at == c->end || *c->at != wanted) return false;
    c->at++;
    return true;
}

/* The digits of a decimal, leading zeros dropped: value = 0.d1 d2 d3 ... x 10^point. */
struct decimal {
    struct cursor whole, fraction;
    int64_t exponent;
};

static bool take_exponent(struct cursor *c, int64_t *exponent)
{
    if (!take(c, 'e') && !take(c, 'E')) return true;
    bool minus = take(c, '-');
    if (!minus) take(c, '+');
    if (!is_digit(*c)) return false;
    for (; is_digit(*c); c->at++)
        if (*exponent < 100000) *exponent = 10 * *exponent + (*c->at - '0');
    if (minus) *exponent = -*exponent;
    return true;
}

static bool take_decimal(struct cursor c, struct decimal *d)
{
    take(&c, '+');
    d->exponent = 0;
    d->whole.at = c.at;
    while (is_digit(c)) c.at++;
    d->whole.end = d->fraction.at = d->fraction.end = c.at;
    if (take(&c, '.')) {
        d->fraction.at = c.at;
        while (is_digit(c)) c.at++;
        d->fraction.end = c.at;
    }
    bool has_digits = d->whole.end > d->whole.at || d->fraction.end > d->fraction.at;
    return has_digits && take_exponent(&c, &d->exponent) && c.at == c.end;
}

/* Most times are a few digits and nothing else; this is that case alone, in a quarter of the time. */
static bool short_whole_us(const char *text, size_t length, int power, int64_t *us)
{
    int64_t value = 0;
    if (length == 0 || length > 12 || power < 0) return false;
    for (size_t i = 0; i < length; i++) {
        if (text[i] < '0' || text[i] > '9') return false;
        value = 10 * value + (text[i] - '0');
    }
    for (int i = 0; i < power; i++) value *= 10;
    if (value > TRC_MAX_US) return false;
    *us = value;
    return true;
}

bool trc_decimal_us(const char *text, size_t length, int power, int64_t *us, bool *is_whole)
{
    struct decimal d;
    if (short_whole_us(text, length, power, us)) {
        *is_whole = true;
        return true;
    }
    if (!take_decimal((struct cursor){text, text + length}, &d)) return false;
    int64_t n_whole = d.whole.end - d.whole.at, n_digits = n_whole + (d.fraction.end - d.fraction.at);
    int64_t n_kept = n_whole + d.exponent + power; /* digits before the point, once in microseconds */
    int64_t value = 0;
    bool round_up = false, whole = true;
    for (int64_t i = 0; i < n_digits; i++) {
        int digit = (i < n_whole ? d.whole.at[i] : d.fraction.at[i - n_whole]) - '0';
        if (i < n_kept) value = 10 * value + digit;
        if (i == n_kept) round_up = digit >= 5;
        if (i >= n_whole + d.exponent && digit) whole = false;
        if (value > TRC_MAX_US) return false;
    }
    for (int64_t i = n_digits; i < n_kept && value > 0; i++)
        if ((value *= 10) > TRC_MAX_US) return false;
    value += round_up;
    if (value > TRC_MAX_US) return false;
    *us = value;
    *is_whole = whole;
    return true;
}

/* Exactly n digits. */
static bool take_number(struct cursor *c, int n, int *out)
{
    *out = 0;
    for (; n > 0; n--, c->at++) {
        if (!is_digit(*c)) return false;
        *out = 10 * *out + (*c->at - '0');
    }
    return true;
}

/* Days from 1970-01-01 in the proleptic Gregorian calendar; the year starts in March so that leap days come
 * last. */
static int64_t days_since_1970(int year, int month, int day)
{
    int64_t y = year - (month <= 2);
    int64_t day_of_year = (153 * (month + (month > 2 ? -3 : 9)) + 2) / 5 + day - 1;
    return 365 * y + y / 4 - y / 100 + y / 400 + day_of_year - 719468;
}

static bool take_date(struct cursor *c, int64_t *days)
{
    static const int month_days[] = {31, 29, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31};
    int year, month, day;
    if (!take_number(c, 4, &year) || !take(c, '-') || !take_number(c, 2, &month) || !take(c, '-') ||
        !take_number(c, 2, &day))
        return false;
    bool leap = (year % 4 == 0 && year % 100 != 0) || year % 400 == 0;
    if (year < 1970 || month < 1 || month > 12 || day < 1 || day > month_days[month - 1]) return false;
    if (month == 2 && day == 29 && !leap) return false;
    *days = days_since_1970(year, month, day);
    return true;
}

static bool take_clock_time(struct cursor *c, int64_t *us)
{
    int hour, minute, second;
    if (!take_number(c, 2, &hour) || !take(c, ':') || !take_number(c, 2, &minute) || !take(c, ':') ||
        !take_number(c, 2, &second))
        return false;
    if (hour > 23 || minute > 59 || second > 59) return false;
    int64_t ns = 0, n_digits = 0;
    if (take(c, '.')) {
        for (; is_digit(*c); c->at++, n_digits++) {
            if (n_digits == 9) return false;
            ns = 10 * ns + (*c->at - '0');
        }
        if (n_digits == 0) return false;
        for (int64_t i = n_digits; i < 9; i++) ns *= 10;
    }
    *us = (int64_t)(hour * 3600 + minute * 60 + second) * 1000000 + (ns + 500) / 1000;
    return true;
}

static bool take_zone(struct cursor *c, int64_t *east_us)
{
    *east_us = 0;
    if (c->at == c->end || take(c, 'Z')) return true;
    bool west = take(c, '-');
    if (!west && !take(c, '+')) return false;
    int hour, minute;
    if (!take_number(c, 2, &hour) || !take(c, ':') || !take_number(c, 2, &minute)) return false;
    if (hour > 23 || minute > 59) return false;
    *east_us = (int64_t)(hour * 3600 + minute * 60) * 1000000 * (west ? -1 : 1);
    return true;
}

bool trc_datetime_us(const char *text, size_t length, int64_t *us)
{
    struct cursor c = {text, text + length};
    int64_t days, time_us, east_us;
    if (!take_date(&c, &days) || (!take(&c, ' ') && !take(&c, 'T')) || !take_clock_time(&c, &time_us) ||
        !take_zone(&c, &east_us) || c.at != c.end)
        return false;
    int64_t value = days * INT64_C(86400000000) + time_us - east_us;
    if (value < 0 || value > TRC_MAX_US) return false;
    *us = value;
    return true;
}
