package velocity

import (
	"errors"
	"fmt"
	"slices"
	"strings"

	"github.com/keyward/keyward/core/sighting"
	"github.com/keyward/keyward/services/decision/internal/bundle"
	"github.com/keyward/keyward/services/decision/internal/comparison"
	"github.com/keyward/keyward/services/decision/internal/document"
)

// finishes is the package whose rules judge the ends of ceremonies, too.
const finishes = "risk"

// Load finds what a bundle counts of what its rules read, given by action, and refuses what cannot be meant.
func Load(loaded *bundle.Bundle, reads map[string][]string) (*Plan, error) {
	d, err := Learn(loaded.Data)
	var misfit *document.MisfitError
	if errors.As(err, &misfit) {
		return nil, loaded.Misfit(bundle.BaseParameters, misfit.Keys, misfit.Message)
	}
	if err != nil {
		return nil, err
	}
	var paths []string
	for _, some := range reads {
		paths = append(paths, some...)
	}
	p := NewPlan(d, paths)
	if most := d.MaxKeys; len(p.Sets) > most {
		return nil, loaded.At([]string{"keyward", Name, "maxKeys"}, fmt.Sprintf(
			"the rules read counters of %d sets, and a decision may read %d: %s", len(p.Sets), most, inWords(p.Sets),
		), "read fewer, or raise maxKeys, which costs each decision a command more")
	}
	return p, check(d, loaded)
}

func inWords(all []Set) string {
	words := map[sighting.Family]string{sighting.Good: "successes", sighting.Bad: "failures"}
	said := make([]string, len(all))
	for i, set := range all {
		said[i] = words[set.Family] + " of the " + string(set.Subject)
	}
	slices.Sort(said)
	return strings.Join(said, ", ")
}

// check refuses comparisons that can never hold, since no counter but a project's is larger than a set, and counters of the passkey that is
// used where none is.
func check(d *Definition, b *bundle.Bundle) error {
	var refused []error
	bounded := map[string]bool{}
	for i := range d.Counters {
		c := &d.Counters[i]
		bounded[Name+"."+c.Name] = c.Subject != sighting.Project
		if c.Subject == sighting.UsedPasskey {
			refused = append(refused, checkUsed(b.Modules(), c.Name)...)
		}
	}
	for _, c := range comparison.Find(b.Modules(), b.Data) {
		if bounded[c.Path] && c.Number > sighting.Cap {
			said := fmt.Sprint(c.Number)
			if c.Named != "" {
				said = c.Named + ", which is " + said
			}
			refused = append(refused, &bundle.Error{
				File: c.File, Line: c.Line, Message: fmt.Sprintf("input.%s %s %s: it is never above %d", c.Path, c.Operator, said, sighting.Cap),
				Advice: "compare with less: a set holds the newest so many",
			})
		}
	}
	return errors.Join(refused...)
}
