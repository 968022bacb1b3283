package command

import (
	"fmt"
	"strconv"
	"strings"
	"time"
	"unicode"
)

// Since reads the flag --since: a duration, counted back from now, or a time; empty is the zero time.
func Since(text string, now time.Time) (time.Time, error) {
	if text == "" {
		return time.Time{}, nil
	}
	if ago, err := time.ParseDuration(text); err == nil && ago >= 0 {
		return now.Add(-ago), nil
	}
	moment, err := time.Parse(time.RFC3339Nano, text)
	if err != nil || moment.After(now) || moment.Unix() <= 0 {
		return time.Time{}, Usage(
			fmt.Errorf("--since: must be a duration such as 24h or a time in the past such as 2026-11-22T12:00:00Z, not %q", text),
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
