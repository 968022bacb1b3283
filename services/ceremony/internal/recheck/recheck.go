// Package recheck tells of passkeys of whose authenticator's model something else is said than before: that it was revoked, say. Nobody
// waits for it, and nothing rests on it: decisions work out by themselves what has become of a model. It promises that each change is told
// of once, whichever instance looks and however often it is interrupted, and that nothing is told where nothing is said against a model,
// nor was. It reads the accounts of all projects, but only if something has changed, and keeps in the bucket "attestations" what it went by
// last.
package recheck

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"reflect"
	"strconv"
	"strings"
	"time"

	"github.com/nats-io/nats.go/jetstream"
	"golang.org/x/sync/errgroup"

	"github.com/keyward/keyward/core/account"
	"github.com/keyward/keyward/core/event"
	"github.com/keyward/keyward/core/ident"
	"github.com/keyward/keyward/core/kv"
	"github.com/keyward/keyward/core/metadata"
	"github.com/keyward/keyward/core/project"
	"github.com/keyward/keyward/core/service"
)

const (
	keptAs   = "status"         // of no user
	pause    = time.Minute      // until it is looked again whether something has changed
	limit    = 30 * time.Minute // that a pass may take before another instance begins one
	atOnce   = 256              // events that are appended at a time: the log flushes once for all that wait
	schemaNo = 1
)

// Models is what is known of models of authenticators. core/metadata.Keeper is one.
type Models interface {
	Now() *metadata.Snapshot
}

// Projects are those that there are.
type Projects interface {
	All() []project.Project
}

// Accounts are those of users. core/account.Store is one.
type Accounts interface {
	All(ctx context.Context, project ident.ProjectID, visit func(account.Account) bool) error
	Present(ctx context.Context, project ident.ProjectID, user ident.UserID) (account.Account, error)
}

// Log takes events, of one ID once.
type Log interface {
	Append(ctx context.Context, e event.Event) (service.Appended, error)
}

// Deps is what a checker works with. All fields are required.
type Deps struct {
	Models   Models
	Projects Projects
	Accounts Accounts
	Log      Log
	Bucket   jetstream.KeyValue // bus.AttestationsBucket
	Now      func() time.Time
	Logger   *slog.Logger
}

// Checker tells of what has changed.
type Checker struct {
	deps Deps
	last kv.Bucket[judged]
}

// judged is what all passkeys were gone through by, last.
type judged struct {
	Schema  int              `json:"schema"`
	Number  int              `json:"number"` // of the metadata
	At      time.Time        `json:"at"`
	Reports metadata.Reports `json:"reports"`
	Busy    time.Time        `json:"busy,omitzero"` // until when an instance goes through them anew
}

// New returns a checker.
func New(d Deps) *Checker {
	return &Checker{deps: d, last: kv.Bucket[judged]{KV: d.Bucket, Name: "status of authenticators"}}
}

// Run looks whether something has changed until ctx ends.
func (c *Checker) Run(ctx context.Context) {
	for {
		if err := c.Check(ctx); err != nil && ctx.Err() == nil {
			c.deps.Logger.WarnContext(ctx, "what has become of authenticators could not be told of all passkeys yet", "error", err)
		}
		select {
		case <-ctx.Done():
			return
		case <-time.After(pause):
		}
	}
}

// Check goes through all passkeys if something else is said of a model than when they were gone through last, be it in other metadata or
// because a day has come. The first metadata is compared with nothing.
func (c *Checker) Check(ctx context.Context) error {
	said := c.deps.Models.Now()
	if said == nil {
		return nil
	}
	now := judged{Schema: schemaNo, Number: said.Number, At: c.deps.Now(), Reports: said.Reports()}
	e, err := c.last.Get(ctx, keptAs)
	if errors.Is(err, kv.ErrNotFound) {
		return c.begin(ctx, now)
	}
	if err != nil {
		return fmt.Errorf("read what was said before: %w", err)
	}
	last := e.Value
	if said.Number < last.Number || now.At.Before(last.Busy) {
		return nil // another instance has newer metadata, or is at it
	}
	changed := last.changed(&now)
	if len(changed) == 0 && said.Number == last.Number {
		return nil
	}
	claim := last
	claim.Busy = now.At.Add(limit)
	revision, err := c.last.Update(ctx, keptAs, claim, e.Revision)
	if errors.Is(err, kv.ErrConflict) {
		return nil // another instance was first
	}
	if err != nil {
		return fmt.Errorf("begin to go through all passkeys: %w", err)
	}
	p := pass{Checker: c, before: &last, now: &now, changed: changed}
	if err := p.run(ctx); err != nil {
		_, gaveUp := c.last.Update(context.WithoutCancel(ctx), keptAs, last, revision)
		return errors.Join(err, gaveUp)
	}
	if _, err := c.last.Update(ctx, keptAs, now, revision); err != nil {
		return fmt.Errorf("note that all passkeys have been gone through: %w", err)
	}
	c.deps.Logger.InfoContext(ctx, "passkeys were gone through for what has become of their authenticators",
		"number", now.Number, "models", len(changed), "told", p.told)
	return nil
}

func (c *Checker) begin(ctx context.Context, now judged) error {
	if _, err := c.last.Create(ctx, keptAs, now); err != nil && !errors.Is(err, kv.ErrExists) {
		return fmt.Errorf("note what is said: %w", err)
	}
	return nil
}

// changed returns the models of which something else is in effect now.
func (j *judged) changed(now *judged) map[string]bool {
	changed := map[string]bool{}
	for _, reports := range []metadata.Reports{j.Reports, now.Reports} {
		for aaguid := range reports {
			if !reflect.DeepEqual(j.Reports.InEffect(aaguid, j.At), now.Reports.InEffect(aaguid, now.At)) {
				changed[aaguid] = true
			}
		}
	}
	return changed
}

// pass goes through all passkeys once.
type pass struct {
	*Checker
	before, now *judged
	changed     map[string]bool
	told        int
}

func (p *pass) run(ctx context.Context) error {
	if len(p.changed) == 0 {
		return nil
	}
	telling, ctx := errgroup.WithContext(ctx)
	telling.SetLimit(atOnce)
	var err error
	for _, of := range p.deps.Projects.All() {
		err = p.deps.Accounts.All(ctx, of.ID, func(a account.Account) bool {
			for i := range a.Credentials {
				if e, tells := p.tidings(&a, &a.Credentials[i]); tells {
					p.told++
					telling.Go(func() error {
						return p.tell(ctx, e)
					})
				}
			}
			return ctx.Err() == nil
		})
		if err != nil {
			break
		}
	}
	return errors.Join(telling.Wait(), err)
}

// tell tells of a passkey whose user is still there: a pass takes long, and what it appended of somebody who was erased meanwhile nobody
// would erase any more.
func (p *pass) tell(ctx context.Context, e event.Event) error {
	_, err := p.deps.Accounts.Present(ctx, e.Project, e.User)
	if errors.Is(err, account.ErrUnknown) {
		return nil
	}
	if err == nil {
		_, err = p.deps.Log.Append(ctx, e)
	}
	return err
}

// tidings returns what is to be told of a passkey, if anything is.
func (p *pass) tidings(a *account.Account, c *account.Credential) (event.Event, bool) {
	aaguid := strings.ToLower(c.AAGUID)
	if !p.changed[aaguid] {
		return event.Event{}, false
	}
	was, is := p.before.Reports.Of(aaguid, c.Chain(), p.before.At), p.now.Reports.Of(aaguid, c.Chain(), p.now.At)
	if was.Status == is.Status || fine(was.Status) && fine(is.Status) {
		return event.Event{}, false
	}
	seed := strings.Join([]string{
		string(a.Project), string(a.ID), string(c.ID), string(was.Status), string(is.Status), strconv.Itoa(p.now.Number),
		p.before.At.UTC().Format(time.RFC3339Nano),
	}, " ")
	return event.Event{
		ID: ident.Seed(seed).EventID(), Project: a.Project, User: a.ID, Type: event.AuthenticatorStatusChanged,
		CreatedMs: p.now.At.UnixMilli(), Credential: string(c.ID),
		Authenticator: &event.Authenticator{
			AAGUID: aaguid, Before: string(was.Status), Status: string(is.Status), Level: is.Level, Number: p.now.Number,
			Reports: p.now.Reports.Said(aaguid, p.now.At),
		},
	}, true
}

// fine reports whether nothing is said against a model. That something is said at all is no news: there may be millions of its passkeys.
func fine(s metadata.Status) bool { return s == metadata.OK || s == metadata.Unknown }
