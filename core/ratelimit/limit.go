package ratelimit

import (
	"errors"
	"fmt"
	"strconv"
	"strings"
	"time"
)

// Off is how a limit that limits nothing is written.
const Off = "off"

// The bounds of a limit. Below a second the exchange between instances would be too slow for it.
const (
	maxRequests = 1_000_000_000
	minPer      = time.Second
	maxPer      = 24 * time.Hour
)

// Limit is how many calls may be made in how long. The zero value limits nothing.
type Limit struct {
	Requests int
	Per      time.Duration
}

// ParseLimit reads a limit as settings have it: "20000/10s", or "off".
func ParseLimit(text string) (Limit, error) {
	if text == Off {
		return Limit{}, nil
	}
	requests, per, ok := strings.Cut(text, "/")
	if !ok {
		return Limit{}, errors.New("must be calls and a duration such as 20000/10s, or off")
	}
	var l Limit
	var err error
	if l.Requests, err = strconv.Atoi(requests); err != nil {
		return Limit{}, fmt.Errorf("must begin with a whole number of calls, not %q", requests)
	}
	if l.Per, err = time.ParseDuration(per); err != nil {
		return Limit{}, fmt.Errorf("must end with a duration such as 10s or 1m, not %q", per)
	}
	if l == (Limit{}) {
		return Limit{}, errors.New("must be above zero; off turns the limit off")
	}
	return l, l.Validate()
}

// Validate reports a limit that cannot be kept.
func (l Limit) Validate() error {
	switch {
	case l == Limit{}:
		return nil
	case l.Requests < 1 || l.Requests > maxRequests:
		return fmt.Errorf("calls must be 1 to %d", maxRequests)
	case l.Per < minPer || l.Per > maxPer:
		return fmt.Errorf("the duration must be %s to %s", minPer, maxPer)
	}
	return nil
}

// On reports whether there is a limit.
func (l Limit) On() bool { return l.Requests > 0 && l.Per > 0 }

// String returns what ParseLimit reads.
func (l Limit) String() string {
	if !l.On() {
		return Off
	}
	per := l.Per.String()
	if strings.HasSuffix(per, "m0s") {
		per = strings.TrimSuffix(per, "0s")
	}
	if strings.HasSuffix(per, "h0m") {
		per = strings.TrimSuffix(per, "0m")
	}
	return strconv.Itoa(l.Requests) + "/" + per
}
