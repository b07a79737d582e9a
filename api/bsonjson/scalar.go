package bsonjson

import (
	"math"
	"strconv"
)

// maxSafeInteger is the largest integer that JavaScript holds exactly, 2⁵³−1.
const maxSafeInteger = 1<<53 - 1

func appendInt(dst []byte, n int64) []byte {
	if -maxSafeInteger <= n && n <= maxSafeInteger {
		return strconv.AppendInt(dst, n, 10)
	}
	return append(strconv.AppendInt(append(dst, '"'), n, 10), '"')
}

// appendDouble writes x as ECMAScript's Number::toString does.
func appendDouble(dst []byte, x float64) []byte {
	size := math.Abs(x)
	switch {
	case math.IsNaN(x) || math.IsInf(x, 0):
		return append(dst, "null"...)
	case x == 0: // minus zero as well
		return append(dst, '0')
	case 1e-6 <= size && size < 1e21:
		return strconv.AppendFloat(dst, x, 'f', -1, 64)
	}
	dst = strconv.AppendFloat(dst, x, 'e', -1, 64)
	if n := len(dst); dst[n-4] == 'e' && dst[n-2] == '0' { // e-09 is e-9 in JavaScript
		dst[n-2] = dst[n-1]
		dst = dst[:n-1]
	}
	return dst
}

const (
	dayMillis = 24 * 60 * 60 * 1000
	// maxDateMillis bounds what a JavaScript Date can hold (ECMA-262 §21.4.1.1).
	maxDateMillis = 100_000_000 * dayMillis
)

// appendDate writes milliseconds since 1970 as Date.prototype.toISOString does: years outside 0 to 9999 have a sign and six digits.
func appendDate(dst []byte, millis int64) []byte {
	if millis < -maxDateMillis || millis > maxDateMillis {
		return append(dst, "null"...)
	}
	days, rest := millis/dayMillis, int(millis%dayMillis)
	if rest < 0 {
		days, rest = days-1, rest+dayMillis
	}
	year, month, day := civil(int(days))
	dst = appendYear(append(dst, '"'), year)
	dst = appendDigits(append(dst, '-'), month, 2)
	dst = appendDigits(append(dst, '-'), day, 2)
	dst = appendDigits(append(dst, 'T'), rest/3_600_000, 2)
	dst = appendDigits(append(dst, ':'), rest/60_000%60, 2)
	dst = appendDigits(append(dst, ':'), rest/1000%60, 2)
	dst = appendDigits(append(dst, '.'), rest%1000, 3)
	return append(dst, 'Z', '"')
}

// civil turns days since 1970-01-01 into a date of the proleptic Gregorian calendar. It is Howard Hinnant's civil_from_days
// (https://howardhinnant.github.io/date_algorithms.html), in which a year begins in March and an era has 400 years.
func civil(days int) (year, month, day int) {
	const daysPerEra = 146097
	days += 719468 // from 0000-03-01
	era := days / daysPerEra
	if days < 0 {
		era = (days - daysPerEra + 1) / daysPerEra
	}
	dayOfEra := days - era*daysPerEra
	yearOfEra := (dayOfEra - dayOfEra/1460 + dayOfEra/36524 - dayOfEra/146096) / 365
	dayOfYear := dayOfEra - (365*yearOfEra + yearOfEra/4 - yearOfEra/100)
	shifted := (5*dayOfYear + 2) / 153
	day = dayOfYear - (153*shifted+2)/5 + 1
	year, month = yearOfEra+era*400, shifted+3
	if month > 12 {
		year, month = year+1, month-12
	}
	return year, month, day
}

func appendYear(dst []byte, year int) []byte {
	switch {
	case year < 0:
		return appendDigits(append(dst, '-'), -year, 6)
	case year > 9999:
		return appendDigits(append(dst, '+'), year, 6)
	}
	return appendDigits(dst, year, 4)
}

// appendDigits writes n, which is not negative, with leading zeros to a width of at most 6.
func appendDigits(dst []byte, n, width int) []byte {
	var digits [6]byte
	for i := width - 1; i >= 0; i-- {
		digits[i] = byte('0' + n%10)
		n /= 10
	}
	return append(dst, digits[:width]...)
}
