package given

import (
	"strconv"
	"strings"
)

// most is how many digits a number of 64 bits has.
const most = 19

// whole reads a number of JSON that is a whole one, however it is written: to JSON Schema 80, 80.0 and 8e1 are one integer. It is exact,
// and an exponent costs nothing.
func whole(number string) (n int64, is bool) {
	mantissa, exponent, raised := strings.Cut(strings.ToLower(number), "e")
	digits, fraction, _ := strings.Cut(mantissa, ".")
	digits += fraction
	if strings.Trim(digits, "-0") == "" {
		return 0, digits != ""
	}
	shift := 0
	if raised {
		var err error
		if shift, err = strconv.Atoi(exponent); err != nil {
			return 0, false
		}
	}
	shift -= len(fraction)
	for shift < 0 && strings.HasSuffix(digits, "0") {
		digits, shift = digits[:len(digits)-1], shift+1
	}
	if shift < 0 || shift > most {
		return 0, false
	}
	n, err := strconv.ParseInt(digits+strings.Repeat("0", shift), 10, 64)
	return n, err == nil
}
