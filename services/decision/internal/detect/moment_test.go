package detect_test

import (
	"strings"
	"testing"

	"github.com/keyward/keyward/api/rest"
	"github.com/keyward/keyward/services/decision/internal/detect"
	"github.com/keyward/keyward/services/decision/internal/facts"
)

func TestWhatACallerCallsTheMomentIsNoFactUnlessItIsKnown(t *testing.T) {
	t.Parallel()
	k := knowledge(t, set("situations", []any{"checkout"}))
	const text = "my free <i>text"
	for _, c := range []struct{ name, situation, trigger, wantSituation, wantTrigger string }{
		{"nothing", "", "", "post-login", ""},
		{"what every bundle knows", "sign-up", "after-unlock", "sign-up", "after-unlock"},
		{"what this bundle knows", "checkout", "after-cta", "checkout", "after-cta"},
		{"what nobody knows", text, text, "other", "other"},
		{"almost what is known", "Sign-Up", "after-unlock ", "other", "other"},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			flags := rest.PasskeyIntelFlags{AskForInAppAppend: &c.trigger}
			f := k.Append(detect.Input{Question: question(rest.ClientInformation{}), Complete: true, Now: now}, flags, c.situation).Facts
			if *f.Situation != c.wantSituation || f.Flags.InApp != c.wantTrigger || strings.Contains(string(f.AppendJSON(nil)), "free") {
				t.Errorf("situation %q, trigger %q", *f.Situation, f.Flags.InApp)
			}
		})
	}
	in := detect.Input{Question: question(rest.ClientInformation{}), Now: now, Source: text}
	if f := k.Login(in).Facts; f.Source != facts.SourceUnknown {
		t.Errorf("source %q", f.Source)
	}
}
