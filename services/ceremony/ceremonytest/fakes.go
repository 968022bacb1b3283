package ceremonytest

import (
	"context"
	"errors"
	"maps"
	"net"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/keyward/keyward/api/rest"
	"github.com/keyward/keyward/core/event"
	"github.com/keyward/keyward/core/eventlog"
	"github.com/keyward/keyward/core/fault"
	"github.com/keyward/keyward/core/ident"
	"github.com/keyward/keyward/core/project"
	"github.com/keyward/keyward/core/service"
	"github.com/keyward/keyward/services/ceremony/ceremonytest/ledger"
	"github.com/keyward/keyward/services/ceremony/delivery"
)

// Projects is the registry of projects.
type Projects struct {
	mu    sync.Mutex
	known map[ident.ProjectID]project.Project
}

// Find implements ceremony.Projects.
func (p *Projects) Find(_ context.Context, id ident.ProjectID) (project.Project, error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if found, ok := p.known[id]; ok {
		return found, nil
	}
	return project.Project{}, project.ErrUnknown
}

// All implements ceremony.Projects.
func (p *Projects) All() []project.Project {
	p.mu.Lock()
	defer p.mu.Unlock()
	return slices.Collect(maps.Values(p.known))
}

// DNS has TXT records.
type DNS map[string][]string

// LookupTXT implements directory.DNS.
func (d DNS) LookupTXT(_ context.Context, name string) ([]string, error) {
	if found, ok := d[name]; ok {
		return found, nil
	}
	return nil, &net.DNSError{Err: "no such host", Name: name, IsNotFound: true}
}

// Change implements ceremony.Projects.
func (p *Projects) Change(_ context.Context, id ident.ProjectID, change func(*project.Project) error) error {
	p.mu.Lock()
	defer p.mu.Unlock()
	found, ok := p.known[id]
	if !ok {
		return fault.Unknown("id")
	}
	if err := change(&found); err != nil {
		return err
	}
	p.known[id] = found
	return nil
}

// Set adds a project, or replaces it.
func (p *Projects) Set(changed project.Project) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.known[changed.ID] = changed
}

// Clock stands still until a test advances it.
type Clock struct {
	mu  sync.Mutex
	now time.Time
}

// Now returns the time.
func (c *Clock) Now() time.Time {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.now
}

// Advance puts the clock forward.
func (c *Clock) Advance(d time.Duration) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.now = c.now.Add(d)
}

// Names knows one AAGUID.
type Names struct{}

// PhoneAAGUID is the model that Names knows, and that of Phone.
const PhoneAAGUID = "fbfc3007-154e-4ecc-8c0b-6e020557d7bd"

// Name implements ceremony.AAGUIDs.
func (Names) Name(aaguid string) string {
	if aaguid == PhoneAAGUID {
		return "Apple Passwords"
	}
	return ""
}

// PasswordManager implements ceremony.AAGUIDs.
func (Names) PasswordManager(aaguid string) bool { return aaguid == ManagerAAGUID }

// ManagerAAGUID is the model that Names says is a password manager.
const ManagerAAGUID = "fdb141b2-5d84-443e-8a35-4698c205a502"

// Events is a log in memory, with failures on demand; what login offers carry is in the stream.
type Events struct {
	Mu       sync.Mutex
	log      []event.Event
	ledger   ledger.Ledger // the same, with sequences
	Offers   *eventlog.Log // of login offers with what they carry
	failures int           // how many calls to come find the log unavailable
	Calls    int
	Erased   []ident.UserID
	OnErase  func()
	Reported []service.ForUser[service.AuthReport]                   // what CreateAuthEvent was called with
	OnCreate func(service.ForUser[rest.PasskeyEventCreateReq]) error // nil: nobody calls Create
}

func (e *Events) fail() error {
	e.Calls++
	if e.failures > 0 {
		e.failures--
		return fault.Unavailable(time.Second, "the log is away")
	}
	return nil
}

// Append implements service.Events.
func (e *Events) Append(_ context.Context, added event.Event) (service.Appended, error) {
	e.Mu.Lock()
	defer e.Mu.Unlock()
	if err := e.fail(); err != nil {
		return service.Appended{}, err
	}
	if !e.ledger.Has(added.ID) {
		e.ledger.Put(added, "")
		e.log = append(e.log, added)
	}
	return service.Appended{Sequence: e.ledger.Last}, nil
}

// Conclude implements service.Events.
func (e *Events) Conclude(_ context.Context, c service.Conclusion) (service.Concluded, error) {
	e.Mu.Lock()
	defer e.Mu.Unlock()
	if err := e.fail(); err != nil {
		return service.Concluded{}, err
	}
	before := e.ledger.Last
	done := e.ledger.Conclude(c)
	if e.ledger.Last > before {
		e.log = append(e.log, c.Event)
	}
	return done, nil
}

// Recent implements ceremony.Positions. However long ago they were, all events are recent.
func (e *Events) Recent(
	_ context.Context, project ident.ProjectID, user ident.UserID, _ eventlog.Span, types ...event.Type,
) (eventlog.Recent, error) {
	e.Mu.Lock()
	defer e.Mu.Unlock()
	return e.ledger.Recent(project, user, types...), nil
}

// Newest implements ceremony.Positions, as if all events were one user's.
func (e *Events) Newest(context.Context, ident.ProjectID, ident.UserID) (uint64, time.Time, error) {
	e.Mu.Lock()
	defer e.Mu.Unlock()
	if err := e.fail(); err != nil {
		return 0, time.Time{}, err
	}
	if len(e.log) == 0 {
		return 0, time.Time{}, nil
	}
	return e.ledger.Last, time.UnixMilli(e.log[len(e.log)-1].CreatedMs), nil
}

// PublishOffer implements ceremony.Offers.
func (e *Events) PublishOffer(ctx context.Context, offer event.Event) error {
	_, err := e.Append(ctx, offer)
	return err
}

// PublishPending implements ceremony.Offers.
func (e *Events) PublishPending(ctx context.Context, offer event.Offer) error {
	if _, err := e.Append(ctx, offer.Event); err != nil {
		return err
	}
	return e.Offers.PublishPending(ctx, offer)
}

// Pending implements ceremony.Offers.
func (e *Events) Pending(ctx context.Context, project ident.ProjectID, user ident.UserID, challenge string) ([]event.Offer, error) {
	return e.Offers.Pending(ctx, project, user, challenge)
}

// Erase implements service.Events.
func (e *Events) Erase(ctx context.Context, req service.ForUser[service.Empty]) (service.Empty, error) {
	e.Mu.Lock()
	defer e.Mu.Unlock()
	if e.OnErase != nil {
		e.OnErase()
	}
	if err := e.fail(); err != nil {
		return service.Empty{}, err
	}
	e.Erased = append(e.Erased, req.User)
	e.log = slices.DeleteFunc(e.log, func(one event.Event) bool { return one.Project == req.Project && one.User == req.User })
	e.ledger.Erase(req.Project, req.User)
	return service.Empty{}, e.Offers.Erase(ctx, req.Project, req.User)
}

var errElsewhere = errors.New("ceremonies do not call this")

// Create implements service.Events.
func (e *Events) Create(_ context.Context, req service.ForUser[rest.PasskeyEventCreateReq]) (rest.PasskeyEvent, error) {
	if e.OnCreate == nil {
		return rest.PasskeyEvent{}, errElsewhere
	}
	return rest.PasskeyEvent{}, e.OnCreate(req)
}

// CreateAuthEvent implements service.Events.
func (e *Events) CreateAuthEvent(_ context.Context, req service.ForUser[service.AuthReport]) (rest.AuthEvent, error) {
	e.Mu.Lock()
	defer e.Mu.Unlock()
	e.Reported = append(e.Reported, req)
	return rest.AuthEvent{UserID: string(req.User), EventType: req.Body.EventType}, nil
}

// List implements service.Events: on the first page all that the user's decisions are made from, newest first, as far as rooms look at it.
func (e *Events) List(_ context.Context, req service.ForUser[service.EventList]) (rest.PasskeyEventList, error) {
	var list rest.PasskeyEventList
	for _, one := range slices.Backward(e.All()) {
		if environment := string(one.Environment); req.Body.Page == 1 && one.Project == req.Project && one.User == req.User {
			list.PasskeyEvents = append(list.PasskeyEvents, rest.PasskeyEvent{EventType: string(one.Type), ClientEnvID: &environment})
		}
	}
	return list, nil
}

// Delete implements service.Events.
func (e *Events) Delete(context.Context, service.ForUser[ident.EventID]) (service.Empty, error) {
	return service.Empty{}, errElsewhere
}

// Everything returns what the log holds, in the order it came.
func (e *Events) Everything() []event.Event {
	e.Mu.Lock()
	defer e.Mu.Unlock()
	return append([]event.Event(nil), e.log...)
}

// All returns the events of ceremonies.
func (e *Events) All() []event.Event {
	return slices.DeleteFunc(e.Everything(), func(one event.Event) bool { return one.Type.OfAccount() })
}

// Told returns the events that tell of a user's account.
func (e *Events) Told(user ident.UserID) []event.Event {
	return slices.DeleteFunc(e.Everything(), func(one event.Event) bool { return !one.Type.OfAccount() || one.User != user })
}

// OfType returns the events of a type.
func (e *Events) OfType(t event.Type) []event.Event {
	var found []event.Event
	for _, candidate := range e.Everything() {
		if candidate.Type == t {
			found = append(found, candidate)
		}
	}
	return found
}

// FailNext lets a number of calls to come find the log unavailable.
func (e *Events) FailNext(n int) {
	e.Mu.Lock()
	defer e.Mu.Unlock()
	e.failures = n
}

// Courier keeps what it is to deliver, and fails as it is told.
type Courier struct {
	mu       sync.Mutex
	Messages []delivery.Message
	Fail     func(delivery.Message) error // nil: everything is taken
}

// Deliver implements codes.Delivery.
func (c *Courier) Deliver(_ context.Context, m delivery.Message) error {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.Fail != nil {
		if err := c.Fail(m); err != nil {
			return err
		}
	}
	c.Messages = append(c.Messages, m)
	return nil
}

// Last returns what was delivered last.
func (c *Courier) Last() delivery.Message {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.Messages[len(c.Messages)-1]
}

// Buffer is a log that several goroutines may write to.
type Buffer struct {
	mu   sync.Mutex
	text strings.Builder
}

// Write implements io.Writer.
func (b *Buffer) Write(p []byte) (int, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.text.Write(p)
}

// String returns what was written.
func (b *Buffer) String() string {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.text.String()
}

// Inbox waits until a number of messages has been delivered, since a login does not, and returns the last.
func (c *Courier) Inbox(tb testing.TB, n int) delivery.Message {
	tb.Helper()
	deadline := time.NewTimer(time.Minute)
	defer deadline.Stop()
	poll := time.NewTicker(time.Millisecond)
	defer poll.Stop()
	for {
		c.mu.Lock()
		messages := c.Messages
		c.mu.Unlock()
		if len(messages) > n {
			tb.Fatalf("%d messages were delivered, want %d", len(messages), n)
		}
		if len(messages) == n {
			return messages[n-1]
		}
		select {
		case <-deadline.C:
			tb.Fatalf("%d messages were not delivered", n)
		case <-poll.C:
		}
	}
}
