// Package cells divides the values that a fact can have by what a policy compares it with: two values in one cell come out alike in every
// such comparison. It is pure.
package cells

import (
	"cmp"
	"encoding/binary"
	"math/big"
	"slices"
	"strconv"
	"strings"
)

// Cells are the cells of one fact. They are immutable. Those of nothing are one, which holds every value.
type Cells struct {
	bounds []bound  // sorted, each once
	texts  []string // the same
}

// bound is where whole numbers part: at a number or, between it and the next, above it.
type bound struct {
	number int64
	above  bool
}

// New returns the cells of a fact that is compared with numbers, as JSON writes them, in any order, and with texts by equality. It reports
// false of a number that is too long to be told apart from others.
func New(numbers, texts []string) (*Cells, bool) {
	c := &Cells{texts: slices.Compact(slices.Sorted(slices.Values(texts)))}
	for _, number := range numbers {
		b, within, ok := parsed(number)
		if !ok {
			return nil, false
		}
		if within {
			c.bounds = append(c.bounds, b)
		}
	}
	slices.SortFunc(c.bounds, func(a, b bound) int {
		return cmp.Or(cmp.Compare(a.number, b.number), boolean(a.above)-boolean(b.above))
	})
	c.bounds = slices.Compact(c.bounds)
	return c, true
}

func boolean(b bool) int {
	if b {
		return 1
	}
	return 0
}

// parsed reads a number. One that no whole number of 64 bits comes near to is not within, and parts nothing.
func parsed(number string) (b bound, within, ok bool) {
	const (
		digits    = 100
		precision = 512 // bits, in which so many digits have room before the point and behind it
	)
	if n, err := strconv.ParseInt(number, 10, 64); err == nil {
		return bound{number: n}, true, true
	}
	if len(number) > digits {
		return bound{}, false, false
	}
	f, _, err := big.ParseFloat(number, 10, precision, big.ToNearestEven)
	if err != nil {
		return bound{}, false, false
	}
	if f.IsInf() {
		return bound{}, false, true
	}
	whole, _ := f.Int64() // towards zero, and the nearest that there is
	switch at := new(big.Float).SetInt64(whole).Cmp(f); {
	case at == 0:
		return bound{number: whole}, true, true
	case new(big.Float).Abs(f).Cmp(big.NewFloat(1<<63)) >= 0:
		return bound{}, false, true
	case at > 0:
		whole--
	}
	return bound{number: whole, above: true}, true, true
}

// Equal reports whether two divide values alike. None divide nothing.
func (c *Cells) Equal(other *Cells) bool {
	if c == nil || other == nil {
		return c == other
	}
	return slices.Equal(c.bounds, other.bounds) && slices.Equal(c.texts, other.texts)
}

// AppendNumber appends which cell a number is in.
func (c *Cells) AppendNumber(to []byte, n int64) []byte {
	place := 0
	for _, b := range c.bounds {
		if n < b.number || n == b.number && b.above {
			break
		}
		place += 2
		if n == b.number {
			place--
			break
		}
	}
	return binary.AppendUvarint(to, uint64(place))
}

// AppendText appends which cell a text is in.
func (c *Cells) AppendText(to []byte, text string) []byte {
	const few = 16 // of which most are of another length
	if len(c.texts) <= few {
		return binary.AppendUvarint(to, uint64(slices.Index(c.texts, text)+1))
	}
	place, equal := slices.BinarySearch(c.texts, text)
	if !equal {
		return append(to, 0)
	}
	return binary.AppendUvarint(to, uint64(place)+1)
}

// String says what the cells are: "below 7, 7, above" of numbers, or the texts.
func (c *Cells) String() string {
	switch {
	case len(c.bounds) > 0:
		return c.numbers()
	case len(c.texts) == 0:
		return "all are one"
	}
	quoted := make([]string, 0, len(c.texts)+1)
	for _, text := range c.texts {
		quoted = append(quoted, strconv.Quote(text))
	}
	return strings.Join(append(quoted, "any other"), ", ")
}

func (c *Cells) numbers() string {
	var named []string
	for i, b := range c.bounds {
		at := strconv.FormatInt(b.number, 10)
		switch {
		case i == 0 && b.above:
			named = append(named, "up to "+at)
		case i == 0:
			named = append(named, "below "+at, at)
		case !b.above && c.bounds[i-1].number < b.number-1:
			named = append(named, "between", at)
		case !b.above:
			named = append(named, at)
		case c.bounds[i-1].number < b.number:
			named = append(named, "up to "+at)
		}
	}
	return strings.Join(append(named, "above"), ", ")
}
