package account

import (
	"cmp"
	"context"
	"reflect"
	"slices"

	"github.com/keyward/keyward/core/event"
	"github.com/keyward/keyward/core/ident"
)

const (
	maxUsedOn       = 10 // operating systems that are remembered of a passkey
	maxEnvironments = 50 // that are remembered of a user; the one not seen for longest goes first
)

// Logins knows the completed logins that an account may lack. eventlog.Store does.
type Logins interface {
	// Logins returns, in the order of the log, what an account has to take up that knows the user's logins up to a sequence of the log. It
	// holds what was acknowledged before the call.
	Logins(ctx context.Context, project ident.ProjectID, user ident.UserID, known uint64) ([]event.Found, error)
}

// Outdated reports whether an earlier version of Keyward, which did not note up to where it knows the log, has stored what logins say.
func (a *Account) Outdated() bool {
	return a.UsedTo == 0 && slices.ContainsFunc(a.Credentials, func(c Credential) bool { return c.LastUsedMs > c.CreatedMs })
}

// Knowing returns the account as it is when it has taken up logins that it may lack. a stays as it is.
func (a Account) Knowing(lacking ...event.Found) Account {
	a.Credentials, a.Environments = slices.Clone(a.Credentials), slices.Clone(a.Environments)
	a.TakeUp(lacking)
	return a
}

// TakeUp has the account take up completed logins that it may lack, in the order of the log: none left out, but those that a later one says
// it needs no more.
func (a *Account) TakeUp(lacking []event.Found) {
	if n := len(lacking); n > 0 && a.UsedTo > lacking[n-1].Sequence {
		a.UsedTo = 0 // of a log that was, of which an older backup was restored
	}
	for _, e := range lacking {
		if e.Sequence <= a.UsedTo {
			continue
		}
		a.UsedTo = e.Sequence
		a.use(e.Event)
		a.see(e.Event)
	}
}

// use takes up what a completed login says of the passkey that it was made with. Other events say nothing here.
func (a *Account) use(e event.Event) {
	if e.Type != event.LoginCompleted || e.Use == nil {
		return
	}
	i := slices.IndexFunc(a.Credentials, func(c Credential) bool { return string(c.ID) == e.Credential })
	if i < 0 {
		return // deleted since
	}
	c := &a.Credentials[i]
	c.BackupState = e.Use.BackedUp
	c.LastUsedMs = max(c.LastUsedMs, e.CreatedMs)
	c.SignCount = max(c.SignCount, e.Use.Counter)
	if e.Use.Counter == 0 {
		c.SignCount = 0 // it counts no longer
	}
	if e.Route != event.Local || e.Client == nil || e.Client.OS == "" {
		return
	}
	if !slices.Contains(c.UsedOn, e.Client.OS) && len(c.UsedOn) < maxUsedOn {
		c.UsedOn = append(slices.Clip(c.UsedOn), e.Client.OS)
	}
}

// see takes up what a completed login says of the environment that it was made in.
func (a *Account) see(e event.Event) {
	if e.Type != event.LoginCompleted || e.Use == nil || e.Use.Seen == nil || e.Environment == "" {
		return
	}
	if known := a.environment(e.Environment); e.Use.Seen.Same && known != nil {
		known.LastSeenMs = max(known.LastSeenMs, e.CreatedMs)
		return
	}
	a.Remember(seenIn(e))
}

// seenIn returns the environment of a login as the login tells of it.
func seenIn(e event.Event) Environment {
	seen := Environment{
		ID: e.Environment, OSVersion: e.Use.Seen.OSVersion, BrowserVersion: e.Use.Seen.BrowserVersion, LastSeenMs: e.CreatedMs,
	}
	if e.Client != nil {
		seen.OSName, seen.BrowserName = e.Client.OS, e.Client.Browser
	}
	return seen
}

func (a *Account) environment(id ident.EnvironmentID) *Environment {
	i := slices.IndexFunc(a.Environments, func(e Environment) bool { return e.ID == id })
	if i < 0 {
		return nil
	}
	return &a.Environments[i]
}

// Remember records that the user was in an environment when it was seen last. Where no user agent or fingerprint came, as events hold none,
// the one before stays. What is older than what is known says nothing.
func (a *Account) Remember(seen Environment) {
	if known := a.environment(seen.ID); known != nil {
		if known.LastSeenMs <= seen.LastSeenMs {
			*known = seen.after(*known)
		}
		return
	}
	seen.CreatedMs = seen.LastSeenMs
	if len(a.Environments) < maxEnvironments {
		a.Environments = append(a.Environments, seen)
		return
	}
	oldest := 0
	for i, e := range a.Environments {
		if e.LastSeenMs < a.Environments[oldest].LastSeenMs {
			oldest = i
		}
	}
	a.Environments[oldest] = seen
}

// after returns what is known of an environment that is seen again.
func (e Environment) after(known Environment) Environment {
	e.CreatedMs = known.CreatedMs
	e.UserAgent = cmp.Or(e.UserAgent, known.UserAgent)
	e.JSFingerprint = cmp.Or(e.JSFingerprint, known.JSFingerprint)
	return e
}

// Relate completes a login that comes next, after others that the account may lack: it says which of them whoever knows this account needs
// to take it up. Those between are not needed if it says all that they do, as it mostly does: users come back with the passkey and the
// browser of the last time. Then it takes one read to know the account, and none of the logins is in a hurry to be stored in it. One that
// was made where the account knows it otherwise is: its event holds less of the environment than is remembered.
func (a Account) Relate(lacking []event.Found, next event.Event, where Environment) event.Event {
	brief := related(next, a.UsedTo, next.Use.Seen != nil && a.sees(where))
	n := len(lacking)
	if n == 0 || a.Outdated() && !slices.ContainsFunc(lacking, isRelated) {
		return brief
	}
	last := lacking[n-1].Sequence
	at := event.Found{Event: brief, Sequence: last + 1}
	all, alone := a.Knowing(append(slices.Clip(lacking), at)...), a.Knowing(at)
	if a.UsedTo <= last && !slices.ContainsFunc(lacking, a.unknown) &&
		reflect.DeepEqual(all.Credentials, alone.Credentials) && reflect.DeepEqual(all.Environments, alone.Environments) {
		return brief
	}
	return related(next, last, false)
}

// isRelated reports whether a login was left to be taken up from the log. Those of earlier versions never were.
func isRelated(login event.Found) bool { return login.Use != nil && login.Use.After != nil }

// unknown reports whether a login was made with a passkey that the account does not have: it may have been created since.
func (a *Account) unknown(login event.Found) bool {
	return !slices.ContainsFunc(a.Credentials, func(c Credential) bool { return string(c.ID) == login.Credential })
}

// MayLack reports whether a login that was related to the account can be left to be taken up from the log: it says all that the logins
// before it say, tells nothing new of its environment, and ends no count of wrong codes.
func (a *Account) MayLack(login event.Found) bool {
	if seen := login.Use.Seen; seen != nil && !seen.Same {
		return false
	}
	return *login.Use.After == a.UsedTo && login.Sequence > a.UsedTo && a.WrongCodes == 0 && !a.Outdated()
}

// related returns a login that says what it needs, and of its environment no more than that it is the same, if it is.
func related(login event.Event, after uint64, same bool) event.Event {
	use := *login.Use
	use.After = &after
	if same {
		use.Seen = &event.Seen{Same: true}
	}
	login.Use = &use
	return login
}

// sees reports whether an environment is as the account knows it, but for the time.
func (a *Account) sees(where Environment) bool {
	known := a.environment(where.ID)
	if known == nil {
		return false
	}
	was := *known
	was.LastSeenMs = where.LastSeenMs
	return where.after(*known) == was
}
