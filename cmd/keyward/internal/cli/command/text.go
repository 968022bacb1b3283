package command

import (
	"errors"
	"fmt"
	"strconv"
	"strings"
	"time"
	"unicode"
)

// Since reads the flag --since: a duration, counted back from now, or a time; empty is the zero time.
func Since(text string, now time.Time) (time.Time, error) { return TimeFlag("since", text, now) }

// TimeFlag reads a time in the past that the flag of a name gives, as Since does.
func TimeFlag(name, text string, now time.Time) (time.Time, error) {
	if text == "" {
		return time.Time{}, nil
	}
	if ago, err := time.ParseDuration(text); err == nil && ago >= 0 {
		return now.Add(-ago), nil
	}
	moment, err := time.Parse(time.RFC3339Nano, text)
	if err != nil || moment.After(now) || moment.Unix() <= 0 {
		return time.Time{}, Usage(
			fmt.Errorf("--%s: must be a duration such as 24h or a time in the past such as 2026-11-22T12:00:00Z, not %q", name, text),
		)
	}
	return moment, nil
}

// Word returns text that callers sent as a terminal may show it: quoted if it would not stay one word.
func Word(text string) string {
	odd := func(r rune) bool {
		return !unicode.IsPrint(r) || unicode.IsSpace(r) || r == '"' || r == unicode.ReplacementChar
	}
	if text == "" || strings.ContainsFunc(text, odd) {
		return strconv.QuoteToASCII(text)
	}
	return text
}

// Timestamp is a time as commands print it.
func Timestamp(ms int64) string { return time.UnixMilli(ms).UTC().Format(time.RFC3339) }

// OrNever is a time that there need not be, as commands print it.
func OrNever(at string) string {
	if at == "" {
		return "never"
	}
	return at
}

// Lifetime reads a duration that may be in days; empty is 0, for ever.
func Lifetime(text string) (time.Duration, error) {
	if text == "" {
		return 0, nil
	}
	lifetime, err := time.ParseDuration(text)
	if days, isDays := strings.CutSuffix(text, "d"); isDays {
		var n int
		n, err = strconv.Atoi(days)
		lifetime = time.Duration(n) * 24 * time.Hour
		if n > 36_500 {
			err = errors.New("beyond a century")
		}
	}
	if err != nil || lifetime <= 0 {
		return 0, errors.New("must be a duration such as 90d or 12h")
	}
	return lifetime, nil
}
