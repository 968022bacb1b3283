package demo

import (
	"context"
	"errors"
	"fmt"
	"io"
	"maps"
	"math/rand/v2"
	"net/http"
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

// Who asks, in an attack.
const (
	honest   = "people who sign in"
	stuffing = "passwords tried on many accounts"
	stolen   = "a browser's handle, stolen abroad"
	cloned   = "security keys, copied"
)

// Attack makes a population, attacks it in three ways while it signs in, and prints what was seen of whom: what was judged to ask for a
// look, for a further proof, or to be refused, and for which reasons.
func Attack(ctx context.Context, opts Options, crowd Population) error {
	a := &attack{opts: opts, crowd: crowd, seen: newSightings()}
	if crowd.Progress == nil {
		a.crowd.Progress = io.Discard
	}
	p := newPage(opts, false)
	p.line(p.title.render(fmt.Sprintf("Keyward, while %d accounts are attacked", crowd.Users)))
	p.line(p.faint.render(fmt.Sprintf("%s · project %s · origin %s", opts.Project.URL, opts.Project.ID, opts.Origin)))
	if err := a.settle(ctx); err != nil {
		return fmt.Errorf("demo: %w", err)
	}
	if err := a.run(ctx); err != nil {
		return fmt.Errorf("demo: %w", err)
	}
	a.seen.print(p)
	return nil
}

// attack is one that is under way.
type attack struct {
	opts   Options
	crowd  Population
	people []*visitor.Visitor
	seen   *sightings
}

// as returns what calls for somebody, whose answers count for who it is. Only what is judged counts.
func (a *attack) as(who string) *client.Client {
	return client.Connect(a.opts.Project, callTimeout, func(x client.Exchange) { a.seen.take(who, x) })
}

// each does something with all users, some at once.
func (a *attack) each(ctx context.Context, what string, do func(context.Context, int, *rand.Rand) error) error {
	bar := progressbar.NewOptions(a.crowd.Users,
		progressbar.OptionSetWriter(a.crowd.Progress), progressbar.OptionSetDescription(what), progressbar.OptionShowCount(),
		progressbar.OptionSetWidth(40), progressbar.OptionClearOnFinish())
	group, ctx := errgroup.WithContext(ctx)
	group.SetLimit(max(a.crowd.Concurrency, 1))
	for i := range a.crowd.Users {
		group.Go(func() error {
			if ctx.Err() != nil {
				return ctx.Err()
			}
			random := rand.New(rand.NewPCG(a.crowd.Seed, uint64(i))) //nolint:gosec // a crowd to try things on, not a secret
			if err := do(ctx, i, random); err != nil {
				return fmt.Errorf("user %d: %w", i+1, err)
			}
			return bar.Add(1)
		})
	}
	return group.Wait()
}

// keyShare is how many have a security key, in percent.
const keyShare = 10

// settle makes the population: each has a passkey, and has used it at home.
func (a *attack) settle(ctx context.Context) error {
	a.people = make([]*visitor.Visitor, a.crowd.Users)
	api := client.Connect(a.opts.Project, callTimeout, nil)
	return a.each(ctx, "accounts", func(ctx context.Context, i int, random *rand.Rand) error {
		v := &visitor.Visitor{API: api, Origin: a.opts.Origin, Name: fmt.Sprintf("User %04d", i+1), Address: atHome(i)}
		v.Device, v.Browser = authenticator.Phone(), visitor.SafariOfNewPhone()
		if random.IntN(100) < keyShare {
			v.Device, v.Browser = authenticator.SecurityKey(), visitor.ChromeOnWindows()
		}
		a.people[i] = v
		if err := v.SignUp(ctx); err != nil {
			return err
		}
		process := v.Arrive()
		start, err := v.AppendStart(ctx, process, rest.PasskeyIntelFlags{ForcePasskeyAppend: true})
		if err == nil && !start.AppendAllow {
			err = fmt.Errorf("%w: no passkey may be created (%s)", errUnexpected, start.DecisionTag)
		}
		if err == nil {
			err = v.AppendFinish(ctx, process, start.AttestationOptions)
		}
		if err == nil {
			err = signIn(ctx, v)
		}
		return err
	})
}

// run has people sign in, and all three attacks, at the same time.
func (a *attack) run(ctx context.Context) error {
	copies := a.copies()
	group, ctx := errgroup.WithContext(ctx)
	group.Go(func() error { return a.peopleSignIn(ctx, copies) })
	group.Go(func() error { return a.tryPasswords(ctx) })
	group.Go(func() error { return a.useHandles(ctx) })
	return group.Wait()
}

// signIn is a login with a passkey, if it is offered; that it is refused is no error.
func signIn(ctx context.Context, v *visitor.Visitor) error {
	process := v.Arrive()
	start, err := v.LoginStart(ctx, process, rest.CrossDeviceAuthenticationStrategyStandard)
	if err != nil || !start.LoginAllow {
		return err
	}
	err = v.LoginFinish(ctx, process, start.AssertionOptions)
	var refused *client.Fault
	if errors.As(err, &refused) && (refused.Status == http.StatusForbidden || refused.Status == http.StatusBadRequest) {
		return nil
	}
	return err
}

// mistypes tells of a password that was wrong.
func mistypes(ctx context.Context, v *visitor.Visitor) error {
	_, err := v.API.ReportLogin(ctx, v.ID, rest.AuthEventCreateReq{
		Username: v.Name, EventType: rest.AuthEventTypeLogin, Method: rest.AuthEventMethodPassword, Status: rest.AuthEventStatusFailure,
		ClientInformation: v.Client(),
	})
	return err
}

// peopleSignIn has everybody sign in twice, now and then in another way than before. Whoever's key was copied comes before the copy.
func (a *attack) peopleSignIn(ctx context.Context, copies map[int]*visitor.Visitor) error {
	api := a.as(honest)
	return a.each(ctx, "sign-ins", func(ctx context.Context, i int, random *rand.Rand) error {
		v := *a.people[i]
		v.API = api
		for range 2 {
			there := v
			switch n := random.IntN(100); {
			case n < 5: // mistypes the password before the passkey is thought of
				if err := mistypes(ctx, &v); err != nil {
					return err
				}
			case n < 15:
				there.Address = mobile(i)
			case n < 18:
				there.Browser.PrivateMode = new(true)
			case n < 21:
				there.Browser = visitor.SafariOnMac()
			}
			if err := signIn(ctx, &there); err != nil {
				return err
			}
			v.Visits = there.Visits
		}
		if c := copies[i]; c != nil {
			return signIn(ctx, c)
		}
		return nil
	})
}

// copies are the keys that somebody else has copied, as they are now.
func (a *attack) copies() map[int]*visitor.Visitor {
	api, copies := a.as(cloned), map[int]*visitor.Visitor{}
	for i, v := range a.people {
		if !v.Device.Counting {
			continue
		}
		device := *v.Device
		device.Passkeys = slices.Clone(v.Device.Passkeys)
		copies[i] = &visitor.Visitor{
			API: api, Origin: v.Origin, ID: v.ID, Name: v.Name, Device: &device, Browser: visitor.ChromeOnWindows(), Address: robots + ".200",
			Visits: 100,
		}
	}
	return copies
}

// tryPasswords tries one password on every second account, from three addresses.
func (a *attack) tryPasswords(ctx context.Context) error {
	const addresses, share = 3, 2
	api := a.as(stuffing)
	for i := 0; i < len(a.people); i += share {
		victim := a.people[i]
		v := &visitor.Visitor{
			API: api, Origin: victim.Origin, ID: victim.ID, Name: victim.Name, Browser: visitor.EdgeOnWindows(), Visits: 200,
			Address: fmt.Sprintf("%s.%d", robots, 66+i/share%addresses),
		}
		if _, err := v.LoginStart(ctx, v.Arrive(), rest.CrossDeviceAuthenticationStrategyStandard); err != nil {
			return err
		}
		if err := mistypes(ctx, v); err != nil {
			return err
		}
	}
	return nil
}

// useHandles comes with the handle of every twentieth user from another continent, and would add a passkey.
func (a *attack) useHandles(ctx context.Context) error {
	const share = 20
	api := a.as(stolen)
	for i := share / 2; i < len(a.people); i += share {
		victim := a.people[i]
		v := &visitor.Visitor{
			API: api, Origin: victim.Origin, ID: victim.ID, Name: victim.Name, Device: visitor.WindowsHello(), Browser: victim.Browser,
			Address: abroad,
			Visits:  300,
		}
		process := v.Arrive()
		if _, err := v.LoginStart(ctx, process, rest.CrossDeviceAuthenticationStrategyStandard); err != nil {
			return err
		}
		if _, err := v.AppendStart(ctx, process, rest.PasskeyIntelFlags{ForcePasskeyAppend: true}); err != nil {
			return err
		}
	}
	return nil
}

// sightings count what was judged. They are safe for concurrent use.
type sightings struct {
	mu       sync.Mutex
	of       map[string]*judgements
	enforced bool
}

// judgements are those of one kind of caller.
type judgements struct {
	calls   int
	actions map[string]int
	reasons map[string]int // of what was not allowed
}

func newSightings() *sightings {
	s := &sightings{of: map[string]*judgements{}}
	for _, who := range []string{honest, stuffing, stolen, cloned} {
		s.of[who] = &judgements{actions: map[string]int{}, reasons: map[string]int{}}
	}
	return s
}

// take counts an answer that was judged.
func (s *sightings) take(who string, x client.Exchange) {
	action, rest, judged := strings.Cut(x.Risk, ";")
	if !judged {
		return
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	j := s.of[who]
	j.calls++
	j.actions[action]++
	s.enforced = s.enforced || strings.Contains(rest, "enforced=?1")
	if action == allowed {
		return
	}
	_, list, _ := strings.Cut(rest, `reasons="`)
	for reason := range strings.FieldsSeq(strings.TrimSuffix(list, `"`)) {
		j.reasons[reason]++
	}
}

const allowed = "allow"

// print shows what was seen of each kind of caller, and for which reasons.
func (s *sightings) print(p *page) {
	s.mu.Lock()
	defer s.mu.Unlock()
	p.line()
	p.line("  ", p.title.render("What was seen"), p.faint.render("  of calls that were judged: starts and finishes"))
	p.line(p.faint.render(fmt.Sprintf("    %-36s%8s%10s%9s%11s%8s%8s", "", "calls", "allow", "review", "challenge", "deny", "seen")))
	for _, who := range []string{honest, stuffing, stolen, cloned} {
		j := s.of[who]
		seen := j.calls - j.actions[allowed]
		p.line(fmt.Sprintf("    %-36s%8d%10d%9d%11d%8d%7d%%", who, j.calls, j.actions[allowed], j.actions["review"],
			j.actions["challenge"], j.actions["deny"], seen*100/max(j.calls, 1)))
	}
	p.line()
	would := s.bothered()
	if s.enforced {
		p.tell("The policy binds: challenges were asked for a further proof, and denials refused.")
	} else {
		p.tell(fmt.Sprintf("The policy observes: nothing was refused for it. Where risk.mode is enforce, %d of %d calls of attackers "+
			"would have been asked for a further proof or refused, and %d of %d of honest people.", would[0], would[1], would[2], would[3]))
	}
	for _, who := range []string{stuffing, stolen, cloned, honest} {
		p.bars("Why: "+who, plain(s.of[who].reasons))
	}
}

// bothered returns how many calls of attackers would be challenged or denied, of how many; and the same of honest people.
func (s *sightings) bothered() [4]int {
	var n [4]int
	for who, j := range maps.All(s.of) {
		at := 0
		if who == honest {
			at = 2
		}
		n[at] += j.actions["challenge"] + j.actions["deny"]
		n[at+1] += j.calls
	}
	return n
}
