package agent

import (
	"encoding/json"
	"strings"
)

// Pattern is a part of a user agent, as the tables write it: the text itself, in which * stands for any word or none, a ^ before it for the
// beginning of the user agent and a $ behind it for the end. Words are of letters, digits, full stops, hyphens and underscores.
type Pattern struct {
	written    string
	parts      []string // between the words
	begin, end bool
}

// NewPattern reads a pattern as it is written.
func NewPattern(written string) Pattern {
	p := Pattern{written: written}
	text := written
	text, p.begin = strings.CutPrefix(text, "^")
	text, p.end = strings.CutSuffix(text, "$")
	p.parts = strings.Split(text, "*")
	return p
}

// UnmarshalJSON implements json.Unmarshaler.
func (p *Pattern) UnmarshalJSON(raw []byte) error {
	var written string
	if err := json.Unmarshal(raw, &written); err != nil {
		return err
	}
	*p = NewPattern(written)
	return nil
}

// String is the pattern as it is written.
func (p *Pattern) String() string { return p.written }

// vague reports whether a pattern names nothing: every user agent would have it.
func (p *Pattern) vague() bool { return strings.Join(p.parts, "") == "" }

// In reports whether a text has the pattern.
func (p *Pattern) In(text string) bool { return p.behind(text) >= 0 }

// behind returns where the text goes on after the pattern's first place in it; -1 if it is nowhere.
func (p *Pattern) behind(text string) int {
	for from := 0; ; {
		at := strings.Index(text[from:], p.parts[0])
		if at < 0 || (p.begin && from+at > 0) {
			return -1
		}
		from += at
		if end := p.follow(text, from+len(p.parts[0]), p.parts[1:]); end >= 0 {
			return end
		}
		if from++; from > len(text) {
			return -1
		}
	}
}

// follow returns where the rest of a pattern ends that goes on at a place of the text, -1 if it does not.
func (p *Pattern) follow(text string, at int, rest []string) int {
	if len(rest) == 0 {
		if p.end && at != len(text) {
			return -1
		}
		return at
	}
	for ; ; at++ {
		if strings.HasPrefix(text[at:], rest[0]) {
			if end := p.follow(text, at+len(rest[0]), rest[1:]); end >= 0 {
				return end
			}
		}
		if at == len(text) || !inWord(text[at]) {
			return -1
		}
	}
}

func inWord(c byte) bool {
	return 'a' <= c && c <= 'z' || 'A' <= c && c <= 'Z' || '0' <= c && c <= '9' || c == '.' || c == '-' || c == '_'
}

// anyIn reports whether a text has one of the patterns.
func anyIn(text string, patterns []Pattern) bool {
	for i := range patterns {
		if patterns[i].In(text) {
			return true
		}
	}
	return false
}

// HasAny reports whether a text has one of the parts.
func HasAny(text string, parts []string) bool {
	for _, part := range parts {
		if strings.Contains(text, part) {
			return true
		}
	}
	return false
}
