package given

import (
	"encoding/json"
	"math/big"
	"testing"

	"pgregory.net/rapid"
)

func TestANumberIsWholeHoweverItIsWritten(t *testing.T) {
	t.Parallel()
	for text, want := range map[string]int64{
		"80": 80, "80.0": 80, "8e1": 80, "8E+1": 80, "0.8e2": 80, "800e-1": 80, "-8.0e1": -80, "1e12": 1e12, "0": 0, "-0": 0, "0.000": 0,
		"0e999999999999": 0, "9223372036854775807": 1<<63 - 1, "-9223372036854775808": -1 << 63,
	} {
		if n, is := whole(text); !is || n != want {
			t.Errorf("%s is %d, %t; want %d", text, n, is, want)
		}
	}
	for _, text := range []string{
		"", "80.5", "80.00000000000000000001", "8e-1", "1e19", "9223372036854775808", "1e999999999", "1e-999999999", "1e99999999999999999999",
	} {
		if n, is := whole(text); is {
			t.Errorf("%s is %d", text, n)
		}
	}
}

func TestWhatIsWholeIsWhatItIsToArithmetic(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		text := rapid.StringMatching(`-?(0|[1-9][0-9]{0,20})(\.[0-9]{1,20})?([eE][+-]?[0-9]{1,2})?`).Draw(t, "number")
		if !json.Valid([]byte(text)) {
			t.Fatalf("%s is no number", text)
		}
		exact, _ := new(big.Rat).SetString(text)
		n, is := whole(text)
		want := exact.IsInt() && exact.Num().IsInt64()
		if is != want || is && n != exact.Num().Int64() {
			t.Fatalf("%s is %d, %t", text, n, is)
		}
	})
}
