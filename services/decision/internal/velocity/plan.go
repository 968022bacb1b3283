package velocity

import (
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/keyward/keyward/core/event"
	"github.com/keyward/keyward/core/ident"
	"github.com/keyward/keyward/core/service"
	"github.com/keyward/keyward/core/sighting"
	"github.com/keyward/keyward/services/decision/internal/facts"
)

// Set is one that a decision reads, of whichever subject it is about.
type Set = sighting.Kind

// Plan is what rules read of a definition. It is immutable.
type Plan struct {
	Sets    []Set // that a decision reads
	Network bool  // rules read the network of an address, which is found for those alone

	read    []Counter
	own     time.Duration // how long the user's own successes are counted; 0 = none is
	any     bool          // something of velocity is read
	users   bool          // environment.users is
	horizon time.Duration
}

// NewPlan returns what is needed for facts at paths, which are dotted, such as velocity.addressUsers; velocity alone is every counter.
func NewPlan(d *Definition, paths []string) *Plan {
	p := &Plan{horizon: d.Horizon, Network: slices.Contains(paths, "request.network")}
	whole := slices.Contains(paths, Name)
	p.any = whole || slices.ContainsFunc(paths, func(path string) bool { return strings.HasPrefix(path, Name+".") })
	p.users = slices.Contains(paths, "environment.users") && d.Horizon > 0
	for _, c := range d.Counters {
		if whole || slices.Contains(paths, Name+"."+c.Name) {
			p.read = append(p.read, c)
			p.need(c)
		}
	}
	if p.users {
		p.add(Set{Subject: sighting.Environment, Family: sighting.Good})
	}
	return p
}

func (p *Plan) need(c Counter) {
	switch {
	case c.Subject == sighting.Project:
	case c.Subject != sighting.User && c.Subject != sighting.UsedPasskey:
		p.add(Set{Subject: c.Subject, Family: c.Family})
	case c.Family == sighting.Bad || c.Of.Has(sighting.AuthSuccess):
		p.add(Set{Subject: sighting.User, Family: c.Family})
	}
	if c.ofOwn() { // what the user's own events say
		p.own = max(p.own, c.Window)
	}
}

func (p *Plan) add(s Set) {
	if !slices.Contains(p.Sets, s) {
		p.Sets = append(p.Sets, s)
	}
}

func (c *Counter) tally() sighting.Tally {
	return sighting.Tally{Of: c.Of, Window: c.Window, Bucket: c.Bucket}
}

// Keys returns the keys of the sets that a decision about a user reads, in the order of Sets; a zero one of each subject that is not named.
func (p *Plan) Keys(project ident.ProjectID, user ident.UserID, named *event.Sighted) []sighting.Key {
	if len(p.Sets) == 0 {
		return nil
	}
	keys := make([]sighting.Key, len(p.Sets))
	for i, set := range p.Sets {
		token := ""
		switch {
		case set.Subject == sighting.User:
			token = string(user)
		case named == nil:
		case set.Subject == sighting.Address:
			token = named.Address
		case set.Subject == sighting.Network:
			token = named.Network
		case set.Subject == sighting.Environment:
			token = named.Environment
		}
		if token != "" {
			keys[i] = sighting.Key{Project: project, Subject: set.Subject, Token: token, Family: set.Family}
		}
	}
	return keys
}

// Kinds returns the kinds of the sets that decisions read. One is always among them, since what is known of all of a project is judged by
// what is known of sets.
func (p *Plan) Kinds() sighting.Kinds {
	return sighting.KindsOf(append(slices.Clone(p.Sets), Set{Subject: sighting.User, Family: sighting.Bad})...)
}

// Of returns Keys of a question.
func (p *Plan) Of(q *service.Question) []sighting.Key {
	user := ident.UserID("")
	if q.Account != nil {
		user = q.Account.ID
	}
	return p.Keys(q.Project, user, q.Sighted)
}

// Worth returns those tokens by which counters that are read would count what becomes of a decision later, and those that rules read; nil
// if there are none.
func (p *Plan) Worth(named *event.Sighted) *event.Sighted {
	if named == nil {
		return nil
	}
	var worth event.Sighted
	for i := range p.read {
		c := &p.read[i]
		switch c.Subject {
		case sighting.Address:
			worth.Address = named.Address
		case sighting.Network:
			worth.Network = named.Network
		case sighting.Environment:
			worth.Environment = named.Environment
		}
		switch c.Count {
		case sighting.Users:
			worth.User = named.User
		case sighting.Networks:
			worth.Network = named.Network
		case sighting.Environments:
			worth.Environment = named.Environment
		}
	}
	if p.Network {
		worth.Network = named.Network
	}
	if p.users {
		worth.Environment, worth.User = named.Environment, named.User
	}
	if worth == (event.Sighted{}) {
		return nil
	}
	worth.KeyVersion, worth.KeySinceMs = named.KeyVersion, named.KeySinceMs
	if worth == *named {
		return named
	}
	kept := worth
	return &kept
}

// Same reports whether two plans find the same facts.
func (p *Plan) Same(other *Plan) bool {
	return slices.Equal(p.read, other.read) && p.any == other.any && p.users == other.users && (!p.users || p.horizon == other.horizon)
}

// Reads reports whether the plan reads the same sets as another, in the same order.
func (p *Plan) Reads(other *Plan) bool { return slices.Equal(p.Sets, other.Sets) }

// Within reports whether another plan finds all facts that this one does, and why not.
func (p *Plan) Within(other *Plan) error {
	if p.users && (!other.users || p.horizon != other.horizon) {
		return fmt.Errorf("environment.users: %w", ErrNotKept)
	}
	for _, c := range p.read {
		if !slices.Contains(other.read, c) {
			return fmt.Errorf("velocity.%s: %w", c.Name, ErrNotKept)
		}
	}
	return nil
}

// Kept reports whether a record has all that the plan counts, and why not.
func (p *Plan) Kept(recorded *facts.Velocity) error {
	for i := range p.read {
		name := p.read[i].Name
		if !slices.ContainsFunc(recorded.Counters, func(t facts.Tally) bool { return t.Name == name }) {
			return fmt.Errorf("velocity.%s: %w", name, ErrNotKept)
		}
	}
	return nil
}

// Input is what facts are made of.
type Input struct {
	sighting.Seen                    // in the order of the plan's sets
	Events        event.Set          // the user's
	Passkey       ident.CredentialID // that a login was made with; empty = this is the end of none
	Lost          bool               // something could not be read
	Now           time.Time
}

// usualCounters is how many counters are read as a rule at most.
const usualCounters = 8

// Find returns the facts; nil if no rule reads one.
func (p *Plan) Find(in *Input) *facts.Velocity {
	if !p.any {
		return nil
	}
	whole := &struct { // at once: there is one for every decision
		facts.Velocity
		room [usualCounters]facts.Tally
	}{}
	found := &whole.Velocity
	found.Complete, found.Counters = !in.Lost, whole.room[:0]
	if len(p.read) > usualCounters {
		found.Counters = make([]facts.Tally, 0, len(p.read))
	}
	own, known := p.successes(in)
	for i := range p.read {
		c := &p.read[i]
		n, complete := p.count(c, in, own)
		found.Counters = append(found.Counters, facts.Tally{Name: c.Name, Count: n})
		found.Complete = found.Complete && complete && (known || !c.ofOwn())
	}
	return found
}

// Add adds the facts to others.
func (p *Plan) Add(f *facts.Facts, in *Input) {
	in.Lost = !f.Complete
	if f.Environment.Known {
		f.Environment.Users = p.Users(in)
	}
	f.Velocity = p.Find(in)
}

// Again takes from the facts of a record how often what was seen, since nobody knows that any more; by is what was counted then, nil if
// that is not known. The error is ErrNotKept.
func (p *Plan) Again(by *Plan, recorded, found *facts.Facts) error {
	if found.RiskFacts == nil {
		return nil
	}
	if by != nil {
		if err := p.Within(by); err != nil {
			return err
		}
	}
	if at := found.Request.Network; at != nil && *at == "" && found.Request.Family != "none" {
		return fmt.Errorf("request.network: %w", ErrNotKept)
	}
	if found.Velocity != nil {
		if recorded.RiskFacts == nil || recorded.Velocity == nil {
			return fmt.Errorf("velocity: %w", ErrNotKept)
		}
		if err := p.Kept(recorded.Velocity); err != nil {
			return err
		}
		found.Velocity = recorded.Velocity
	}
	if found.Environment.Users != nil && recorded.Environment.Users == nil {
		return fmt.Errorf("environment.users: %w", ErrNotKept)
	}
	found.Environment.Users = recorded.Environment.Users
	return nil
}

// Longest returns the longest window of what is read.
func (p *Plan) Longest() time.Duration {
	var longest time.Duration
	for i := range p.read {
		longest = max(longest, p.read[i].Window)
	}
	return longest
}

// Users returns how many accounts have succeeded in the environment; nil if no rule reads that.
func (p *Plan) Users(in *Input) *int {
	if !p.users {
		return nil
	}
	n := p.set(in, Set{Subject: sighting.Environment, Family: sighting.Good}).Count(sighting.Counter{
		Count: sighting.Users, Of: sighting.TypesOf(sighting.LoginCompleted, sighting.AppendCompleted, sighting.AuthSuccess), Window: p.horizon,
		By: in.By,
	}, in.Now)
	return &n
}

func (c *Counter) ofOwn() bool {
	return c.Family == sighting.Good && (c.Subject == sighting.User || c.Subject == sighting.UsedPasskey)
}

func (p *Plan) count(c *Counter, in *Input, own sighting.Set) (n int, complete bool) {
	if c.Subject == sighting.Project {
		// What was lost of a project comes back in no way, as names that are no user's do not.
		return in.Totals.Count(c.tally(), in.Now), in.Since.Covers(c.Of|sighting.TypesOf(sighting.LoginUnknown), c.Window, in.Now)
	}
	by, since := c.Counter, in.Since.Under(in.By)
	by.By = in.By
	if c.Subject == sighting.UsedPasskey {
		if in.Passkey == "" {
			return 0, true
		}
		by.Credential = sighting.Credential(string(in.Passkey))
	}
	if c.ofOwn() {
		if !c.Of.Has(sighting.AuthSuccess) { // the log alone tells of the others
			since = sighting.Since{}.Under(in.By)
		}
		return own.Count(by, in.Now), since.Covers(c.Of, c.Window, in.Now)
	}
	subject := c.Subject
	if subject == sighting.UsedPasskey {
		subject = sighting.User
	}
	return p.set(in, Set{Subject: subject, Family: c.Family}).Count(by, in.Now), since.Covers(c.Of, c.Window, in.Now)
}

// set returns what was read of one of the plan's sets; an empty one if nothing was.
func (p *Plan) set(in *Input, of Set) sighting.Set {
	if at := slices.Index(p.Sets, of); at >= 0 && at < len(in.Sets) {
		return in.Sets[at]
	}
	return sighting.Set{}
}
