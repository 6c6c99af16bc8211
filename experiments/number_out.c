#include "experiments/number_out.h"

#include <stdio.h>
#include <string.h>

__extension__ typedef unsigned __int128 u128;

enum { DIGITS = 17 };
static const uint64_t e16 = UINT64_C(10000000000000000); /* 17 digits lie in [e16, 10 e16) */

static u128 power_of_ten(int n)
{
    u128 p = 1;
    while (n-- > 0) p *= 10;
    return p;
}

/* value x 10^k to the nearest integer, ties to even; exact because 53 bits times 10^20 fit into 128. */
static uint64_t scaled(double value, int k)
{
    uint64_t bits;
    memcpy(&bits, &value, sizeof bits);
    int shift = 1075 - (int)(bits >> 52); /* value = mantissa / 2^shift; 3 to 66 in the range used */
    u128 product = (u128)((bits & ((UINT64_C(1) << 52) - 1)) | UINT64_C(1) << 52) * power_of_ten(k);
    u128 whole = product >> shift, rest = product - (whole << shift), half = (u128)1 << (shift - 1);
    return (uint64_t)whole + (rest > half || (rest == half && (whole & 1)));
}

/* Digits behind each other, without a point; returns how many are left without the zeros at the end. */
static int digits_of(uint64_t n, char digits[DIGITS])
{
    int used = DIGITS;
    for (int i = DIGITS - 1; i >= 0; i--, n /= 10) digits[i] = (char)('0' + n % 10);
    while (used > 1 && digits[used - 1] == '0') used--;
    return used;
}

static char *put(char *at, const char *text, int n)
{
    if (n > 0) memcpy(at, text, (size_t)n);
    return n > 0 ? at + n : at;
}

static char *put_fixed(char *at, const char digits[DIGITS], int used, int exponent)
{
    if (exponent < 0) {
        at = put(at, "0.0000", 1 - exponent);
        return put(at, digits, used);
    }
    at = put(at, digits, exponent + 1);
    if (used <= exponent + 1) return at;
    *at++ = '.';
    return put(at, digits + exponent + 1, used - exponent - 1);
}

char *exp_put_double(char *at, double value)
{
    if (!(value >= 1e-4 && value < 1e15)) return at + snprintf(at, EXP_NUMBER_BYTES, "%.17g", value);
    int exponent = -4;
    for (double power = 1e-3; power <= value; power *= 10) exponent++;
    uint64_t n = scaled(value, DIGITS - 1 - exponent);
    if (n >= 10 * e16) n = scaled(value, DIGITS - 1 - ++exponent);
    if (n < e16) n = scaled(value, DIGITS - 1 - --exponent);
    char digits[DIGITS];
    int used = digits_of(n, digits);
    return put_fixed(at, digits, used, exponent);
}

char *exp_put_u64(char *at, uint64_t value)
{
    char digits[20];
    int n = 0;
    do digits[n++] = (char)('0' + value % 10);
    while ((value /= 10) > 0);
    while (n > 0) *at++ = digits[--n];
    return at;
}
