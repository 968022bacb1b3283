package demo

import (
	"context"
	"errors"
	"fmt"
	"io"
	"maps"
	"math/rand/v2"
	"slices"
	"strings"
	"sync"

	"github.com/schollz/progressbar/v3"
	"golang.org/x/sync/errgroup"

	"github.com/keyward/keyward/api/rest"
	"github.com/keyward/keyward/cmd/keyward/authenticator"
	"github.com/keyward/keyward/cmd/keyward/internal/client"
	"github.com/keyward/keyward/cmd/keyward/internal/demo/visitor"
)

// Population describes a crowd to make.
type Population struct {
	Users       int
	Concurrency int       // users at work at once
	Seed        uint64    // the same seed makes the same crowd
	Progress    io.Writer // where the bar is drawn; nil = nowhere
}

// tally counts what the crowd was answered. It is safe for concurrent use.
type tally struct {
	mu       sync.Mutex
	devices  map[string]int
	logins   map[answer]int
	appends  map[answer]int
	events   map[string]int
	passkeys int
	used     int
}

type answer struct {
	tag     string
	allowed bool
}

func (t *tally) count(do func(*tally)) {
	t.mu.Lock()
	defer t.mu.Unlock()
	do(t)
}

// Populate makes users with devices and histories of many kinds, and prints which answers they got. It ends at the first call that fails.
func Populate(ctx context.Context, opts Options, crowd Population) error {
	api := client.Connect(opts.Project, callTimeout, nil)
	if crowd.Progress == nil {
		crowd.Progress = io.Discard
	}
	bar := progressbar.NewOptions(crowd.Users,
		progressbar.OptionSetWriter(crowd.Progress), progressbar.OptionSetDescription("users"), progressbar.OptionShowCount(),
		progressbar.OptionShowIts(), progressbar.OptionSetWidth(40), progressbar.OptionClearOnFinish())
	seen := &tally{devices: map[string]int{}, logins: map[answer]int{}, appends: map[answer]int{}, events: map[string]int{}}
	group, ctx := errgroup.WithContext(ctx)
	group.SetLimit(max(crowd.Concurrency, 1))
	for i := range crowd.Users {
		if ctx.Err() != nil {
			break
		}
		group.Go(func() error {
			random := rand.New(rand.NewPCG(crowd.Seed, uint64(i))) //nolint:gosec // a crowd to try things on, not a secret
			if err := live(ctx, api, opts.Origin, i, random, seen); err != nil {
				return fmt.Errorf("user %d: %w", i+1, err)
			}
			return bar.Add(1)
		})
	}
	if err := group.Wait(); err != nil {
		return fmt.Errorf("demo: %w", err)
	}
	_ = bar.Finish()
	seen.print(newPage(opts, false), crowd.Users)
	return nil
}

// live is the history of one user, for most an ordinary one.
func live(ctx context.Context, api *client.Client, origin string, i int, random *rand.Rand, seen *tally) error {
	v := &visitor.Visitor{API: api, Origin: origin, Name: fmt.Sprintf("User %04d", i+1), Address: atHome(i)}
	const ordinaryShare = 70 // percent
	if random.IntN(100) >= ordinaryShare {
		return eventful(ctx, v, random, seen)
	}
	return ordinary(ctx, v, random, seen)
}

// ordinary is a history with one device at a time: some create a passkey, most come back, some fail, a few change their device.
func ordinary(ctx context.Context, v *visitor.Visitor, random *rand.Rand, seen *tally) error {
	m := visitor.Draw(random)
	v.Device, v.Browser = m.Device(), m.Browser()
	seen.count(func(t *tally) { t.devices[m.Name]++ })
	if err := v.SignUp(ctx); err != nil {
		return err
	}
	if random.IntN(100) < 85 {
		if err := passwordVisit(ctx, v, random, seen); err != nil {
			return err
		}
	}
	for range random.IntN(6) {
		if err := comesBack(ctx, v, random, seen); err != nil {
			return err
		}
	}
	switch n := random.IntN(100); {
	case n < 4:
		if err := event(ctx, v, rest.PasskeyEventTypeUserLoginBlacklisted, "", "", seen); err != nil {
			return err
		}
	case n < 24:
		other := visitor.Draw(random)
		v.Browser = other.Browser()
		// What syncs is on the new device too; the rest is left behind.
		if !v.Device.BackupEligible || !other.Device().BackupEligible {
			v.Device = other.Device()
		}
	}
	return comesBack(ctx, v, random, seen)
}

// passwordVisit is a login with a password, after which a passkey may be offered.
func passwordVisit(ctx context.Context, v *visitor.Visitor, random *rand.Rand, seen *tally) error {
	process := v.Arrive()
	start, err := v.LoginStart(ctx, process, rest.CrossDeviceAuthenticationStrategyStandard)
	if err != nil {
		return err
	}
	seen.count(func(t *tally) { t.logins[answer{string(start.DecisionTag), start.LoginAllow}]++ })
	offer, err := v.AppendStart(ctx, process, rest.PasskeyIntelFlags{})
	if err != nil {
		return err
	}
	seen.count(func(t *tally) { t.appends[answer{string(offer.DecisionTag), offer.AppendAllow}]++ })
	if !offer.AppendAllow {
		return nil
	}
	if random.IntN(100) < 25 {
		return event(
			ctx, v, rest.PasskeyEventTypeAppendExplicitAbort, process, offer.AttestationOptions, seen,
		)
	}
	err = v.AppendFinish(ctx, process, offer.AttestationOptions)
	if errors.Is(err, authenticator.ErrExcluded) {
		return event(
			ctx, v, rest.PasskeyEventTypeAppendCredentialExists, process, offer.AttestationOptions, seen,
		)
	}
	if err == nil {
		seen.count(func(t *tally) { t.passkeys++ })
	}
	return err
}

// comesBack is a login with a passkey, if that is offered.
func comesBack(ctx context.Context, v *visitor.Visitor, random *rand.Rand, seen *tally) error {
	process := v.Arrive()
	strategies := []rest.CrossDeviceAuthenticationStrategy{
		rest.CrossDeviceAuthenticationStrategyStandard, rest.CrossDeviceAuthenticationStrategyStandard,
		rest.CrossDeviceAuthenticationStrategyMinimize, rest.CrossDeviceAuthenticationStrategyMaximize,
	}
	start, err := v.LoginStart(ctx, process, strategies[random.IntN(len(strategies))])
	if err != nil {
		return err
	}
	seen.count(func(t *tally) { t.logins[answer{string(start.DecisionTag), start.LoginAllow}]++ })
	if !start.LoginAllow {
		return nil
	}
	failure := rest.PasskeyEventTypeLoginExplicitAbort
	if random.IntN(2) == 0 {
		failure = rest.PasskeyEventTypeLoginError
	}
	if random.IntN(100) < 25 {
		return event(ctx, v, failure, process, start.AssertionOptions, seen)
	}
	err = v.LoginFinish(ctx, process, start.AssertionOptions)
	if errors.Is(err, authenticator.ErrNoCredentials) {
		return event(ctx, v, rest.PasskeyEventTypeLoginNoCredentials, process, start.AssertionOptions, seen)
	}
	if err == nil {
		seen.count(func(t *tally) { t.used++ })
	}
	return err
}

func event(ctx context.Context, v *visitor.Visitor, kind rest.PasskeyEventType, process, options string, seen *tally) error {
	seen.count(func(t *tally) { t.events[string(kind)]++ })
	return v.Report(ctx, kind, process, options)
}

func (t *tally) print(p *page, users int) {
	p.line()
	p.line(p.title.render(fmt.Sprintf("%d users, %d passkeys created, %d logins with a passkey", users, t.passkeys, t.used)))
	p.bars("Devices", plain(t.devices))
	p.bars("Should a passkey login be offered?", judged(p, t.logins))
	p.bars("Should the creation of a passkey be offered?", judged(p, t.appends))
	p.bars("Events reported", plain(t.events))
}

// bar is one row of a chart.
type bar struct {
	label, note string
	count       int
}

func plain(counts map[string]int) []bar {
	var bars []bar
	for _, name := range slices.Sorted(maps.Keys(counts)) {
		bars = append(bars, bar{label: name, count: counts[name]})
	}
	return bars
}

func judged(p *page, counts map[answer]int) []bar {
	var bars []bar
	for a, count := range counts {
		note := p.bad.render("no ")
		if a.allowed {
			note = p.good.render("yes")
		}
		bars = append(bars, bar{label: a.tag, note: note + "  ", count: count})
	}
	slices.SortFunc(bars, func(a, b bar) int { return strings.Compare(a.label+a.note, b.label+b.note) })
	return bars
}

func (p *page) bars(title string, bars []bar) {
	if len(bars) == 0 {
		return
	}
	slices.SortStableFunc(bars, func(a, b bar) int { return b.count - a.count })
	const longest = 24
	most := bars[0].count
	p.line()
	p.line("  ", p.title.render(title))
	for _, b := range bars {
		length := max(1, b.count*longest/max(most, 1))
		p.line("    ", b.note, fmt.Sprintf("%-42s", b.label), p.accent.render(strings.Repeat("█", length)), " ", fmt.Sprint(b.count))
	}
}
