package adoption

import (
	"maps"
	"slices"
	"strings"
	"time"

	"github.com/keyward/keyward/api/operator"
	"github.com/keyward/keyward/core/fault"
	"github.com/keyward/keyward/core/inquiry"
	"github.com/keyward/keyward/core/listing"
	"github.com/keyward/keyward/core/service"
	"github.com/keyward/keyward/services/decision/adoption/internal/fold"
	"github.com/keyward/keyward/services/decision/adoption/internal/rollfile"
)

// report adds sums up to groups.
type report struct {
	asked        inquiry.Adoption
	unit         rollfile.Unit
	since, until int64 // Unix seconds
	at           int64 // 0 = there are no cohorts
	terms        []listing.Term
	groups       map[string]*group
	holders      map[string]rollfile.Holders
}

// group is of sums that are alike in what is grouped by.
type group struct {
	of         map[string]string
	start      int64
	cohort     operator.AdoptionGroupCohort
	funnels    map[string]*funnel // by action
	otherMeans int64
	phones     int64
	buckets    map[int]int64
	ms, timed  int64
}

type funnel struct {
	counts map[fold.Outcome]int64
	causes map[string]int64
}

// units by name, and how much of each is told unless it is said.
func units() map[string]struct {
	unit  rollfile.Unit
	usual time.Duration
} {
	const day = 24 * time.Hour
	return map[string]struct {
		unit  rollfile.Unit
		usual time.Duration
	}{"minute": {rollfile.Minute, day}, "hour": {rollfile.Hour, 7 * day}, "day": {rollfile.Day, 90 * day}}
}

// newReport reads a question, or says what is wrong with it.
func newReport(q inquiry.Adoption, now time.Time) (*report, error) {
	r := &report{asked: q, groups: map[string]*group{}}
	unit, known := units()[q.Unit]
	if !known {
		return nil, fault.Field("unit", "must be minute, hour or day")
	}
	r.unit = unit.unit
	until := now.Add(time.Duration(r.unit) * time.Second) // the unit that is under way
	if !q.Until.IsZero() {
		until = q.Until
	}
	since := until.Add(-unit.usual)
	if !q.Since.IsZero() {
		since = q.Since
	}
	r.since, r.until = r.unit.Start(since.UnixMilli()), r.unit.Start(until.UnixMilli())
	if r.since >= r.until {
		return nil, fault.Field("since", "must be before until, by at least the unit")
	}
	if !q.At.IsZero() {
		if r.at = r.unit.Start(q.At.UnixMilli()); r.at <= r.since || r.at >= r.until {
			return nil, fault.Field("at", "must be between since and until")
		}
	}
	for _, name := range q.By {
		if !slices.Contains(fold.Names(), name) {
			return nil, fault.Field("by", "must be of %s", strings.Join(fold.Names(), ", "))
		}
	}
	fields := map[string]listing.Use{}
	for _, name := range fold.Names() {
		fields[name] = listing.Use{Kind: listing.Text}
	}
	asked, err := listing.Parse(service.List{Filter: q.Filter}, fields, "")
	r.terms = asked.Terms
	for _, term := range r.terms {
		if term.Op != listing.Equal {
			return nil, fault.Field("filter[]", "%s must be compared with eq", term.Field)
		}
	}
	return r, err
}

// add adds a sum to its group, unless a filter leaves it out.
func (r *report) add(s *rollfile.Sum) {
	for _, term := range r.terms {
		if s.Get(term.Field) != term.Text {
			return
		}
	}
	g := r.group(s)
	switch {
	case s.Outcome == fold.OtherMeans:
		g.otherMeans += s.N
		return
	case s.Outcome == fold.Completed && s.Action != "append":
		if s.Route == "cda" {
			g.phones += s.N
		}
		if s.Bucket > 0 && s.Action == "login" {
			g.buckets[s.Bucket] += s.N
			g.ms, g.timed = g.ms+s.Ms, g.timed+s.N
		}
	}
	f := g.funnels[s.Action]
	if f == nil {
		f = &funnel{counts: map[fold.Outcome]int64{}, causes: map[string]int64{}}
		g.funnels[s.Action] = f
	}
	f.counts[s.Outcome] += s.N
	if s.Outcome == fold.Failed {
		f.causes[s.Cause] += s.N
	}
}

func (r *report) group(s *rollfile.Sum) *group {
	start, cohort := int64(0), operator.AdoptionGroupCohort("")
	if r.asked.Series {
		start = s.Start
	}
	if r.at > 0 {
		cohort = operator.AdoptionGroupCohortBefore
		if s.Start >= r.at {
			cohort = operator.AdoptionGroupCohortSince
		}
	}
	of, key := map[string]string{}, time.Unix(start, 0).UTC().Format(time.RFC3339)+string(cohort)
	for _, name := range r.asked.By {
		of[name] = s.Get(name)
		key += "\x00" + of[name]
	}
	g := r.groups[key]
	if g == nil {
		g = &group{of: of, start: start, cohort: cohort, funnels: map[string]*funnel{}, buckets: map[int]int64{}}
		r.groups[key] = g
	}
	return g
}

// told is the report as the Operator API has it.
func (r *report) told(c rollfile.Coverage) operator.AdoptionReport {
	told := operator.AdoptionReport{
		Since: time.Unix(r.since, 0).UTC(), Until: time.Unix(r.until, 0).UTC(), Unit: operator.AdoptionReportUnit(r.asked.Unit),
		By: append([]string{}, r.asked.By...), Groups: []operator.AdoptionGroup{}, Passkeys: r.passkeys(),
		Coverage: operator.AdoptionCoverage{
			DecisionsFrom: moment(c.From[rollfile.Decisions]), EventsFrom: moment(c.From[rollfile.Events]), Others: c.Others,
			Unattributed: c.Unknown, Unreadable: c.Unread,
		},
	}
	for _, key := range slices.Sorted(maps.Keys(r.groups)) {
		told.Groups = append(told.Groups, r.groups[key].told())
	}
	return told
}

func moment(ms int64) *time.Time {
	if ms == 0 {
		return nil
	}
	return new(time.UnixMilli(ms).UTC())
}

// passkeys are those of the project that the filter names, or of all.
func (r *report) passkeys() operator.AdoptionPasskeys {
	var p operator.AdoptionPasskeys
	for project, h := range r.holders {
		if !slices.ContainsFunc(r.terms, func(t listing.Term) bool { return t.Field == "project" && t.Text != project }) {
			p.Users, p.Passkeys = p.Users+h.Users, p.Passkeys+h.Passkeys
		}
	}
	p.PerUser = rate(p.Passkeys, p.Users)
	return p
}

// rate is absent where there is nothing to divide by.
func rate(part, of int64) *float64 {
	if of == 0 {
		return nil
	}
	return new(float64(part) / float64(of))
}

func (g *group) told() operator.AdoptionGroup {
	told := operator.AdoptionGroup{
		Of: g.of, Logins: g.funnel("login"), Creations: g.funnel("append"), Mediations: g.funnel("mediation"), OtherMeans: g.otherMeans,
	}
	if g.start > 0 {
		told.Start = new(time.Unix(g.start, 0).UTC())
	}
	if g.cohort != "" {
		told.Cohort = &g.cohort
	}
	completed := told.Logins.Completed + told.Mediations.Completed
	told.PasskeyShare, told.PhoneShare = rate(completed, completed+g.otherMeans), rate(g.phones, completed)
	if g.otherMeans == 0 {
		told.PasskeyShare = nil // nobody reports them
	}
	if g.timed > 0 {
		d := operator.AdoptionDuration{Mean: g.ms / g.timed}
		d.P50, _ = fold.Quantile(g.buckets, 0.5) //nolint:mnd // the middle
		d.P90, _ = fold.Quantile(g.buckets, 0.9) //nolint:mnd // one of ten takes longer
		told.TimeToSignIn = &d
	}
	return told
}

func (g *group) funnel(action string) operator.AdoptionFunnel {
	f := g.funnels[action]
	if f == nil {
		return operator.AdoptionFunnel{Failures: map[string]int64{}}
	}
	told := operator.AdoptionFunnel{
		Asked: f.counts[fold.Asked], Offered: f.counts[fold.Offered], Completed: f.counts[fold.Completed], Declined: f.counts[fold.Declined],
		Failed: f.counts[fold.Failed], FellBack: f.counts[fold.FellBack], Failures: f.causes,
	}
	told.Started = told.Completed + told.Declined + told.Failed
	told.OfferRate, told.StartRate = rate(told.Offered, told.Asked), rate(told.Started, told.Offered)
	told.SuccessRate, told.CompletionRate = rate(told.Completed, told.Started), rate(told.Completed, told.Offered)
	return told
}
