package strictyaml

import (
	"errors"
	"regexp"
	"strconv"
	"strings"
	"time"

	"go.yaml.in/yaml/v3"
)

// Units of offsets.
var units = [...]struct {
	letter string
	length time.Duration
}{{"ms", time.Millisecond}, {"s", time.Second}, {"m", time.Minute}, {"h", time.Hour}, {"d", day}}

const day = 24 * time.Hour

// maxOffset is a century: longer ones are slips.
const maxOffset = 100 * 366 * 24 * time.Hour

var (
	offsetForm = regexp.MustCompile(`^-?(\d+(ms|[smhd]))+$`)
	offsetPart = regexp.MustCompile(`(\d+)(ms|[smhd])`)
)

var (
	errOffsetForm = errors.New("is neither an offset like -5d or -1h30m, of ms, s, m, h and d, nor a time like 2026-11-22T12:00:00Z")
	errOffsetLong = errors.New("is more than 100 years away")
)

// parseOffset reads -179d23h59m59s: several parts add up, and without a sign it lies in the future.
func parseOffset(text string) (time.Duration, error) {
	if !offsetForm.MatchString(text) {
		return 0, errOffsetForm
	}
	var total time.Duration
	for _, part := range offsetPart.FindAllStringSubmatch(text, -1) {
		n, err := strconv.ParseInt(part[1], 10, 64)
		if err != nil {
			return 0, errOffsetLong
		}
		for _, u := range units {
			if u.letter != part[2] {
				continue
			}
			if n > int64(maxOffset/u.length) {
				return 0, errOffsetLong
			}
			total += time.Duration(n) * u.length
		}
		if total > maxOffset {
			return 0, errOffsetLong
		}
	}
	if strings.HasPrefix(text, "-") {
		total = -total
	}
	return total, nil
}

// Clock reads an RFC 3339 time.
func (r *Reader) Clock(n *yaml.Node, what string) time.Time {
	if n.Kind != yaml.ScalarNode || n.ShortTag() != tagText && n.ShortTag() != tagMoment {
		r.Refuse(n, "%s must be a time like 2026-11-22T12:00:00Z, not %s", what, kindOf(n))
		return time.Time{}
	}
	at, err := time.Parse(time.RFC3339, n.Value)
	if err != nil {
		r.Refuse(n, "%s %q is no time like 2026-11-22T12:00:00Z", what, n.Value)
		return time.Time{}
	}
	return r.plausible(n, what, at.UTC())
}

// plausible refuses what Unix times cannot say.
func (r *Reader) plausible(n *yaml.Node, what string, at time.Time) time.Time {
	const first = 2 // 1970, with a day to spare
	if at.Unix() < first*int64(day/time.Second) {
		r.Refuse(n, "%s lies before 1970", what)
		return time.Time{}
	}
	return at
}

// Duration reads an offset forward in time; of no node, none.
func (r *Reader) Duration(n *yaml.Node, what string) time.Duration {
	if n == nil {
		return 0
	}
	if n.Kind != yaml.ScalarNode || IsNull(n) {
		r.Refuse(n, "%s must be a length of time like 1m, not %s", what, kindOf(n))
		return 0
	}
	length, err := parseOffset(n.Value)
	if err != nil || length < 0 {
		r.Refuse(n, "%s %q is no length of time like 1m or 1h30m, of ms, s, m, h and d", what, n.Value)
		return 0
	}
	return length
}

// Moment reads an offset from now, or an RFC 3339 time.
func (r *Reader) Moment(n *yaml.Node, what string, now time.Time) time.Time {
	if n == nil {
		return time.Time{}
	}
	if n.Kind == yaml.ScalarNode && n.ShortTag() == tagMoment || n.Kind == yaml.ScalarNode && strings.Contains(n.Value, "T") {
		return r.Clock(n, what)
	}
	if n.Kind != yaml.ScalarNode || IsNull(n) {
		r.Refuse(n, "%s must be an offset or a time, not %s", what, kindOf(n))
		return time.Time{}
	}
	offset, err := parseOffset(n.Value)
	if err != nil {
		r.Refuse(n, "%s %q %v", what, n.Value, err)
		return time.Time{}
	}
	return r.plausible(n, what, now.Add(offset))
}
