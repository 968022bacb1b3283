package settings

import (
	"errors"
	"fmt"
	"log/slog"
	"strconv"
	"strings"
	"time"

	"github.com/dustin/go-humanize"

	"github.com/keyward/keyward/core/secret"
)

// durationValue is a duration whose zero has a name of its own, such as "always".
type durationValue struct {
	p    *time.Duration
	zero string
}

func (v durationValue) String() string {
	if v.p == nil {
		return ""
	}
	if *v.p == 0 && v.zero != "" {
		return v.zero
	}
	return shortDuration(*v.p)
}

func (v durationValue) Set(text string) error {
	if text == "0" || (v.zero != "" && text == v.zero) {
		*v.p = 0
		return nil
	}
	d, err := time.ParseDuration(text)
	if err != nil {
		return errors.New("must be a duration such as 250ms, 10s or 24h")
	}
	if d < 0 {
		return errors.New("must not be negative")
	}
	*v.p = d
	return nil
}

func (v durationValue) Type() string { return "duration" }

// shortDuration leaves out the zero units at the end: 720h, not 720h0m0s.
func shortDuration(d time.Duration) string {
	s := d.String()
	if strings.HasSuffix(s, "m0s") {
		s = strings.TrimSuffix(s, "0s")
	}
	if strings.HasSuffix(s, "h0m") {
		s = strings.TrimSuffix(s, "0m")
	}
	return s
}

// bytesValue is a size, such as 4GiB.
type bytesValue[T int | int64] struct{ p *T }

func (v bytesValue[T]) String() string {
	if v.p == nil {
		return ""
	}
	return strings.ReplaceAll(humanize.IBytes(uint64(*v.p)), " ", "")
}

func (v bytesValue[T]) Set(text string) error {
	n, err := humanize.ParseBytes(text)
	if err != nil || n > 1<<62 {
		return errors.New("must be a size such as 64KiB, 1MiB or 1000000")
	}
	*v.p = T(n)
	return nil
}

func (v bytesValue[T]) Type() string { return "size" }

// boundValue is a size of which 0 has a word for itself: that there is no bound.
type boundValue struct {
	p    *int64
	none string
}

func (v boundValue) String() string {
	if v.p != nil && *v.p == 0 {
		return v.none
	}
	return bytesValue[int64]{v.p}.String()
}

func (v boundValue) Set(text string) error {
	if text == v.none {
		*v.p = 0
		return nil
	}
	if err := (bytesValue[int64]{v.p}).Set(text); err != nil {
		return fmt.Errorf("%w, or %s", err, v.none)
	}
	return nil
}

func (v boundValue) Type() string { return "size" }

// listValue is a list; text separates its items with commas.
type listValue struct{ p *[]string }

func (v listValue) String() string {
	if v.p == nil {
		return ""
	}
	return strings.Join(*v.p, ",")
}

func (v listValue) Set(text string) error {
	var list []string
	for item := range strings.SplitSeq(text, ",") {
		if item = strings.TrimSpace(item); item != "" {
			list = append(list, item)
		}
	}
	*v.p = list
	return nil
}

// List returns the items.
func (v listValue) List() []string { return *v.p }

func (v listValue) Type() string { return "list" }

// secretValue holds a secret: String is its masked form.
type secretValue struct{ p *secret.Text }

func (v secretValue) String() string {
	if v.p == nil {
		return ""
	}
	return v.p.String()
}

func (v secretValue) Set(text string) error {
	*v.p = secret.Text(text)
	return nil
}

// Reveal returns what String hides.
func (v secretValue) Reveal() string { return v.p.Reveal() }

func (v secretValue) Type() string { return "secret" }

// urlValue is a URL that may hold a password: String is its masked form.
type urlValue struct{ p *secret.Text }

func (v urlValue) String() string {
	if v.p == nil {
		return ""
	}
	return secret.URL(v.p.Reveal())
}

func (v urlValue) Set(text string) error {
	*v.p = secret.Text(text)
	return nil
}

// Reveal returns what String hides.
func (v urlValue) Reveal() string { return v.p.Reveal() }

func (v urlValue) Type() string { return "url" }

type levelValue struct{ p *slog.Level }

func (v levelValue) String() string {
	if v.p == nil {
		return ""
	}
	return strings.ToLower(v.p.String())
}

func (v levelValue) Set(text string) error {
	if err := v.p.UnmarshalText([]byte(text)); err != nil {
		return fmt.Errorf("must be debug, info, warn or error, not %q", text)
	}
	return nil
}

func (v levelValue) Type() string { return "level" }

type textValue string

func stringValue(p *string) *textValue { return (*textValue)(p) }

func (v *textValue) String() string {
	if v == nil {
		return ""
	}
	return string(*v)
}

func (v *textValue) Set(text string) error {
	*v = textValue(text)
	return nil
}

func (v *textValue) Type() string { return "string" }

type intValue struct{ p *int }

func (v intValue) String() string {
	if v.p == nil {
		return ""
	}
	return strconv.Itoa(*v.p)
}

func (v intValue) Set(text string) error {
	n, err := strconv.Atoi(text)
	if err != nil {
		return errors.New("must be a whole number")
	}
	*v.p = n
	return nil
}

// Int returns the number.
func (v intValue) Int() int { return *v.p }

func (v intValue) Type() string { return "int" }
