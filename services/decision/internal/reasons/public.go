package reasons

import (
	"fmt"
	"maps"
	"slices"
	"strings"

	"github.com/open-policy-agent/opa/v1/ast"

	"github.com/keyward/keyward/services/decision/internal/bundle"
)

// bar is the severity of a reason that bars.
const bar = 4

// Advise names rules that bar people because nobody vouches for their authenticators, or because their passkeys are synchronised, without
// asking for a label: of the public, most would be barred (NIST SP 800-63B-4 Appendix B).
func Advise(b *bundle.Bundle) []string {
	known, err := Learn(b.Data)
	if err != nil {
		return nil
	}
	var advice []string
	modules := b.Modules()
	for _, file := range slices.Sorted(maps.Keys(modules)) {
		if m := modules[file]; !strings.HasSuffix(m.Package.Path.String(), "_test") {
			advice = append(advice, public(file, m, known)...)
		}
	}
	return advice
}

func public(file string, m *ast.Module, known map[string]Reason) []string {
	by := map[ast.Var]string{} // rules that look at what most passkeys lack, and at what
	found := func(r *ast.Rule) string {
		if asks(r) {
			return ""
		}
		if fact := looks(r); fact != "" {
			return fact
		}
		fact := ""
		ast.WalkVars(r, func(v ast.Var) bool {
			if at := by[v]; at != "" && v != name(r) {
				fact = at
			}
			return fact != ""
		})
		return fact
	}
	for range m.Rules { // a rule may stand before what it refers to
		for _, r := range m.Rules {
			if by[name(r)] == "" && name(r) != Key {
				by[name(r)] = found(r)
			}
		}
	}
	var advice []string
	for _, r := range m.Rules {
		if name(r) != Key || r.Head.Key == nil {
			continue
		}
		code, _ := r.Head.Key.Value.(ast.String)
		if fact := found(r); fact != "" && known[string(code)].Severity >= bar {
			advice = append(advice, fmt.Sprintf(
				"%s:%d: %s bars by %s whoever it is: passkeys of the public are synchronised, and attested by nobody (NIST SP 800-63B-4, "+
					"Appendix B). Ask for a label of the user, too, such as input.user.labels.admin.",
				strings.TrimPrefix(file, "/"), r.Loc().Row, string(code), fact,
			))
		}
	}
	return advice
}

func name(r *ast.Rule) ast.Var {
	v, _ := r.Head.Ref()[0].Value.(ast.Var)
	return v
}

// looks returns the fact that a rule compares which most passkeys of the public do not have; empty if there is none.
func looks(r *ast.Rule) string {
	backup, synced, fact := false, false, ""
	ast.WalkRefs(r, func(ref ast.Ref) bool {
		last, _ := ref[len(ref)-1].Value.(ast.String)
		switch {
		case len(ref) == 1:
		case last == "attested":
			fact = "attested"
		case last == "backup":
			backup = true
		}
		return false
	})
	ast.WalkTerms(r, func(t *ast.Term) bool {
		text, is := t.Value.(ast.String)
		synced = synced || is && text == "backed-up"
		return false
	})
	if fact == "" && backup && synced {
		return `backup "backed-up"`
	}
	return fact
}

// asks reports whether a rule reads a label of the user.
func asks(r *ast.Rule) bool {
	labels := ast.MustParseRef("input.user.labels")
	found := false
	ast.WalkRefs(r, func(ref ast.Ref) bool {
		found = found || ref.HasPrefix(labels)
		return found
	})
	return found
}
