package demo

import (
	"encoding/json"
	"fmt"
	"io"
	"slices"
	"strings"
	"time"

	"github.com/keyward/keyward/cmd/keyward/internal/client"
)

// page prints for a person.
type page struct {
	styles
	w       io.Writer
	full    bool // whole bodies instead of what matters
	chapter int
}

const width = 76

func newPage(opts Options, full bool) *page {
	p := &page{w: opts.Out, full: full}
	if opts.Coloured {
		p.styles = coloured()
	}
	return p
}

func (p *page) line(parts ...string) { _, _ = fmt.Fprintln(p.w, strings.Join(parts, "")) }

// begin opens a chapter.
func (p *page) begin(total int, title, text string) {
	p.chapter++
	p.line()
	p.line(p.accent.render(fmt.Sprintf("%d/%d", p.chapter, total)), "  ", p.title.render(title))
	p.tell(text)
}

// tell prints prose.
func (p *page) tell(text string) {
	const indent = "     "
	for _, line := range wrapped(text, width-len(indent)) {
		p.line(indent, line)
	}
}

// exchange prints a call and its answer.
func (p *page) exchange(x client.Exchange) {
	status := p.good
	if x.Status >= 400 {
		status = p.bad
	}
	p.line()
	p.line("     ", p.verb.render(x.Method), " ", x.Path, "  ", status.render(fmt.Sprint(x.Status)), "  ", p.faint.render(took(x.Took)))
	sent := highlights(x.Request)
	p.body("→", x.Request, sent)
	// What the answer only repeats is left out.
	p.body("←", x.Response, slices.DeleteFunc(highlights(x.Response), func(f field) bool { return slices.Contains(sent, f) }))
}

func took(d time.Duration) string { return fmt.Sprintf("%.1f ms", float64(d.Microseconds())/1000) }

func (p *page) body(arrow string, raw []byte, picked []field) {
	if p.full && len(raw) > 0 {
		var pretty strings.Builder
		encoder := json.NewEncoder(&pretty)
		encoder.SetEscapeHTML(false)
		encoder.SetIndent("       ", "  ")
		if err := encoder.Encode(json.RawMessage(raw)); err == nil {
			p.line("     ", p.faint.render(arrow), " ", strings.TrimSpace(pretty.String()))
		}
		return
	}
	for _, f := range picked {
		var look style
		switch f.value {
		case "true":
			look = p.good
		case "false":
			look = p.bad
		}
		p.line("     ", p.faint.render(arrow), " ", p.key.render(fmt.Sprintf("%-*s", longestName, f.name)), "  ", look.render(f.value))
	}
}

// field is a value of a body worth showing.
type field struct{ name, value string }

// longestName is the width of the column of names.
const longestName = 21

// highlights picks what matters of a body; what a browser would pass on unread is shortened.
func highlights(raw []byte) []field {
	if len(raw) == 0 {
		return nil
	}
	var body struct {
		UserID, ProcessID, FullName, Username, EventType      string
		DecisionTag                                           string
		LoginAllow, AppendAllow                               *bool
		AssertionOptions, AttestationOptions                  string
		AssertionResponse, AttestationResponse                string
		CrossDeviceAuthenticationStrategy, NewClientEnvHandle string
		DetectionInsights                                     struct {
			Tags []struct{ Category, Name string }
		}
		PasskeyData struct {
			ID, UserID, CeremonyType string
			AAGUIDDetails            struct{ Name string } `json:"aaguidDetails"`
		}
		ClientInformation struct {
			ParsedDeviceInfo struct{ BrowserName, OSName string }
		}
		Error struct{ Type string }
	}
	if err := json.Unmarshal(raw, &body); err != nil {
		return []field{{"body", shorten(string(raw))}}
	}
	var tags []string
	for _, tag := range body.DetectionInsights.Tags {
		// What the browser can do was just sent to it.
		if tag.Category != "support" {
			tags = append(tags, tag.Category+"/"+tag.Name)
		}
	}
	all := []field{
		{"fullName", body.FullName},
		{"userID", body.UserID},
		{"processID", body.ProcessID},
		{"eventType", body.EventType},
		{
			"client", strings.Trim(body.ClientInformation.ParsedDeviceInfo.BrowserName+" on "+body.ClientInformation.ParsedDeviceInfo.OSName, " on"),
		},
		{"attestationResponse", shorten(body.AttestationResponse)},
		{"assertionResponse", shorten(body.AssertionResponse)},
		{"loginAllow", optional(body.LoginAllow)},
		{"appendAllow", optional(body.AppendAllow)},
		{"decisionTag", body.DecisionTag},
		{"detected", strings.Join(tags, " ")},
		{"attestationOptions", shorten(body.AttestationOptions)},
		{"assertionOptions", shorten(body.AssertionOptions)},
		{"newClientEnvHandle", shorten(body.NewClientEnvHandle)},
		{"credential", body.PasskeyData.ID},
		{"ceremonyType", body.PasskeyData.CeremonyType},
		{"kept by", body.PasskeyData.AAGUIDDetails.Name},
		{"user", body.PasskeyData.UserID},
		{"error", body.Error.Type},
	}
	var shown []field
	for _, f := range all {
		if f.value != "" {
			shown = append(shown, f)
		}
	}
	return shown
}

func optional(b *bool) string {
	if b == nil {
		return ""
	}
	return fmt.Sprint(*b)
}

func shorten(text string) string {
	const most = 44
	if len(text) <= most {
		return text
	}
	return fmt.Sprintf("%s… (%d bytes)", text[:most-14], len(text))
}

// verdict prints what a decision means.
func (p *page) verdict(allowed bool, tag string) {
	mark := p.bad.render("✗ not now")
	if allowed {
		mark = p.good.render("✓ yes")
	}
	p.line()
	p.line("     ", mark, "  ", meaning(tag))
}

// meaning says in words why a decision was made.
func meaning(tag string) string {
	texts := map[string]string{
		"env-no-pk-support":                         "this browser knows no passkeys",
		"env-no-platform-pk-support":                "there is no way to use a passkey on this device",
		"env-blacklisted":                           "this browser is one that the policy keeps out",
		"user-no-pks":                               "the user has no passkey yet",
		"user-login-blacklisted":                    "passkey login has been barred for this user",
		"user-security-key":                         "only a security key could answer here",
		"user-positive-env-history":                 "it has worked for this user in this browser before",
		"user-negative-env-history":                 "it failed repeatedly for this user in this browser",
		"user-platform-pk-high-confidence":          "a passkey of this user is very likely on this device",
		"user-cross-platform-pk-high-confidence":    "a passkey of this user is very likely on their phone",
		"user-env-no-pks":                           "none of the user's passkeys can be reached from here",
		"user-append-blacklisted":                   "the user asked not to be offered this again",
		"passkey-list-initiated-process":            "the user asked for a passkey",
		"process-pk-login-not-offered":              "the user just logged in without a passkey, on a device that can hold one",
		"process-pk-login-incomplete":               "a passkey was offered and not used",
		"process-pk-login-platform-completed":       "the user just logged in with a passkey of this device",
		"process-pk-login-cross-platform-completed": "the user just logged in with a phone: a local passkey would be quicker",
		"process-pk-login-sk-completed":             "the user just logged in with a security key",
		"default-deny":                              "no rule matched",
	}
	if text, known := texts[tag]; known {
		return text
	}
	return tag
}
