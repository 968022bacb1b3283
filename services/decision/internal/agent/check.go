package agent

import (
	"cmp"
	"fmt"
	"maps"
	"slices"
	"strconv"
	"strings"

	"github.com/keyward/keyward/services/decision/internal/document"
	"github.com/keyward/keyward/services/decision/internal/facts"
)

// check holds every member of the tables against what Read needs of it. Schemas of bundles may be laxer, or not be there.
func (a *Tables) check() error {
	found := []error{
		patterns(a.Bots, "bots"), patterns(a.OwnVersions, "ownVersions"), a.checkBrowsers(), a.checkDevices(), a.checkPlatforms(), a.checkForms(),
	}
	for i := range a.InApp {
		found = append(found, tokens(a.InApp[i].Tokens, "inApp", strconv.Itoa(i), "tokens"))
	}
	for i := range a.UserAgents {
		found = append(found, a.UserAgents[i].check("userAgents", strconv.Itoa(i)))
	}
	for i := range a.WebViews {
		w, at := &a.WebViews[i], []string{"webViews", strconv.Itoa(i)}
		found = append(found, known(w.System, at...), tokens(w.Tokens, below(at, "tokens")...), patterns(w.Without, below(at, "without")...))
	}
	for i := range a.Frozen {
		found = append(found, a.Frozen[i].check("frozen", strconv.Itoa(i)))
	}
	if a.Windows != nil {
		found = append(found, a.Windows.check("windows"))
	}
	return cmp.Or(found...)
}

func (f *Frozen) check(at ...string) error {
	for _, one := range [...]struct{ member, version string }{{"from", f.From}, {"below", f.Below}} {
		if !isVersion(one.version) {
			return misfit(noVersion(one.version), below(at, one.member)...)
		}
	}
	switch {
	case CompareVersions(f.From, f.Below) >= 0:
		return misfit(fmt.Sprintf("nothing is from %s and below %s", f.From, f.Below), at...)
	case f.Safari != "" && !isVersion(f.Safari):
		return misfit(noVersion(f.Safari), below(at, "safari")...)
	}
	return cmp.Or(known(f.System, at...), patterns(f.With, below(at, "with")...))
}

func (w *WindowsVersions) check(at ...string) error {
	for _, table := range [...]struct {
		name  string
		steps []Step
	}{{"hints", w.Hints}, {"builds", w.Builds}} {
		for i, s := range table.steps {
			if !isVersion(s.From) {
				return misfit(noVersion(s.From), append(below(at, table.name), strconv.Itoa(i), "from")...)
			}
			if !isVersion(s.Is) {
				return misfit(noVersion(s.Is), append(below(at, table.name), strconv.Itoa(i), "is")...)
			}
		}
	}
	for _, nt := range slices.Sorted(maps.Keys(w.NT)) {
		if nt != strings.ToLower(nt) || !isVersion(w.NT[nt]) {
			return misfit("the key must be in lower case and its value a version such as 8.1", append(below(at, "nt"), nt)...)
		}
	}
	return nil
}

// isVersion reports whether a text is numbers with full stops between them.
func isVersion(text string) bool {
	for part := range strings.SplitSeq(text, ".") {
		if part == "" || strings.Trim(part, "0123456789") != "" {
			return false
		}
	}
	return true
}

func noVersion(text string) string { return fmt.Sprintf("%q is no version such as 18.6", text) }

func (a *Tables) checkBrowsers() error {
	for i := range a.Browsers {
		b, at := &a.Browsers[i], []string{"browsers", strconv.Itoa(i)}
		if b.Name == "" || len(b.Tokens) == 0 {
			return misfit("a browser needs a name and a token", at...)
		}
		if err := cmp.Or(patterns(b.Tokens, below(at, "tokens")...), single(b.Version, below(at, "version")...)); err != nil {
			return err
		}
	}
	return nil
}

func (a *Tables) checkDevices() error {
	for i := range a.Devices {
		d, at := &a.Devices[i], []string{"devices", strconv.Itoa(i)}
		if !d.Class.Known() {
			return misfit(noClass(d.Class), below(at, "class")...)
		}
		if err := patterns(d.Tokens, below(at, "tokens")...); err != nil {
			return err
		}
	}
	return nil
}

func (u *UserAgent) check(at ...string) error {
	if strings.TrimSpace(u.Name) == "" {
		return misfit("a system needs a name", below(at, "name")...)
	}
	return cmp.Or(
		known(u.System, at...), tokens(u.Tokens, below(at, "tokens")...), patterns(u.With, below(at, "with")...),
		single(u.Version, below(at, "version")...), class(u.Device, at...),
	)
}

func (a *Tables) checkPlatforms() error {
	for i, p := range a.Platforms {
		at := []string{"platforms", strconv.Itoa(i)}
		if strings.TrimSpace(p.Name) == "" {
			return misfit("a platform needs a name", below(at, "name")...)
		}
		if err := class(p.Device, at...); err != nil {
			return err
		}
	}
	return nil
}

func (a *Tables) checkForms() error {
	var found []error
	if f := a.Forms; f != nil {
		found = append(found, patterns(f.Tablet, "forms", "tablet"), patterns(f.Phone, "forms", "phone"))
	}
	if s := a.Samsung; s != nil {
		found = append(found, patterns(s.Models, "samsung", "models"), patterns(s.Beside, "samsung", "beside"))
	}
	return cmp.Or(found...)
}

// tokens is patterns for a list that may not be empty.
func tokens(list []Pattern, at ...string) error {
	if len(list) == 0 {
		return misfit("is empty, so nothing is told by it", at...)
	}
	return patterns(list, at...)
}

// patterns refuses those that every user agent has.
func patterns(list []Pattern, at ...string) error {
	if i := slices.IndexFunc(list, func(p Pattern) bool { return p.vague() }); i >= 0 {
		return single(&list[i], below(at, strconv.Itoa(i))...)
	}
	return nil
}

func single(p *Pattern, at ...string) error {
	if p == nil || !p.vague() {
		return nil
	}
	return misfit(fmt.Sprintf("%q is in every user agent; name a part that tells one from another", p), at...)
}

func known(os OS, at ...string) error {
	if os.Known() {
		return nil
	}
	return misfit(fmt.Sprintf("there is no system %q; there are %s", os, KnownSystems()), below(at, "system")...)
}

func class(d facts.Device, at ...string) error {
	if d == "" || d.Known() {
		return nil
	}
	return misfit(noClass(d), below(at, "device")...)
}

func noClass(d facts.Device) string {
	return fmt.Sprintf("there is no device class %q; there are %s", d, facts.KnownDevices())
}

func below(at []string, member string) []string { return append(slices.Clone(at), member) }

// misfit names the member at fault, below data.keyward.agents.
func misfit(message string, at ...string) error {
	return &document.MisfitError{Keys: append([]string{"keyward", "agents"}, at...), Message: message}
}
