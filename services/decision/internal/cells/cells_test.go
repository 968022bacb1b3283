package cells_test

import (
	"math/big"
	"strings"
	"testing"

	"pgregory.net/rapid"

	"github.com/keyward/keyward/services/decision/internal/cells"
)

func TestNumbersInOneCellCompareAlike(t *testing.T) {
	t.Parallel()
	written := rapid.SampledFrom([]string{
		"0", "1", "2", "3", "5", "-1", "-2", "2.5", "-1.5", "5.0", "0.1e1", "1e2", "1e400", "-1e400", "1e999999999", "9223372036854775807",
		"9223372036854775808", "-9223372036854775808", "-9223372036854775809", "9223372036854775806.5", "1e18",
	})
	values := rapid.OneOf(
		rapid.Int64Range(-4, 8), rapid.Int64(),
		rapid.SampledFrom([]int64{1<<63 - 1, 1<<63 - 2, -1 << 63, -1<<63 + 1, 1e18, 99, 100, 101}),
	)
	rapid.Check(t, func(t *rapid.T) {
		numbers := rapid.SliceOfN(written, 0, 6).Draw(t, "numbers")
		c, ok := cells.New(numbers, nil)
		if !ok {
			t.Fatalf("%v is not taken", numbers)
		}
		a, b := values.Draw(t, "a"), values.Draw(t, "b")
		same := string(c.AppendNumber(nil, a)) == string(c.AppendNumber(nil, b))
		alike := true
		for _, number := range numbers {
			f, _, err := big.ParseFloat(number, 10, 2048, big.ToNearestEven)
			if err != nil {
				t.Fatal(err)
			}
			alike = alike && new(big.Float).SetInt64(a).Cmp(f) == new(big.Float).SetInt64(b).Cmp(f)
		}
		if same != alike {
			t.Errorf("%d and %d beside %v: in one cell %t, alike %t", a, b, numbers, same, alike)
		}
	})
}

func TestTextsInOneCellEqualTheSame(t *testing.T) {
	t.Parallel()
	words := rapid.StringMatching("[ab]{0,2}")
	rapid.Check(t, func(t *rapid.T) {
		texts := rapid.SliceOfN(words, 0, 4).Draw(t, "texts")
		if rapid.Bool().Draw(t, "many") {
			texts = append(texts, strings.Split("abcdefghijklmnopqrst", "")...)
		}
		c, _ := cells.New(nil, texts)
		a, b := words.Draw(t, "a"), words.Draw(t, "b")
		same := string(c.AppendText(nil, a)) == string(c.AppendText(nil, b))
		alike := true
		for _, text := range texts {
			alike = alike && (a == text) == (b == text)
		}
		if same != alike {
			t.Errorf("%q and %q beside %q: in one cell %t, alike %t", a, b, texts, same, alike)
		}
	})
}

func TestWhatCellsAreCalled(t *testing.T) {
	t.Parallel()
	for _, tc := range []struct {
		name    string
		numbers []string
		want    string
	}{
		{"a number that nothing is compared with", nil, "all are one"},
		{"one that is compared with one", []string{"7"}, "below 7, 7, above"},
		{"with numbers that follow one another", []string{"7", "8"}, "below 7, 7, 8, above"},
		{"with working hours", []string{"20", "7", "7"}, "below 7, 7, between, 20, above"},
		{"with what is none of them", []string{"7.5", "9"}, "up to 7, between, 9, above"},
	} {
		t.Run(tc.name, func(t *testing.T) {
			t.Parallel()
			c, _ := cells.New(tc.numbers, nil)
			if got := c.String(); got != tc.want {
				t.Errorf("%q, want %q", got, tc.want)
			}
		})
	}
	if c, _ := cells.New(nil, []string{"DE", "AT"}); c.String() != `"AT", "DE", any other` {
		t.Error(c.String())
	}
	if _, ok := cells.New([]string{"0." + string(make([]byte, 200))}, nil); ok {
		t.Error("a number of 200 digits is taken")
	}
}
