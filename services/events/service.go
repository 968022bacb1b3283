// Package events is the events service: it appends passkey events to the log and projects them into the cache, lists them and deletes them.
// It touches what core/eventlog touches, and reads accounts. core/service/remote carries it over the bus.
package events

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"slices"
	"sync"
	"time"

	"github.com/nats-io/nats.go/jetstream"
	"github.com/prometheus/client_golang/prometheus"

	"github.com/keyward/keyward/api/rest"
	"github.com/keyward/keyward/core/account"
	"github.com/keyward/keyward/core/address"
	"github.com/keyward/keyward/core/event"
	"github.com/keyward/keyward/core/eventlog"
	"github.com/keyward/keyward/core/fault"
	"github.com/keyward/keyward/core/ident"
	"github.com/keyward/keyward/core/ratelimit"
	"github.com/keyward/keyward/core/reqctx"
	"github.com/keyward/keyward/core/service"
	"github.com/keyward/keyward/core/sighting"
	"github.com/keyward/keyward/services/events/internal/admissible"
	"github.com/keyward/keyward/services/events/internal/turn"
)

// Accounts tells whether a user exists. account.Store does; for an unknown user it answers the fault "userID: does not exist".
type Accounts interface {
	// Present returns the account without what logins say that only the log has.
	Present(ctx context.Context, project ident.ProjectID, user ident.UserID) (account.Account, error)
	Get(ctx context.Context, project ident.ProjectID, user ident.UserID) (account.Account, uint64, error)
}

// Deps is what the service needs. All but Unproven and SweepAfter are required.
type Deps struct {
	Accounts  Accounts
	Store     *eventlog.Store
	JetStream jetstream.JetStream // with the streams of webhooks
	Clock     func() time.Time
	Log       *slog.Logger
	Addresses address.Form // how much of clients' addresses events keep

	Metrics prometheus.Registerer

	// Unproven is how much is recorded of a user of what comes of who has proven nothing, of each kind, within how long: see budget. Zero is
	// no limit.
	Unproven   ratelimit.Limit
	SweepAfter time.Duration // how long after a user's deletion it is erased what calls left that were under way; 0 = DefaultSweepAfter
}

// Service implements service.Events. It is safe for concurrent use.
type Service struct {
	deps     Deps
	budget   budget
	turns    turn.Turns
	withheld *prometheus.CounterVec // by kind
}

var _ service.Events = (*Service)(nil)

// New returns the service.
func New(deps Deps) (*Service, error) {
	deps.SweepAfter = cmp.Or(deps.SweepAfter, DefaultSweepAfter)
	s := &Service{deps: deps, budget: budget(deps.Unproven), withheld: newWithheld()}
	if err := deps.Metrics.Register(s.withheld); err != nil {
		return nil, fmt.Errorf("register metrics: %w", err)
	}
	return s, nil
}

// pause is how long the service waits before it tries again what it does by itself.
const pause = time.Second

// Run withdraws the cache entries that an earlier instance may have left behind half written, erases what deleted users' last calls left,
// and returns when ctx ends. The service works without it, and before it has done so.
func (s *Service) Run(ctx context.Context) {
	var running sync.WaitGroup
	defer running.Wait()
	running.Go(func() { s.sweep(ctx) })
	for {
		err := s.deps.Store.DistrustAll(ctx)
		if err == nil || ctx.Err() != nil {
			return
		}
		s.deps.Log.Warn("old cache entries could not be withdrawn yet", "error", err)
		select {
		case <-ctx.Done():
			return
		case <-time.After(pause):
		}
	}
}

// Create implements service.Events. The event is joined to the offer it answers by what the user's history holds at this moment. Of what
// is told without a proof so much is recorded of a user, and the rest refused: see budget.
func (s *Service) Create(ctx context.Context, req service.ForUser[rest.PasskeyEventCreateReq]) (rest.PasskeyEvent, error) {
	now := s.deps.Clock()
	if err := admissible.Check(req.Body, now); err != nil {
		return rest.PasskeyEvent{}, err
	}
	a, err := s.deps.Accounts.Present(ctx, req.Project, req.User)
	if err != nil {
		return rest.PasskeyEvent{}, err
	}
	if made, ok, err := s.madeBefore(ctx, req.Project, req.User); err != nil || ok {
		return onWire(made), err
	}
	e := event.Event{
		Project:     req.Project,
		User:        req.User,
		Type:        event.Type(req.Body.EventType),
		CreatedMs:   now.UnixMilli(),
		Expires:     value(req.Body.Expires),
		Proven:      admissible.Unproven(req.Body),
		Process:     value(req.Body.ProcessID),
		Environment: ident.EnvironmentID(value(req.Body.ClientEnvID)),
		Credential:  value(req.Body.CredentialID),
		Challenge:   event.Canonical(value(req.Body.Challenge)),
	}
	if err := s.checkEnvironment(ctx, a, e); err != nil {
		return rest.PasskeyEvent{}, err
	}
	if e.Unproven() {
		leave, err := s.mayTell(ctx, e)
		if err != nil {
			return rest.PasskeyEvent{}, err
		}
		defer leave()
	}
	if e, err = s.join(ctx, e); err != nil {
		return rest.PasskeyEvent{}, err
	}
	if e.ID, err = s.store(ctx, e); err != nil {
		return rest.PasskeyEvent{}, err
	}
	return onWire(e), nil
}

// checkEnvironment refuses an environment that is none of the user's: an event would have an effect in it and nowhere else, so in none.
// Known are those of the account, and those that the user's offers and events name. A process that was begun in a new one may name it
// first.
func (s *Service) checkEnvironment(ctx context.Context, a account.Account, e event.Event) error {
	if e.Environment == "" || slices.ContainsFunc(a.Environments, func(known account.Environment) bool { return known.ID == e.Environment }) {
		return nil
	}
	offers, err := s.deps.Store.Offers(ctx, e.Project, e.User, string(e.Environment), e.Process)
	if err != nil {
		return err
	}
	events, err := s.live(ctx, e.Project, e.User)
	if err != nil {
		return err
	}
	elsewhere := false
	for _, known := range slices.Concat(offers, events) {
		if known.Environment == e.Environment {
			return nil
		}
		elsewhere = elsewhere || known.Environment != "" && known.Process == e.Process
	}
	if e.Process != "" && !elsewhere && e.Type.FromClients() {
		return nil
	}
	return fault.Field("clientEnvID", "the user has no client environment %s", e.Environment)
}

// join reads only what an event of the type can belong to.
func (s *Service) join(ctx context.Context, e event.Event) (event.Event, error) {
	var known []event.Event
	var err error
	switch {
	case e.Ceremony != "":
		return e, nil
	case e.Type.AnswersLogin():
		known, err = s.deps.Store.Offers(ctx, e.Project, e.User, e.Challenge, event.Canonical(e.Challenge), e.Process)
	case e.Type.AnswersAppend():
		known, err = s.live(ctx, e.Project, e.User)
	case e.OtherMeans():
		known, err = s.underWay(ctx, e.Project, e.User)
	}
	if err != nil {
		return event.Event{}, err
	}
	return event.Join(e, known), nil
}

// underWay returns what tells which login offer a user may have left: offers, and what became of them.
func (s *Service) underWay(ctx context.Context, project ident.ProjectID, user ident.UserID) ([]event.Event, error) {
	offers, err := s.deps.Store.Offers(ctx, project, user)
	if err != nil || len(offers) == 0 {
		return nil, err
	}
	answers, err := s.live(ctx, project, user)
	return append(offers, answers...), err
}

func (s *Service) live(ctx context.Context, project ident.ProjectID, user ident.UserID) ([]event.Event, error) {
	events, err := s.deps.Store.Events(ctx, project, user)
	if err != nil {
		return nil, err
	}
	return event.NewSet(events).Live(), nil
}

// madeBefore returns the event that an earlier attempt of this call has appended. Only a call that may be a repeat looks for one.
func (s *Service) madeBefore(ctx context.Context, project ident.ProjectID, user ident.UserID) (event.Event, bool, error) {
	seed := reqctx.Seed(ctx)
	if seed == "" {
		return event.Event{}, false, nil
	}
	events, err := s.deps.Store.Events(ctx, project, user)
	if err != nil {
		return event.Event{}, false, err
	}
	id := seed.EventID()
	for _, e := range events {
		if e.ID == id {
			return e, true, nil
		}
	}
	return event.Event{}, false, nil
}

// store appends e under a new ID. An ID that the log has seen is another event's, so the next one is drawn; but one that comes of the
// call's seed is the call's own, and what the log has seen under it is e.
func (s *Service) store(ctx context.Context, e event.Event) (ident.EventID, error) {
	if seed := reqctx.Seed(ctx); seed != "" {
		e.ID = seed.EventID()
		_, err := s.deps.Store.Append(ctx, e)
		return e.ID, err
	}
	const attempts = 3
	for range attempts {
		e.ID = ident.NewEventID()
		receipt, err := s.deps.Store.Append(ctx, e)
		if err != nil {
			return "", err
		}
		if !receipt.Duplicate {
			return e.ID, nil
		}
	}
	return "", fault.Unavailable(time.Second, "no free event ID was found")
}

// Append implements service.Events. Login offers and denials go where a power cut may lose the last of them; all others are on disk. Of two
// events with one ID the first is kept; one that tells of the account may be there twice if it is repeated after minutes. Of refused logins
// so many are recorded of a user, and the others withheld: see budget.
func (s *Service) Append(ctx context.Context, e event.Event) (service.Appended, error) {
	switch {
	case e.Type.Observed():
		return service.Appended{}, s.deps.Store.PublishOffer(ctx, e)
	case e.Type.OfAccount():
		receipt, err := s.deps.Store.Append(ctx, e)
		return service.Appended{Sequence: receipt.Sequence}, err
	case !e.Type.Known(), e.Type == event.Deleted:
		return service.Appended{}, fault.Field("type", "%q cannot be appended", e.Type)
	}
	if kindOf(&e) != "" {
		leave, err := s.turns.Take(ctx, string(e.Project)+"/"+string(e.User))
		if err != nil {
			return service.Appended{}, err
		}
		defer leave()
	}
	// The log itself remembers IDs for two minutes only.
	events, err := s.deps.Store.Events(ctx, e.Project, e.User)
	if err != nil {
		return service.Appended{}, err
	}
	for _, known := range events {
		if known.ID == e.ID {
			sequence, _, err := s.deps.Store.Newest(ctx, e.Project, e.User)
			return service.Appended{Sequence: sequence}, err
		}
	}
	if full := s.budget.full(e, events, nobodys); full > 0 {
		s.withhold(ctx, e, events)
		return service.Appended{Withheld: true}, nil
	}
	if e, err = s.join(ctx, e); err != nil {
		return service.Appended{}, err
	}
	receipt, err := s.deps.Store.Append(ctx, e)
	return service.Appended{Sequence: receipt.Sequence}, err
}

// Conclude implements service.Events. What ends a login says what its offer said, so that it is joined to none.
func (s *Service) Conclude(ctx context.Context, c service.Conclusion) (service.Concluded, error) {
	if c.Event.Type != event.LoginCompleted {
		return service.Concluded{}, fault.Field("type", "%q ends no login", c.Event.Type)
	}
	receipt, err := s.deps.Store.Conclude(ctx, c.Event, c.After, c.Attempt)
	switch {
	case errors.Is(err, eventlog.ErrMoved):
		return service.Concluded{Moved: true}, nil
	case errors.Is(err, eventlog.ErrConcluded):
		return service.Concluded{Ended: true}, nil
	}
	return service.Concluded{Sequence: receipt.Sequence}, err
}

// Delete implements service.Events. What the engine recorded of its own offers and ceremonies cannot be deleted.
func (s *Service) Delete(ctx context.Context, req service.ForUser[ident.EventID]) (service.Empty, error) {
	if _, err := s.deps.Accounts.Present(ctx, req.Project, req.User); err != nil {
		return service.Empty{}, err
	}
	events, err := s.deps.Store.Events(ctx, req.Project, req.User)
	if err != nil {
		return service.Empty{}, err
	}
	e, found := event.NewSet(events).Find(req.Body)
	if !found {
		return service.Empty{}, fault.Unknown("passkeyEventID")
	}
	if !e.Type.OnWire() {
		return service.Empty{}, fault.Field("passkeyEventID", "is a record of the engine's own and cannot be deleted")
	}
	deletion := event.Event{Project: req.Project, User: req.User, Type: event.Deleted, CreatedMs: s.deps.Clock().UnixMilli(), Deletes: e.ID}
	_, err = s.store(ctx, deletion)
	return service.Empty{}, err
}

// CreateAuthEvent implements service.Events.
func (s *Service) CreateAuthEvent(ctx context.Context, req service.ForUser[service.AuthReport]) (rest.AuthEvent, error) {
	types := map[rest.AuthEventType]event.Type{
		rest.AuthEventTypeSignUp:          event.AuthSignUp,
		rest.AuthEventTypeLogin:           event.AuthLogin,
		rest.AuthEventTypeNewPasskeyAdded: event.AuthPasskeyAdded,
	}
	if _, err := s.deps.Accounts.Present(ctx, req.Project, req.User); err != nil {
		return rest.AuthEvent{}, err
	}
	e := event.Event{
		Project: req.Project, User: req.User, Type: types[req.Body.EventType], CreatedMs: s.deps.Clock().UnixMilli(),
		Auth:   &event.Auth{Username: req.Body.Username, Method: event.AuthMethod(req.Body.Method), Status: event.AuthStatus(req.Body.Status)},
		Client: &event.Client{},
	}
	e.Client.Address, _ = s.deps.Addresses.Keep(req.Body.ClientInformation.RemoteAddress)
	if sighting.Counts(e.Type) {
		e.Sighted = req.Body.Sighted
	}
	if e.Type == "" {
		return rest.AuthEvent{}, fault.Field("eventType", "is no type of auth event")
	}
	if joined, err := s.join(ctx, e); err == nil { // else it is told all the same: which offer was left for it, reports alone count
		e = joined
	}
	var err error
	if e.ID, err = s.store(ctx, e); err != nil {
		return rest.AuthEvent{}, err
	}
	return rest.AuthEvent{
		AuthEventID: string(e.ID), UserID: string(e.User), Username: req.Body.Username, EventType: req.Body.EventType, Method: req.Body.Method,
		Status: req.Body.Status, Created: account.Timestamp(e.CreatedMs), CreatedMs: e.CreatedMs,
	}, nil
}

func value[T any](p *T) T {
	if p == nil {
		var zero T
		return zero
	}
	return *p
}
