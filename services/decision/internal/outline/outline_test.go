package outline_test

import (
	"errors"
	"fmt"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/keyward/keyward/services/decision/internal/outline"
)

const head = `{"schema":2,"id":"dec-1795348800000123456789012","time":"2026-11-24T12:00:00.000000001Z","project":"pro-1","user":"usr-2",` +
	`"requestID":"req-3","process":"p","action":"%s","policyRevision":"r","policyNumber":7,"arm":{"side":"canary","change":3},` +
	`"policyHash":"h","rule":"L7a","tag":"user-positive","allow":true,"durationMicros":12,"memoised":true`

func want(action string) outline.Outline {
	return outline.Outline{
		ID: "dec-1795348800000123456789012", Time: time.Date(2026, 11, 24, 12, 0, 0, 1, time.UTC), Project: "pro-1", User: "usr-2", Process: "p",
		Action: action, Rule: "L7a", Tag: "user-positive", Allow: true, Memoised: true, DurationMicros: 12, Revision: "r",
		Number: 7, Arm: "canary",
	}
}

func TestARecordIsReadAsFarAsItHasTo(t *testing.T) {
	t.Parallel()
	full := want("login")
	full.OS, full.Browser, full.Device, full.Route = "ios", "safari", "phone", "local"
	full.Reasons, full.Verdict, full.Level = []string{"new-country"}, "challenge", "medium"
	risk := want("risk")
	risk.Verdict, risk.Level, risk.Reasons = "deny", "high", []string{"bot"}
	risk.OS, risk.Browser, risk.Device = "ios", "safari", "phone"
	denied := want("append")
	denied.Reasons = []string{"declined", "bot"}
	denied.Verdict, denied.Level = "review", "low"
	const facts = `,"facts":{"complete":true,"client":{"os":"ios","osVersion":17,"browser":"safari","device":"phone"},"pair":{"lost":true}}`
	for name, c := range map[string]struct {
		action, rest string
		want         outline.Outline
	}{
		"with an outline, and nothing behind it is looked at": {
			"login", `,"outline":{"os":"ios","browser":"safari","device":"phone","route":"local","reasons":["new-country"],"verdict":"challenge",` +
				`"level":"medium"},"question":{`, full,
		},
		"of an earlier version": {
			"login", `,"question":{"client":{}}` + facts + `,"answer":{"rule":"L7a","route":"local","reason":""},` +
				`"risk":{"action":"challenge","level":"medium","reasons":["new-country"]}}`, full,
		},
		"of an earlier version, of risk": {
			"risk", `,"question":null` + facts + `,"answer":{"action":"deny","level":"high","reasons":["bot"]}}`, risk,
		},
		"of an earlier version, of what was not offered": {
			"append", `,"question":null,"facts":{},"answer":{"reason":"declined"},"risk":{"action":"review","level":"low","reasons":["bot"]}}`,
			denied,
		},
		"of a policy that failed": {"login", `,"question":null,"facts":{},"answer":null}`, want("login")},
		"with an empty outline":   {"login", `,"outline":{},"question":null,"facts":{},"answer":null}`, want("login")},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			var r outline.Reader
			for range 2 {
				got, err := r.Read(fmt.Appendf(nil, head+"%s", c.action, c.rest))
				if diff := cmp.Diff(c.want, got); err != nil || diff != "" {
					t.Errorf("%v (-want +got)\n%s", err, diff)
				}
			}
		})
	}
}

func TestWhatIsNoRecordIsSaidToBeNone(t *testing.T) {
	t.Parallel()
	var r outline.Reader
	for _, text := range []string{
		"", "null", "7", "{}", "[]", `{"id":`, `{"id":7}`, `{"id":"dec-1","time":"yesterday"}`, `{"id":"dec-1","allow":"yes"}`,
		`{"id":"dec-1","durationMicros":"x"}`, `{"id":"dec-1","project":"pro-1","action":"login"}`,
	} {
		if got, err := r.Read([]byte(text)); !errors.Is(err, outline.ErrNoRecord) {
			t.Errorf("%s: %+v, %v", text, got, err)
		}
	}
}

func FuzzRead(f *testing.F) {
	f.Add(fmt.Appendf(nil, head+`,"outline":{},"question":{}}`, "login"))
	f.Add(fmt.Appendf(nil, head+`,"question":null,"facts":{"client":{"os":"ios"}},"answer":null}`, "login"))
	f.Fuzz(func(t *testing.T, raw []byte) {
		var r outline.Reader
		if o, err := r.Read(raw); err == nil && (o.ID == "" || o.Time.IsZero()) {
			t.Errorf("%s was read as %+v", raw, o)
		}
	})
}

func BenchmarkRead(b *testing.B) {
	record := fmt.Appendf(nil, head+`,"outline":{"os":"ios","browser":"safari","device":"phone","route":"local","verdict":"allow",`+
		`"level":"low"},"question":{"client":{}}}`, "login")
	var r outline.Reader
	b.ReportAllocs()
	for b.Loop() {
		if _, err := r.Read(record); err != nil {
			b.Fatal(err)
		}
	}
}
