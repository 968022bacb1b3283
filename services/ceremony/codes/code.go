package codes

import (
	"context"
	"crypto/rand"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"time"
	"unicode"

	"golang.org/x/net/idna"

	"github.com/keyward/keyward/api/rest"
	"github.com/keyward/keyward/core/account"
	"github.com/keyward/keyward/core/event"
	"github.com/keyward/keyward/core/fault"
	"github.com/keyward/keyward/core/ident"
	"github.com/keyward/keyward/core/project"
	"github.com/keyward/keyward/core/reqctx"
	"github.com/keyward/keyward/core/service"
	"github.com/keyward/keyward/core/sighting"
	"github.com/keyward/keyward/services/ceremony/delivery"
	"github.com/keyward/keyward/services/ceremony/directory"
	"github.com/keyward/keyward/services/ceremony/internal/code"
	"github.com/keyward/keyward/services/ceremony/internal/tenant"
)

// Delivery brings one-time codes and links to users. delivery.Courier is one.
type Delivery interface {
	Deliver(context.Context, delivery.Message) error
}

// Bounds of a one-time code.
const (
	Lifetime        = 5 * time.Minute
	minCodeLifetime = 30 * time.Second
	maxCodeLifetime = 24 * time.Hour
	maxMetadata     = 8 << 10 // bytes of JSON
	maxRedirectURL  = 2048    // bytes
	MaxSends        = 1000    // the time of each is kept
)

// Whoever was right about a value stores its effect within verifyLimit or not at all; another may not try before verifyHold is over. What
// lies between is how far the clocks of two instances may be apart.
const (
	VerifyHold  = 90 * time.Second
	verifyLimit = 20 * time.Second
	undoLimit   = 5 * time.Second
)

const (
	fieldCode         = "challengeID"
	fieldCodeType     = "challengeType"
	FieldCodeValue    = "value"
	fieldCodeLifetime = "lifetimeSeconds"
	fieldMetadata     = "challengeMetadata"
	fieldRedirect     = "challengeMetadata.redirectUrl"
	redirectKey       = "redirectUrl"
)

// CreateCode implements service.Codes. When it has returned without error, the delivery has taken the code or link. After an error it
// cannot be used, even if it has reached the user, unless the store is away at that moment too.
func (s *Service) CreateCode(ctx context.Context, req service.ForUser[rest.ChallengeCreateReq]) (rsp rest.Challenge, err error) {
	defer func() { s.codeCalls.Called("create", err) }()
	p, err := tenant.Of(ctx, s.projects, req.Project)
	if err != nil {
		return rest.Challenge{}, err
	}
	lifetime, err := checkCodeRequest(req.Body)
	if err != nil {
		return rest.Challenge{}, err
	}
	target, err := LinkTarget(p, req.Body)
	if err != nil {
		return rest.Challenge{}, err
	}
	a, _, err := s.accounts.Get(ctx, req.Project, req.User)
	if err != nil {
		return rest.Challenge{}, err
	}
	to := a.Identifier(identifierTypeOf(req.Body.ChallengeType), req.Body.IdentifierValue)
	if to == nil {
		return rest.Challenge{}, fault.Unknown(directory.FieldIdentifier)
	}
	stepUp, err := s.stepUpOf(ctx, req, to)
	if err != nil {
		return rest.Challenge{}, err
	}
	now := s.now()
	m := delivery.Message{
		Project: req.Project, User: req.User, StepUp: stepUp, ID: reqctx.Seed(ctx).CodeID(), Type: req.Body.ChallengeType, Sender: SenderName(p),
		To:      to.Value,
		Expires: now.Add(lifetime), Lifetime: lifetime,
	}
	if req.Body.ChallengeMetadata != nil {
		m.Metadata = *req.Body.ChallengeMetadata
	}
	if m.Value, err = code.Draw(m.Type); err != nil {
		return rest.Challenge{}, fault.Internal(err)
	}
	if target != nil {
		m.Link = link(target, m.ID, m.Value)
	}
	if err := s.Send(ctx, p, to.ID, m, now); err != nil {
		return rest.Challenge{}, err
	}
	return rest.Challenge{
		ChallengeID: string(m.ID), Type: m.Type, IdentifierValue: to.Value, Value: m.Value, Expires: m.Expires.Unix(),
		Status: rest.ChallengeStatusPending,
	}, nil
}

// Send counts the message, stores what is kept of it and delivers it. If it is not delivered, it is forgotten; if it certainly has not
// reached anybody, it is not counted either.
func (s *Service) Send(ctx context.Context, p project.Project, to ident.IdentifierID, m delivery.Message, now time.Time) error {
	ref := code.Ref{Project: m.Project, User: m.User, ID: m.ID}
	if s.limits.Sends.On() {
		wait, err := s.codes.Send(ctx, ref, to, s.limits.Sends, now)
		if err != nil {
			return err
		}
		if wait > 0 {
			return tooManyCodes(wait)
		}
	}
	e := code.Entry{
		Type: m.Type, Purpose: code.Purpose(m.Purpose), Identifier: to, StepUp: m.StepUp,
		CreatedMs: now.UnixMilli(), ExpiresMs: m.Expires.UnixMilli(),
	}
	e.Seal(p.Ring, ref, m.Value)
	err := s.codes.Put(ctx, ref, e)
	if errors.Is(err, code.ErrUsed) {
		err = fault.Conflict(fieldCode, directory.MessageTaken)
	} else if err == nil {
		if err = s.delivery.Deliver(ctx, m); err == nil {
			return nil
		}
		Undo(ctx, s.log, "forget a challenge that was not delivered", func(ctx context.Context) error { return s.codes.Remove(ctx, ref) })
	}
	if s.limits.Sends.On() && !delivery.Uncertain(err) {
		Undo(ctx, s.log, "take back the count of a challenge", func(ctx context.Context) error { return s.codes.Unsend(ctx, ref, to, now) })
	}
	return err
}

// TooManyGuesses refuses to look at a code.
func TooManyGuesses(wait time.Duration) error {
	return &fault.Fault{
		Type: fault.TypeRateLimited, Status: http.StatusTooManyRequests, RetryAfter: max(wait, time.Second),
		Details: "too many wrong codes; this one was not looked at",
	}
}

func tooManyCodes(wait time.Duration) error {
	return &fault.Fault{
		Type: fault.TypeRateLimited, Status: http.StatusTooManyRequests, RetryAfter: max(wait, time.Second),
		Details: "too many codes and links have been sent to this identifier",
	}
}

// checkCodeRequest reports every field at fault and returns the lifetime.
func checkCodeRequest(body rest.ChallengeCreateReq) (time.Duration, error) {
	var wrong []fault.FieldError
	complain := func(field, format string, args ...any) {
		wrong = append(wrong, fault.FieldError{Field: field, Message: fmt.Sprintf(format, args...)})
	}
	switch {
	case body.ChallengeType == "":
		complain(fieldCodeType, "cannot be blank")
	case !body.ChallengeType.Valid():
		complain(fieldCodeType, "must be a valid value")
	}
	if strings.TrimSpace(body.IdentifierValue) == "" {
		complain(directory.FieldIdentifier, "cannot be blank")
	}
	lifetime := Lifetime
	if body.LifetimeSeconds != nil {
		lifetime = time.Duration(*body.LifetimeSeconds) * time.Second
		if lifetime < minCodeLifetime || lifetime > maxCodeLifetime {
			complain(fieldCodeLifetime, "must be between %d and %d", int(minCodeLifetime.Seconds()), int(maxCodeLifetime.Seconds()))
		}
	}
	if body.ChallengeMetadata != nil {
		if raw, err := json.Marshal(*body.ChallengeMetadata); err != nil || len(raw) > maxMetadata {
			complain(fieldMetadata, "must be at most %d bytes long", maxMetadata)
		}
	}
	if len(wrong) > 0 {
		return 0, fault.Fields(wrong...)
	}
	return lifetime, nil
}

func identifierTypeOf(t rest.ChallengeType) account.IdentifierType {
	if t == rest.ChallengeTypeSmsOtp {
		return account.IdentifierTypePhone
	}
	return account.IdentifierTypeEmail
}

func SenderName(p project.Project) string {
	for _, name := range []string{p.RPName, p.Name} {
		if name != "" {
			return name
		}
	}
	return p.RPID
}

// LinkTarget returns where a link leads to: the redirectUrl of the metadata, or the first origin of the project that is a website's. For
// codes it returns nil.
func LinkTarget(p project.Project, body rest.ChallengeCreateReq) (*url.URL, error) {
	if body.ChallengeType != rest.ChallengeTypeEmailLink {
		return nil, nil
	}
	var given any
	if body.ChallengeMetadata != nil {
		given = (*body.ChallengeMetadata)[redirectKey]
	}
	if given == nil {
		for _, origin := range p.Origins {
			if u, err := url.Parse(origin); err == nil && WebOrigin(u) != "" {
				return u, nil
			}
		}
		return nil, fault.Field(fieldRedirect, "cannot be blank, since the project has no origin of a website")
	}
	text, ok := given.(string)
	u, err := url.Parse(text)
	if !ok || err != nil || WebOrigin(u) == "" || u.User != nil || len(text) > maxRedirectURL {
		return nil, fault.Field(fieldRedirect, "must be an absolute URL of http or https")
	}
	if !MayLead(p, u) {
		return nil, fault.Field(fieldRedirect, "must have an origin of the project, or https and one of its hosts")
	}
	return u, nil
}

// MayLead reports whether a link of the project's may lead to a URL: to an origin of the project, or to a host that it lists, with TLS at
// the usual port.
func MayLead(p project.Project, u *url.URL) bool {
	listed := slices.ContainsFunc(p.Origins, func(origin string) bool {
		known, err := url.Parse(origin)
		return err == nil && WebOrigin(known) == WebOrigin(u)
	})
	host, tls := strings.CutPrefix(WebOrigin(u), "https://")
	return listed || tls && !strings.Contains(host, ":") && p.HasHost(host)
}

// WebOrigin returns the origin of a URL as RFC 6454 §6.2 writes it, or "" if it is none of http or https.
func WebOrigin(u *url.URL) string {
	ports := map[string]string{"https": "443", "http": "80"}
	usual, ok := ports[u.Scheme]
	if !ok || u.Hostname() == "" || u.Opaque != "" {
		return ""
	}
	host, ok := browserHost(u.Hostname())
	if !ok {
		return ""
	}
	origin := u.Scheme + "://" + host
	if port := u.Port(); port != "" && port != usual {
		origin += ":" + port
	}
	return origin
}

// browserHost returns the host that a browser goes to. Small letters are not enough beyond ASCII: there, what resembles a host is another.
func browserHost(host string) (string, bool) {
	if !strings.ContainsFunc(host, func(r rune) bool { return r > unicode.MaxASCII }) {
		return strings.ToLower(host), true
	}
	ascii, err := idna.Lookup.ToASCII(host)
	return ascii, err == nil
}

// link returns the target with the challenge and its token, which replace parameters of the same names.
func link(target *url.URL, id ident.CodeID, token string) string {
	u := *target
	query := u.Query()
	query.Set(fieldCode, string(id))
	query.Set("token", token)
	u.RawQuery = query.Encode()
	if u.Path == "" {
		u.Path = "/"
	}
	return u.String()
}

// CheckCode implements service.Codes. A value is right once. When it has returned without error, the identifier is verified; if it could
// not be stored, the value can be given again.
func (s *Service) CheckCode(ctx context.Context, req service.ForUser[service.CodeCheck]) (rsp rest.Challenge, err error) {
	defer func() { s.codeCalls.Called("check", err) }()
	p, err := tenant.Of(ctx, s.projects, req.Project)
	if err != nil {
		return rest.Challenge{}, err
	}
	if _, err := ident.ParseCodeID(string(req.Body.ID)); err != nil {
		return rest.Challenge{}, fault.Unknown(fieldCode)
	}
	if req.Body.Value == "" {
		return rest.Challenge{}, fault.Field(FieldCodeValue, "cannot be blank")
	}
	a, _, err := s.accounts.Get(ctx, req.Project, req.User)
	if err != nil {
		return rest.Challenge{}, err
	}
	c := check{
		ref:     code.Ref{Project: req.Project, User: req.User, ID: req.Body.ID},
		attempt: code.Attempt{Keys: p.Ring, Value: req.Body.Value, Now: s.now(), Hold: VerifyHold},
		by:      rand.Text(),
		namer:   p.Namer(),
	}
	entry, identifier, err := s.guess(ctx, c, a)
	if err != nil && errors.Is(err, code.ErrWrong) {
		err = s.countAgainst(ctx, c.ref, entry, err)
	}
	if err != nil {
		return rest.Challenge{}, codeFault(err)
	}
	if !entry.Completed {
		if err := s.complete(ctx, c, entry); err != nil {
			return rest.Challenge{}, codeFault(err)
		}
	}
	return rest.Challenge{
		ChallengeID: string(req.Body.ID), Type: entry.Type, IdentifierValue: identifier.Value, Value: req.Body.Value,
		Expires: entry.ExpiresMs / int64(time.Second/time.Millisecond), Status: rest.ChallengeStatusCompleted,
	}, nil
}

// check is a value that is being checked.
type check struct {
	ref     code.Ref
	attempt code.Attempt
	by      string // tells this call from others
	namer   *sighting.Namer
}

// guess is try, counted against the account. What is not wrong but of no use, such as a code that has expired, counts for nothing.
func (s *Service) guess(ctx context.Context, c check, a account.Account) (code.Entry, account.Identifier, error) {
	if s.limits.Stops(&a) {
		return code.Entry{}, account.Identifier{}, Stopped()
	}
	who := code.Account(c.ref.Project, c.ref.User)
	wait, err := s.codes.Charge(ctx, who, s.limits.Guesses, c.attempt.Now)
	if err == nil && wait > 0 {
		err = TooManyGuesses(wait)
	}
	if err != nil {
		return code.Entry{}, account.Identifier{}, err
	}
	entry, identifier, err := s.try(ctx, c, a)
	switch {
	case errors.Is(err, code.ErrWrong):
		failed := s.outbox.NewEvent(c.ref.Project, c.ref.User, event.LoginCodeFailed)
		failed.Sighted = c.namer.Name(string(c.ref.User), "", "") // a caller says nothing of where it was given
		counted, uncounted := s.limits.CountWrong(ctx, s.accounts, failed)
		if uncounted != nil {
			return code.Entry{}, account.Identifier{}, uncounted
		}
		if untold := s.outbox.Announce(ctx, counted); untold != nil {
			s.log.WarnContext(ctx, "a wrong code is not told yet", "project", c.ref.Project, "user", c.ref.User, "error", untold)
		}
	case !s.limits.Guesses.On():
	case err != nil:
		Undo(ctx, s.log, "take back the count of a wrong code", func(ctx context.Context) error { return s.codes.Refund(ctx, who) })
	default:
		Undo(ctx, s.log, "forget wrong codes after a right one", func(ctx context.Context) error {
			return errors.Join(s.codes.Acquit(ctx, who), Forgive(ctx, s.accounts, &a))
		})
	}
	return entry, identifier, err
}

// try counts the attempt. A right value whose identifier is verified already is completed; otherwise it is claimed.
func (s *Service) try(ctx context.Context, c check, a account.Account) (entry code.Entry, identifier account.Identifier, err error) {
	err = s.codes.Change(ctx, c.ref, func(e *code.Entry) error {
		i := directory.IdentifierAt(&a, e.Identifier)
		if i < 0 && e.Purpose == c.attempt.Purpose {
			// The identifier was taken from the user since.
			return code.ErrExpired
		}
		attempt := c.attempt
		if i >= 0 {
			identifier = a.Identifiers[i]
		}
		if identifier.Status == account.IdentifierStatusPending || e.StepUp != "" {
			attempt.By = c.by
		}
		err := e.Try(c.ref, attempt)
		entry = *e
		return err
	})
	return entry, identifier, err
}

// errVerified reports that there is nothing to change.
var errVerified = errors.New("verified already")

// complete verifies the identifier, or passes the step-up, and completes the challenge, in this order: the one who claimed it
// is alone with it.
func (s *Service) complete(ctx context.Context, c check, entry code.Entry) error {
	limited, cancel := context.WithTimeout(ctx, verifyLimit)
	defer cancel()
	verify := s.verify
	if entry.StepUp != "" {
		verify = s.passStepUp
	}
	err := verify(limited, c.ref, entry)
	if err == nil || errors.Is(err, errVerified) {
		if err = s.codes.Change(limited, c.ref, func(e *code.Entry) error { return e.Complete(c.by) }); err == nil {
			return nil
		}
	}
	Undo(ctx, s.log, "give back a right value whose effect was not stored", func(ctx context.Context) error {
		return s.codes.Change(ctx, c.ref, func(e *code.Entry) error { return e.Release(c.by) })
	})
	return err
}

// verify verifies the identifier that a code was sent to.
func (s *Service) verify(ctx context.Context, ref code.Ref, entry code.Entry) error {
	_, err := s.outbox.Change(ctx, s.outbox.NewEvent(ref.Project, ref.User, event.UserUpdated), func(a *account.Account) error {
		i := directory.IdentifierAt(a, entry.Identifier)
		switch {
		case i < 0:
			return code.ErrExpired
		case a.Identifiers[i].Status != account.IdentifierStatusPending:
			return errVerified
		}
		a.Identifiers[i].Status = account.IdentifierStatusVerified
		return nil
	})
	return err
}

// codeFault turns what became of an attempt into a fault of its field. Other errors pass.
func codeFault(err error) error {
	var refusal *fault.Refusal
	switch {
	case errors.Is(err, code.ErrUnknown):
		return fault.Unknown(fieldCode)
	case errors.As(err, &refusal):
		return fault.Field(FieldCodeValue, "%s", refusal)
	}
	return err
}

// Undo takes something back although the call may have no time left.
func Undo(ctx context.Context, log *slog.Logger, what string, do func(context.Context) error) {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), undoLimit)
	defer cancel()
	if err := do(ctx); err != nil {
		log.WarnContext(ctx, "could not "+what, "error", err)
	}
}
