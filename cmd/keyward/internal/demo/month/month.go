// Package month lets weeks of sign-ins pass at a server whose clock it holds: people come by their habits, with devices of today, and more
// and more of them have passkeys; a release of the policy bars a browser by mistake and is taken back a day later; and one night passwords
// are tried on many accounts. Nothing is made up but who comes when: the server answers, judges, stores and counts as it always does.
//
// It calls the public HTTP API and nothing else. The same plan has the same people come at the same moments.
package month

import (
	"context"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"slices"
	"sync"
	"time"

	"github.com/schollz/progressbar/v3"
	"golang.org/x/sync/errgroup"

	"github.com/keyward/keyward/api/rest"
	"github.com/keyward/keyward/cmd/keyward/authenticator"
	"github.com/keyward/keyward/cmd/keyward/internal/client"
	"github.com/keyward/keyward/cmd/keyward/internal/demo/visitor"
)

// Plan says who comes, and until when.
type Plan struct {
	Users, Days int
	Seed        uint64
	End         time.Time
	Concurrency int
	Progress    io.Writer // where the bar is drawn
}

// Site is where people come to.
type Site struct {
	API    *client.Client
	Origin string
	// Release has a policy judge from now on: one that bars a browser by mistake, or the one before it.
	Release func(ctx context.Context, bad bool) error
}

// Tally is what came of it.
type Tally struct {
	Users, Visits, Logins, Created, Passwords, Attempts int
}

// tally is safe for concurrent use.
type tally struct {
	mu sync.Mutex
	Tally
}

func (t *tally) count(n *int) {
	t.mu.Lock()
	defer t.mu.Unlock()
	*n++
}

// visit is somebody who comes at a moment.
type visit struct {
	at    time.Time
	who   int
	first bool // they sign up
	tries bool // somebody else tries passwords on the account
}

// Where in the days, in percent, the release goes out, and the night of the attempts is.
const (
	releasedAt  = 55
	attemptedAt = 82
	percent     = 100
)

// Run lets the days pass.
func Run(ctx context.Context, plan Plan, site Site, clock *Clock) (Tally, error) {
	visits := plan.visits()
	bar := progressbar.NewOptions(len(visits), progressbar.OptionSetWriter(plan.Progress), progressbar.OptionSetDescription("visits"),
		progressbar.OptionShowCount(), progressbar.OptionShowIts(), progressbar.OptionSetWidth(40), progressbar.OptionClearOnFinish())
	m := &month{plan: plan, site: site, people: make([]*person, plan.Users)}
	released, back := plan.day(releasedAt), plan.day(releasedAt).Add(26*time.Hour)
	steps := []struct {
		at  time.Time
		bad bool
	}{{released, true}, {back, false}}
	for len(visits) > 0 {
		if err := ctx.Err(); err != nil {
			return m.seen.Tally, err
		}
		for len(steps) > 0 && !visits[0].at.Before(steps[0].at) {
			clock.Set(steps[0].at)
			if err := site.Release(ctx, steps[0].bad); err != nil {
				return m.seen.Tally, err
			}
			steps = steps[1:]
		}
		batch := visits[:m.together(visits)]
		visits = visits[len(batch):]
		clock.Set(batch[0].at)
		group, ctx := errgroup.WithContext(ctx)
		for _, v := range batch {
			group.Go(func() error { return m.take(ctx, v) })
		}
		if err := group.Wait(); err != nil {
			return m.seen.Tally, err
		}
		_ = bar.Add(len(batch))
	}
	_ = bar.Finish()
	clock.Set(plan.End)
	return m.seen.Tally, nil
}

func (p *Plan) day(part int) time.Time {
	return p.End.AddDate(0, 0, -p.Days).Add(time.Duration(p.Days*part/percent) * 24 * time.Hour)
}

// month is one that passes.
type month struct {
	plan   Plan
	site   Site
	people []*person
	seen   tally
}

// together returns how many visits are made at once: those of different people within a quarter of an hour.
func (m *month) together(visits []visit) int {
	const quarter = 15 * time.Minute
	who := map[int]bool{}
	for i, v := range visits {
		if i == m.plan.Concurrency || v.at.Sub(visits[0].at) > quarter || who[v.who] {
			return i
		}
		who[v.who] = true
	}
	return len(visits)
}

// habits are how many of a hundred visits begin within an hour of the day, from midnight on.
var habits = [24]int{1, 1, 0, 0, 0, 1, 2, 4, 6, 7, 6, 6, 7, 5, 5, 5, 5, 6, 7, 8, 8, 5, 3, 2}

// visits are all of them, the earliest first.
func (p *Plan) visits() []visit {
	begin := p.End.AddDate(0, 0, -p.Days)
	var all []visit
	for who := range p.Users {
		random := p.random(who)
		day := random.IntN(p.Days)
		if random.IntN(3) > 0 { // of those who were there before, most come in the first days; the others sign up later
			day = random.IntN(max(1, p.Days/6))
		}
		pause := 2 + random.IntN(12)                      // days between two visits, about
		for first := true; day <= p.Days; first = false { // the last is not over
			within := time.Duration(hour(random))*time.Hour + time.Duration(random.IntN(3600))*time.Second
			at := begin.AddDate(0, 0, day).Truncate(24 * time.Hour).Add(within)
			if at.After(begin) && at.Before(p.End) {
				all = append(all, visit{at: at, who: who, first: first})
			} else if first {
				all = append(all, visit{at: begin.Add(time.Duration(random.IntN(3600)) * time.Second), who: who, first: true})
			}
			day += 1 + random.IntN(2*pause)
		}
	}
	all = append(all, p.attempts()...)
	slices.SortStableFunc(all, func(a, b visit) int { return a.at.Compare(b.at) })
	return all
}

// attempts are those of one night, on one account in twelve.
func (p *Plan) attempts() []visit {
	random := p.random(-1)
	night := p.day(attemptedAt).Truncate(24 * time.Hour).Add(2 * time.Hour)
	var all []visit
	for who := 0; who < p.Users; who += 12 {
		at := night.Add(time.Duration(random.IntN(3*3600)) * time.Second)
		if at.Before(p.End) {
			all = append(all, visit{at: at, who: who, tries: true})
		}
	}
	return all
}

func (p *Plan) random(who int) *rand.Rand {
	return rand.New(rand.NewPCG(p.Seed, uint64(who))) //nolint:gosec // people to try things on, no secret
}

func hour(random *rand.Rand) int {
	n := random.IntN(percent)
	for h, share := range habits {
		if n -= share; n < 0 {
			return h
		}
	}
	return 20
}

// person is somebody with a device.
type person struct {
	*visitor.Visitor
	random  *rand.Rand
	willing int // of a hundred offers, how many they take
}

func (m *month) take(ctx context.Context, v visit) error {
	if v.tries {
		return m.try(ctx, v)
	}
	p := m.people[v.who]
	if p == nil {
		p = m.meet(v.who)
		if err := p.SignUp(ctx); err != nil {
			return fmt.Errorf("user %d: %w", v.who+1, err)
		}
		m.people[v.who] = p
		m.seen.count(&m.seen.Users)
	}
	m.seen.count(&m.seen.Visits)
	if err := m.signIn(ctx, p, v.at); err != nil {
		return fmt.Errorf("user %d: %w", v.who+1, err)
	}
	return nil
}

func (m *month) meet(who int) *person {
	random := rand.New(rand.NewPCG(m.plan.Seed+1, uint64(who))) //nolint:gosec // as above
	model := visitor.Draw(random)
	p := &person{random: random, willing: 20 + random.IntN(60), Visitor: &visitor.Visitor{
		API: m.site.API, Origin: m.site.Origin, Name: fmt.Sprintf("User %05d", who+1), Device: model.Device(), Browser: model.Browser(),
		Address: fmt.Sprintf("198.18.%d.%d", who/250%250, 1+who%250), // for benchmarks: RFC 2544
	}}
	return p
}

// signIn is a visit: with a passkey if one is offered and works, or with a password, after which one may be created.
func (m *month) signIn(ctx context.Context, p *person, at time.Time) error {
	process := p.Arrive()
	start, err := p.LoginStart(ctx, process, rest.CrossDeviceAuthenticationStrategyStandard)
	if err != nil {
		return err
	}
	if start.LoginAllow {
		done, err := m.answer(ctx, p, process, start.AssertionOptions)
		if done || err != nil {
			return err
		}
	}
	if err := m.password(ctx, p, p.Client(), rest.AuthEventStatusSuccess); err != nil {
		return err
	}
	return m.create(ctx, p, process, at)
}

// answer takes an offered login, and says whether somebody is in then.
func (m *month) answer(ctx context.Context, p *person, process, options string) (in bool, err error) {
	switch n := p.random.IntN(percent); {
	case n < 4:
		return false, p.Report(ctx, rest.PasskeyEventTypeLoginExplicitAbort, process, options)
	case n < 7:
		return false, p.Report(ctx, rest.PasskeyEventTypeLoginError, process, options)
	case n < 9:
		return false, nil // nobody tells
	}
	err = p.LoginFinish(ctx, process, options)
	if errors.Is(err, authenticator.ErrNoCredentials) {
		return false, p.Report(ctx, rest.PasskeyEventTypeLoginNoCredentials, process, options)
	}
	if err == nil {
		m.seen.count(&m.seen.Logins)
	}
	return err == nil, err
}

func (m *month) create(ctx context.Context, p *person, process string, at time.Time) error {
	offer, err := p.AppendStart(ctx, process, rest.PasskeyIntelFlags{})
	if err != nil || !offer.AppendAllow {
		return err
	}
	// What is new is taken more often once others have it.
	passed := int(at.Sub(m.plan.End.AddDate(0, 0, -m.plan.Days)).Hours() / 24 * 25 / float64(m.plan.Days))
	switch n := p.random.IntN(percent); {
	case n < 15:
		return p.Report(ctx, rest.PasskeyEventTypeAppendExplicitAbort, process, offer.AttestationOptions)
	case n >= 15+p.willing/2+passed:
		return nil
	}
	err = p.AppendFinish(ctx, process, offer.AttestationOptions)
	if errors.Is(err, authenticator.ErrExcluded) {
		return p.Report(ctx, rest.PasskeyEventTypeAppendCredentialExists, process, offer.AttestationOptions)
	}
	if err == nil {
		m.seen.count(&m.seen.Created)
	}
	return err
}

func (m *month) password(ctx context.Context, p *person, from rest.ClientInformation, status rest.AuthEventStatus) error {
	if status == rest.AuthEventStatusSuccess {
		m.seen.count(&m.seen.Passwords)
	}
	_, err := m.site.API.ReportLogin(ctx, p.ID, rest.AuthEventCreateReq{
		Username: p.Name, EventType: rest.AuthEventTypeLogin, Method: rest.AuthEventMethodPassword, Status: status, ClientInformation: from,
	})
	return err
}

// try is somebody with a list of passwords, at one of three addresses, for an account that there may not be yet.
func (m *month) try(ctx context.Context, v visit) error {
	p := m.people[v.who]
	if p == nil {
		return nil
	}
	from := visitor.ChromeOnLinux()
	from.RemoteAddress = fmt.Sprintf("198.51.100.%d", 1+v.who/12%3) // for documentation: RFC 5737
	_, err := m.site.API.LoginStart(ctx, rest.PasskeyLoginStartReq{
		UserID: p.ID, ProcessID: fmt.Sprintf("try-%s-%d", p.ID, v.at.Unix()), ClientInformation: from,
		CrossDeviceAuthenticationStrategy: rest.CrossDeviceAuthenticationStrategyStandard,
	})
	if err != nil {
		return err
	}
	m.seen.count(&m.seen.Attempts)
	return m.password(ctx, p, from, rest.AuthEventStatusFailure)
}
