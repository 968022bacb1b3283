package ceremony_test

import (
	"context"
	"errors"
	"slices"
	"sync"
	"time"

	"github.com/keyward/keyward/api/rest"
	"github.com/keyward/keyward/core/event"
	"github.com/keyward/keyward/core/eventlog"
	"github.com/keyward/keyward/core/fault"
	"github.com/keyward/keyward/core/ident"
	"github.com/keyward/keyward/core/project"
	"github.com/keyward/keyward/core/service"
	"github.com/keyward/keyward/services/ceremony/delivery"
)

// projects is the registry of projects.
type projects struct {
	mu    sync.Mutex
	known map[ident.ProjectID]project.Project
}

func (p *projects) Lookup(id ident.ProjectID) (project.Project, bool) {
	p.mu.Lock()
	defer p.mu.Unlock()
	found, ok := p.known[id]
	return found, ok
}

func (p *projects) Update(_ context.Context, id ident.ProjectID, change func(*project.Project)) error {
	p.mu.Lock()
	defer p.mu.Unlock()
	found, ok := p.known[id]
	if !ok {
		return fault.Unknown("id")
	}
	change(&found)
	p.known[id] = found
	return nil
}

func (p *projects) set(changed project.Project) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.known[changed.ID] = changed
}

type clock struct {
	mu  sync.Mutex
	now time.Time
}

func (c *clock) Now() time.Time {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.now
}

func (c *clock) advance(d time.Duration) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.now = c.now.Add(d)
}

// names knows one AAGUID.
type names struct{}

const phoneAAGUID = "fbfc3007-154e-4ecc-8c0b-6e020557d7bd"

func (names) Name(aaguid string) string {
	if aaguid == phoneAAGUID {
		return "Apple Passwords"
	}
	return ""
}

func (names) PasswordManager(aaguid string) bool { return aaguid == managerAAGUID }

const managerAAGUID = "fdb141b2-5d84-443e-8a35-4698c205a502"

// decision allows everything, unless a test says otherwise, and remembers what it was asked.
type decision struct {
	mu        sync.Mutex
	login     func(service.LoginQuestion, *service.LoginVerdict)
	append    func(service.AppendQuestion, *service.AppendVerdict)
	mediation func(service.Question, *service.Verdict)
	rollout   func(service.RolloutQuestion, *service.Verdict)
	err       error
	asked     []service.Question
}

func verdict(rule string, tag rest.DecisionTag) service.Verdict {
	return service.Verdict{
		Decision: "dec-4693224802260150919", PolicyRevision: "rev-1", Rule: rule, Allow: true, Tag: tag,
		OS: "macOS", OSVersion: "15", Browser: "Safari", BrowserVersion: "18",
	}
}

func (d *decision) Login(_ context.Context, q service.LoginQuestion) (service.LoginVerdict, error) {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.asked = append(d.asked, q.Question)
	v := service.LoginVerdict{Verdict: verdict("L9", rest.DecisionTagUserPlatformPkHighConfidence), Route: event.Local, Hints: []string{"client-device"}}
	if q.Account != nil {
		for _, c := range q.Account.Credentials {
			v.AllowCredentials = append(v.AllowCredentials, c.ID)
		}
	}
	if d.login != nil {
		d.login(q, &v)
	}
	return v, d.err
}

func (d *decision) Append(_ context.Context, q service.AppendQuestion) (service.AppendVerdict, error) {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.asked = append(d.asked, q.Question)
	v := service.AppendVerdict{
		Verdict: verdict("A13", rest.DecisionTagProcessPkLoginNotOffered), Kind: event.KindDefault, Variant: rest.AppendVariantDefault,
		Attachment: "platform", Hints: []string{"client-device"}, UserVerification: "required",
	}
	if q.Account != nil {
		for _, c := range q.Account.Credentials {
			v.ExcludeCredentials = append(v.ExcludeCredentials, c.ID)
		}
	}
	if d.append != nil {
		d.append(q, &v)
	}
	return v, d.err
}

func (d *decision) Mediation(_ context.Context, q service.Question) (service.Verdict, error) {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.asked = append(d.asked, q)
	v := verdict("M1", "")
	if d.mediation != nil {
		d.mediation(q, &v)
	}
	return v, d.err
}

func (d *decision) Rollout(_ context.Context, q service.RolloutQuestion) (service.Verdict, error) {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.asked = append(d.asked, q.Question)
	v := verdict("R5", service.TagRolloutAllowed)
	if d.rollout != nil {
		d.rollout(q, &v)
	}
	return v, d.err
}

func (d *decision) last() service.Question {
	d.mu.Lock()
	defer d.mu.Unlock()
	return d.asked[len(d.asked)-1]
}

// events is a log in memory, with failures on demand; what login offers carry is in the stream.
type events struct {
	mu       sync.Mutex
	log      []event.Event
	seen     map[ident.EventID]bool
	sequence uint64        // of the newest
	offers   *eventlog.Log // of login offers with what they carry
	failures int           // how many calls to come find the log unavailable
	calls    int
	erased   []ident.UserID
	onErase  func()
	onCreate func(service.ForUser[rest.PasskeyEventCreateReq]) error // nil: nobody calls Create
}

func (e *events) fail() error {
	e.calls++
	if e.failures > 0 {
		e.failures--
		return fault.Unavailable(time.Second, "the log is away")
	}
	return nil
}

func (e *events) Append(_ context.Context, added event.Event) (service.Appended, error) {
	e.mu.Lock()
	defer e.mu.Unlock()
	if err := e.fail(); err != nil {
		return service.Appended{}, err
	}
	// As the log does for two minutes, it takes an ID once, even if the event has been erased since.
	if e.seen[added.ID] {
		return service.Appended{Sequence: e.sequence}, nil
	}
	if e.seen == nil {
		e.seen = make(map[ident.EventID]bool)
	}
	e.seen[added.ID] = true
	e.log = append(e.log, added)
	e.sequence++
	return service.Appended{Sequence: e.sequence}, nil
}

// Newest implements ceremony.Positions, as if all events were one user's.
func (e *events) Newest(context.Context, ident.ProjectID, ident.UserID) (uint64, time.Time, error) {
	e.mu.Lock()
	defer e.mu.Unlock()
	if err := e.fail(); err != nil {
		return 0, time.Time{}, err
	}
	if len(e.log) == 0 {
		return 0, time.Time{}, nil
	}
	return e.sequence, time.UnixMilli(e.log[len(e.log)-1].CreatedMs), nil
}

func (e *events) PublishOffer(ctx context.Context, offer event.Event) error {
	_, err := e.Append(ctx, offer)
	return err
}

func (e *events) PublishPending(ctx context.Context, offer event.Offer) error {
	if _, err := e.Append(ctx, offer.Event); err != nil {
		return err
	}
	return e.offers.PublishPending(ctx, offer)
}

func (e *events) Pending(ctx context.Context, project ident.ProjectID, user ident.UserID, challenge string) ([]event.Offer, error) {
	return e.offers.Pending(ctx, project, user, challenge)
}

func (e *events) Erase(ctx context.Context, req service.ForUser[service.Empty]) (service.Empty, error) {
	e.mu.Lock()
	defer e.mu.Unlock()
	if e.onErase != nil {
		e.onErase()
	}
	if err := e.fail(); err != nil {
		return service.Empty{}, err
	}
	e.erased = append(e.erased, req.User)
	e.log = slices.DeleteFunc(e.log, func(one event.Event) bool { return one.Project == req.Project && one.User == req.User })
	return service.Empty{}, e.offers.Erase(ctx, req.Project, req.User)
}

var errElsewhere = errors.New("ceremonies do not call this")

func (e *events) Create(_ context.Context, req service.ForUser[rest.PasskeyEventCreateReq]) (rest.PasskeyEvent, error) {
	if e.onCreate == nil {
		return rest.PasskeyEvent{}, errElsewhere
	}
	return rest.PasskeyEvent{}, e.onCreate(req)
}

func (e *events) CreateAuthEvent(context.Context, service.ForUser[rest.AuthEventCreateReq]) (rest.AuthEvent, error) {
	return rest.AuthEvent{}, errElsewhere
}

func (e *events) List(context.Context, service.ForUser[service.EventList]) (rest.PasskeyEventList, error) {
	return rest.PasskeyEventList{}, errElsewhere
}

func (e *events) Delete(context.Context, service.ForUser[ident.EventID]) (service.Empty, error) {
	return service.Empty{}, errElsewhere
}

// everything returns what the log holds, in the order it came.
func (e *events) everything() []event.Event {
	e.mu.Lock()
	defer e.mu.Unlock()
	return append([]event.Event(nil), e.log...)
}

// all returns the events of ceremonies.
func (e *events) all() []event.Event {
	return slices.DeleteFunc(e.everything(), func(one event.Event) bool { return one.Type.OfAccount() })
}

// told returns the events that tell of a user's account.
func (e *events) told(user ident.UserID) []event.Event {
	return slices.DeleteFunc(e.everything(), func(one event.Event) bool { return !one.Type.OfAccount() || one.User != user })
}

func (e *events) ofType(t event.Type) []event.Event {
	var found []event.Event
	for _, candidate := range e.everything() {
		if candidate.Type == t {
			found = append(found, candidate)
		}
	}
	return found
}

func (e *events) failNext(n int) {
	e.mu.Lock()
	defer e.mu.Unlock()
	e.failures = n
}

// courier keeps what it is to deliver, and fails as it is told.
type courier struct {
	mu       sync.Mutex
	messages []delivery.Message
	fail     func(delivery.Message) error // nil: everything is taken
}

func (c *courier) Deliver(_ context.Context, m delivery.Message) error {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.fail != nil {
		if err := c.fail(m); err != nil {
			return err
		}
	}
	c.messages = append(c.messages, m)
	return nil
}

func (c *courier) last() delivery.Message {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.messages[len(c.messages)-1]
}
