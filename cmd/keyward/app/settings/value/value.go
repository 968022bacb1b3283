// Package value reads and writes the values of settings as text: one type for each kind, which holds a pointer to where the value is kept.
// What a type shows can be set again and is the same value, but for secrets, which show as stars. A text that is refused changes nothing,
// and the error says what it must be. The package touches only what the pointers point to.
package value

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

// Duration is a duration whose zero has a name of its own, such as "always".
type Duration struct {
	P    *time.Duration
	Zero string
}

// String implements pflag.Value.
func (v Duration) String() string {
	if v.P == nil {
		return ""
	}
	if *v.P == 0 && v.Zero != "" {
		return v.Zero
	}
	return shortDuration(*v.P)
}

// Set implements pflag.Value.
func (v Duration) Set(text string) error {
	if text == "0" || (v.Zero != "" && text == v.Zero) {
		*v.P = 0
		return nil
	}
	d, err := time.ParseDuration(text)
	if err != nil {
		return errors.New("must be a duration such as 250ms, 10s or 24h")
	}
	if d < 0 {
		return errors.New("must not be negative")
	}
	*v.P = d
	return nil
}

// Type implements pflag.Value.
func (v Duration) Type() string { return "duration" }

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

// Bytes is a size, such as 4GiB.
type Bytes[T int | int64] struct{ P *T }

// String implements pflag.Value.
func (v Bytes[T]) String() string {
	if v.P == nil {
		return ""
	}
	return strings.ReplaceAll(humanize.IBytes(uint64(*v.P)), " ", "")
}

// Set implements pflag.Value.
func (v Bytes[T]) Set(text string) error {
	n, err := humanize.ParseBytes(text)
	if err != nil || n > 1<<62 {
		return errors.New("must be a size such as 64KiB, 1MiB or 1000000")
	}
	*v.P = T(n)
	return nil
}

// Type implements pflag.Value.
func (v Bytes[T]) Type() string { return "size" }

// Bound is a size of which 0 has a word for itself: that there is no bound.
type Bound struct {
	P    *int64
	None string
}

// String implements pflag.Value.
func (v Bound) String() string {
	if v.P != nil && *v.P == 0 {
		return v.None
	}
	return Bytes[int64]{P: v.P}.String()
}

// Set implements pflag.Value.
func (v Bound) Set(text string) error {
	if text == v.None {
		*v.P = 0
		return nil
	}
	if err := (Bytes[int64]{P: v.P}).Set(text); err != nil {
		return fmt.Errorf("%w, or %s", err, v.None)
	}
	return nil
}

// Type implements pflag.Value.
func (v Bound) Type() string { return "size" }

// Count is a number of which one that is none has a word for itself: that it is found out.
type Count struct {
	P    *int
	None int
	Word string
}

// String implements pflag.Value.
func (v Count) String() string {
	if v.P != nil && *v.P == v.None {
		return v.Word
	}
	return Int{P: v.P}.String()
}

// Set implements pflag.Value.
func (v Count) Set(text string) error {
	if text == v.Word {
		*v.P = v.None
		return nil
	}
	var n int
	if err := (Int{P: &n}).Set(text); err != nil || n < 0 {
		return fmt.Errorf("must be a whole number from 0 on, or %s", v.Word)
	}
	*v.P = n
	return nil
}

// Type implements pflag.Value.
func (v Count) Type() string { return "int" }

// List is a list; text separates its items with commas.
type List struct{ P *[]string }

// String implements pflag.Value.
func (v List) String() string {
	if v.P == nil {
		return ""
	}
	return strings.Join(*v.P, ",")
}

// Set implements pflag.Value.
func (v List) Set(text string) error {
	var list []string
	for item := range strings.SplitSeq(text, ",") {
		if item = strings.TrimSpace(item); item != "" {
			list = append(list, item)
		}
	}
	*v.P = list
	return nil
}

// List returns the items.
func (v List) List() []string { return *v.P }

// Type implements pflag.Value.
func (v List) Type() string { return "list" }

// Secret holds a secret: String is its masked form.
type Secret struct{ P *secret.Text }

// String implements pflag.Value.
func (v Secret) String() string {
	if v.P == nil {
		return ""
	}
	return v.P.String()
}

// Set implements pflag.Value.
func (v Secret) Set(text string) error {
	*v.P = secret.Text(text)
	return nil
}

// Reveal returns what String hides.
func (v Secret) Reveal() string { return v.P.Reveal() }

// Type implements pflag.Value.
func (v Secret) Type() string { return "secret" }

// URL is a URL that may hold a password: String is its masked form.
type URL struct{ P *secret.Text }

// String implements pflag.Value.
func (v URL) String() string {
	if v.P == nil {
		return ""
	}
	return secret.URL(v.P.Reveal())
}

// Set implements pflag.Value.
func (v URL) Set(text string) error {
	*v.P = secret.Text(text)
	return nil
}

// Reveal returns what String hides.
func (v URL) Reveal() string { return v.P.Reveal() }

// Type implements pflag.Value.
func (v URL) Type() string { return "url" }

// Level is how important a line of the log is.
type Level struct{ P *slog.Level }

// String implements pflag.Value.
func (v Level) String() string {
	if v.P == nil {
		return ""
	}
	return strings.ToLower(v.P.String())
}

// Set implements pflag.Value.
func (v Level) Set(text string) error {
	if err := v.P.UnmarshalText([]byte(text)); err != nil {
		return fmt.Errorf("must be debug, info, warn or error, not %q", text)
	}
	return nil
}

// Type implements pflag.Value.
func (v Level) Type() string { return "level" }

// Text is any text.
type Text struct{ P *string }

// String implements pflag.Value.
func (v Text) String() string {
	if v.P == nil {
		return ""
	}
	return *v.P
}

// Set implements pflag.Value.
func (v Text) Set(text string) error {
	*v.P = text
	return nil
}

// Type implements pflag.Value.
func (v Text) Type() string { return "string" }

// Int is a whole number.
type Int struct{ P *int }

// String implements pflag.Value.
func (v Int) String() string {
	if v.P == nil {
		return ""
	}
	return strconv.Itoa(*v.P)
}

// Set implements pflag.Value.
func (v Int) Set(text string) error {
	n, err := strconv.Atoi(text)
	if err != nil {
		return errors.New("must be a whole number")
	}
	*v.P = n
	return nil
}

// Int returns the number.
func (v Int) Int() int { return *v.P }

// Type implements pflag.Value.
func (v Int) Type() string { return "int" }

// Bool is true or false.
type Bool struct{ P *bool }

// String implements pflag.Value.
func (v Bool) String() string {
	if v.P == nil {
		return ""
	}
	return strconv.FormatBool(*v.P)
}

// Set implements pflag.Value.
func (v Bool) Set(text string) error {
	switch text {
	case "true", "false":
		*v.P = text == "true"
		return nil
	default:
		return errors.New("must be true or false")
	}
}

// Type implements pflag.Value.
func (v Bool) Type() string { return "bool" }
