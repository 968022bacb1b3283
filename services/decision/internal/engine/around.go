package engine

import (
	"context"
	"fmt"
	"maps"
	"slices"
	"strings"

	"github.com/keyward/keyward/core/address"
	"github.com/keyward/keyward/core/place"
	"github.com/keyward/keyward/core/service"
	"github.com/keyward/keyward/services/decision/internal/bundle"
	"github.com/keyward/keyward/services/decision/internal/facts"
	"github.com/keyward/keyward/services/decision/internal/given"
	"github.com/keyward/keyward/services/decision/internal/lists"
	"github.com/keyward/keyward/services/decision/internal/memo"
	"github.com/keyward/keyward/services/decision/internal/reasons"
	"github.com/keyward/keyward/services/decision/internal/riskfacts"
)

// Around is what the operator's files tell of where a question comes from. The zero value tells nothing.
type Around struct {
	Files     lists.Files       // that lists of the bundle are in
	Place     place.Place       // where the client's address is
	Revisions map[string]string // of the files, by name
	Added     lists.Added       // to lists of the bundle
	Off       Off
	Standing  riskfacts.Standing

	then *Recorded // what was found then counts; nil = it is asked now
}

// Off returns why a question is not put to the rules; nil if it is. A nil Off never does.
type Off func(action, os, browser string) error

// listed returns which of the bundle's lists a client is in. Only of a recorded decision there is an error, lists.ErrAddressNotKept.
func (v *view) listed(q *service.Question, around Around) (facts.Labels, error) {
	known := v.knowledge.Lists
	asked := lists.Request{Files: around.Files, Added: around.Added, Country: around.Place.Country, ASN: around.Place.ASN, User: q.Account}
	if q.Environment.Known {
		asked.Environment = string(q.Environment.ID)
	}
	if r := around.then; r != nil {
		var was facts.Labels
		if r.Facts.RiskFacts != nil {
			was = r.Facts.Request.Lists
			if at := r.Facts.Request.Located; at != nil {
				asked.Country, asked.ASN = at.Country, at.ASN
			}
		}
		var own *lists.Lists
		if r.Own != nil {
			own = r.Own.Lists
		}
		return known.Again(was, own, &asked, r.Question.Network(), r.Question.Nameless)
	}
	asked.Address, _ = address.Client(q.Client.RemoteAddress)
	return known.Find(&asked), nil
}

// Advice says of rules that are right what they cost, and whom they keep out.
func (e *Engine) Advice() []string {
	advice := append(reasons.Advise(e.base.Bundle), e.base.adviseLabels("keyward", "parameters")...)
	for _, id := range slices.Sorted(maps.Keys(e.projects)) {
		for _, said := range e.projects[id].adviseLabels("keyward", "projects", string(id), "parameters") {
			if !slices.Contains(advice, said) {
				advice = append(advice, said)
			}
		}
	}
	if e.base.network {
		advice = append(advice,
			"Rules read request.network: answers are remembered for one network each, and so hardly ever help another user.")
	}
	return advice
}

// adviseLabels says which labels a parameter is about that are not declared, where parameters are at a place of the data: to be about one
// declares it, misspelt or not.
func (v *view) adviseLabels(place ...string) []string {
	p := &v.knowledge.Parameters
	var advice []string
	look := func(labels []string, below ...string) {
		for _, name := range labels {
			if slices.Contains(p.Labels, name) {
				continue
			}
			at := slices.Concat(place, []string{"risk"}, below)
			said := fmt.Sprintf("the label %s is named by %s alone, and not by parameters.labels", name, strings.Join(at[len(place)-1:], "."))
			advice = append(advice, v.At(at, said, "declare it there, or correct it: "+given.NoneOf(name, p.Labels)).Error())
		}
	}
	look(slices.Sorted(maps.Keys(p.Risk.RequireAAL)), "requireAal")
	look(p.Risk.OfficeHours.Labels, "officeHours", "labels")
	return advice
}

// Lists are those that the bundle declares.
func (e *Engine) Lists() *lists.Lists { return e.base.knowledge.Lists }

// Listing returns an engine with the same rules and parameters that knows other lists beside the bundle's, by name, as they would stand in
// the bundle's data.
func (e *Engine) Listing(more map[string]any) (*Engine, error) {
	if len(more) == 0 {
		return e, nil
	}
	changed := &Engine{
		opts: e.opts, reads: e.reads, plan: e.plan, context: e.context, overrides: e.overrides,
		memo: memo.New(e.opts.MemoEntries, e.opts.Evicted),
	}
	listing, err := e.base.Listing(context.Background(), more)
	if err != nil {
		return nil, err
	}
	if changed.base, err = changed.learn(listing, bundle.NoPlace, e.base.inputs, e.base.knowledge); err != nil {
		return nil, err
	}
	return changed, changed.learnProjects(context.Background())
}
