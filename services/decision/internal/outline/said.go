package outline

import "github.com/keyward/keyward/services/decision/internal/facts"

// Said is what the head of a record says beside the judgement, so that who reads many records need not read them whole.
type Said struct {
	OS      string   `json:"os,omitempty"`
	Browser string   `json:"browser,omitempty"`
	Device  string   `json:"device,omitempty"`  // the class of the device
	Route   string   `json:"route,omitempty"`   // of a login that was offered
	Kind    string   `json:"kind,omitempty"`    // of a creation that was offered
	Reasons []string `json:"reasons,omitempty"` // why nothing was offered, and what the rules of risk found, by name
	Verdict string   `json:"verdict,omitempty"` // of the rules of risk: allow, review, challenge or deny; empty = they did not judge
	Level   string   `json:"level,omitempty"`   // low, medium or high
}

// AppendMember appends it as a member of an object, as encoding/json would; nothing if s is nil.
func (s *Said) AppendMember(to []byte) []byte {
	if s == nil {
		return to
	}
	to = append(to, `,"outline":`...)
	start := len(to)
	text := func(name, value string) {
		if value != "" {
			to = facts.AppendText(append(to, name...), value)
		}
	}
	text(`,"os":`, s.OS)
	text(`,"browser":`, s.Browser)
	text(`,"device":`, s.Device)
	text(`,"route":`, s.Route)
	text(`,"kind":`, s.Kind)
	before := `,"reasons":[`
	for _, reason := range s.Reasons {
		to, before = facts.AppendText(append(to, before...), reason), ","
	}
	if len(s.Reasons) > 0 {
		to = append(to, ']')
	}
	text(`,"verdict":`, s.Verdict)
	text(`,"level":`, s.Level)
	if len(to) == start {
		return append(to, "{}"...)
	}
	to[start] = '{'
	return append(to, '}')
}
