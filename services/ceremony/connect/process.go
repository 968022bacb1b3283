package connect

import (
	"context"
	"crypto/hmac"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"time"

	"golang.org/x/sync/errgroup"

	"github.com/keyward/keyward/api/frontend"
	"github.com/keyward/keyward/core/account"
	"github.com/keyward/keyward/core/fault"
	"github.com/keyward/keyward/core/ident"
	"github.com/keyward/keyward/core/keyring"
	"github.com/keyward/keyward/core/project"
	"github.com/keyward/keyward/core/service"
	"github.com/keyward/keyward/services/ceremony/environments"
	"github.com/keyward/keyward/services/ceremony/internal/process"
	"github.com/keyward/keyward/services/ceremony/internal/refusal"
	"github.com/keyward/keyward/services/ceremony/internal/tenant"
	"github.com/keyward/keyward/services/ceremony/processes"
)

// connectState is what a Connect process knows besides its user.
type connectState struct {
	// As the client said when it began the process, or took it up again.
	Situation  string            `json:"situation,omitempty"`
	Invitation string            `json:"invitation,omitempty"`
	Flags      map[string]string `json:"flags,omitempty"`

	// Of the user, if there is one. What was typed for somebody who does not exist is not kept: nobody could have it erased.
	Identifier     string                 `json:"identifier,omitempty"`
	IdentifierType account.IdentifierType `json:"identifierType,omitempty"`
	AppendToken    ident.ConnectTokenID   `json:"appendToken,omitempty"` // to be spent when the passkey is created

	// Context is what the backend has said in the token that the login or the creation was begun with.
	Context json.RawMessage `json:"context,omitempty"`

	// Named counts how often somebody was named. It makes each time a write, also when the process stays nobody's.
	Named int `json:"named,omitempty"`
	// Told says that the client has been told that there is such a user: it was given options, or a backend vouches for the user. Before
	// that, nothing that the client can call may depend on whether there is one.
	Told bool `json:"told,omitempty"`
	// Proven says that the client has shown to be the user's: by a passkey, or because a backend vouches for the user.
	Proven bool `json:"proven,omitempty"`
	// Given is the login that was offered last, which a client may tell of before it has proven anything.
	Given *process.Given `json:"given,omitempty"`
}

func connectStateOf(p process.Process) (connectState, error) {
	var st connectState
	if err := json.Unmarshal(p.State, &st); err != nil {
		return connectState{}, fault.Internal(fmt.Errorf("decode the state of a Connect process: %w", err))
	}
	return st, nil
}

// connectBegun is a process that begins, or is taken up again, and whether passkeys are switched on for its client.
type connectBegun struct {
	processes.Begun
	project project.Project
	verdict service.Verdict
}

// beginConnect begins a process, or takes up the one that the client is in: web-core has one process for a login, the creation of a passkey
// after it and the list of passkeys.
func (s *Service) beginConnect(ctx context.Context, req service.ForVisit[frontend.ConnectInitReq], action string) (connectBegun, error) {
	p, err := tenant.Of(ctx, s.projects, req.Project)
	if err != nil {
		return connectBegun{}, err
	}
	said := connectState{Situation: text(req.Body.Situation), Invitation: text(req.Body.InvitationToken), Flags: req.Body.Flags}
	made, err := s.resumeConnect(ctx, p, req, said)
	if errors.Is(err, process.ErrUnknown) {
		made, err = s.processes.Begin(ctx, p, req.Visit, process.Connect, req.Body.ClientInformation, said)
	}
	if err != nil {
		return connectBegun{}, err
	}
	question := service.Question{Project: p.ID, Client: made.Process.Client, Environment: made.Visit.Environment, Process: made.Process.ID}
	verdict, err := s.rollout(ctx, question, made.Process, action, "")
	return connectBegun{Begun: made, project: p, verdict: verdict}, err
}

// resumeConnect takes up the process that the client is in. What the client says of itself now counts; its user stays.
func (s *Service) resumeConnect(
	ctx context.Context, p project.Project, req service.ForVisit[frontend.ConnectInitReq], said connectState,
) (processes.Begun, error) {
	if req.Process == "" {
		return processes.Begun{}, process.ErrUnknown
	}
	found, err := s.stored.Get(ctx, p.ID, process.Connect, req.Process, s.now())
	if err != nil {
		return processes.Begun{}, err
	}
	client := environments.ClientOf(req.Visit, req.Body.ClientInformation)
	lost := client.ClientEnvHandle == nil && found.Client.ClientEnvHandle != nil
	if lost {
		client.ClientEnvHandle = found.Client.ClientEnvHandle
	}
	seen, err := s.environments.Visit(p, client)
	if err != nil {
		return processes.Begun{}, err
	}
	if seen.Issued != nil {
		client.ClientEnvHandle = seen.Issued
	} else if lost && !seen.Private {
		seen.Issued = client.ClientEnvHandle
	}
	now := s.now()
	resumed, err := s.stored.Update(ctx, p.ID, process.Connect, req.Process, now, func(pr *process.Process) error {
		pr.Client, pr.ExpiresMs = client, now.Add(processes.Lifetime).UnixMilli()
		return change(pr, func(st *connectState) {
			st.Flags = said.Flags
			if said.Situation != "" {
				st.Situation = said.Situation
			}
			if said.Invitation != "" {
				st.Invitation = said.Invitation
			}
		})
	})
	return processes.Begun{Process: resumed, Token: req.Process, NewHandle: seen.Issued, Visit: seen}, err
}

func text(p *string) string {
	if p == nil {
		return ""
	}
	return *p
}

// change changes the state of a process.
func change(pr *process.Process, by func(*connectState)) error {
	st, err := connectStateOf(*pr)
	if err != nil {
		return err
	}
	by(&st)
	if pr.State, err = json.Marshal(st); err != nil {
		return fmt.Errorf("encode the state of a Connect process: %w", err)
	}
	return nil
}

// rollout asks whether passkeys are switched on, for an identifier if one is named.
func (s *Service) rollout(ctx context.Context, q service.Question, of process.Process, action, identifier string) (service.Verdict, error) {
	st, err := connectStateOf(of)
	if err != nil {
		return service.Verdict{}, err
	}
	return s.decision.Rollout(
		ctx, service.RolloutQuestion{Question: q, Action: action, Identifier: identifier, Invitation: st.Invitation, Flags: st.Flags},
	)
}

// expiresAt returns when a process ends, in Unix seconds.
func expiresAt(p process.Process) int64 { return time.UnixMilli(p.ExpiresMs).Unix() }

// connectCall is a call in a Connect process.
type connectCall struct {
	project project.Project
	process process.Process
	state   connectState
	visit   service.Visit
}

// connectCall returns the process that a call is in. Unknown, expired and other kinds of processes are the fault process_not_available.
func (s *Service) connectCall(ctx context.Context, v service.Visit) (connectCall, error) {
	p, found, err := s.processes.Of(ctx, v, process.Connect)
	if err != nil {
		return connectCall{}, err
	}
	st, err := connectStateOf(found)
	return connectCall{project: p, process: found, state: st, visit: v}, err
}

// named is whom an identifier names.
type named struct {
	account account.Account // the decoy's, if there is no such user
	kind    account.IdentifierType
	known   bool
	pending bool // there is a user with the identifier, who has not verified it
}

// name makes a process that of the user whom an identifier names, or of nobody, and returns the user as it is since.
//
// Whether there is such a user must not show in how long this takes. So for somebody who does not exist there is a decoy: an account that
// is empty and active, under an ID that is derived from the identifier, so that what is kept in memory of a user who was asked for before
// is kept of the decoy as well. The same calls are made for both: the identifier is looked up as every type that it may be of, then an
// account is read, the process is written, and the account is read once more, since a deletion that looked for processes before this one
// was written would leave it behind. What follows, the decision and its record, is the same too. More is done only where an index entry
// leads to somebody who does not have the identifier, or has not verified it, while another has it as another type. What remains is that
// there is less to read of nobody: an account, and what the log has of a user when the first decision on it is made, which together take a
// fraction of a millisecond.
func (s *Service) name(ctx context.Context, c *connectCall, identifier string, by func(*connectState)) (named, error) {
	who, err := s.find(ctx, c.project, identifier)
	if err != nil {
		return named{}, err
	}
	if err := s.assign(ctx, c, who, identifier, by); err != nil {
		return named{}, err
	}
	again, _, err := s.accounts.Get(ctx, c.project.ID, who.account.ID)
	switch {
	case !who.known && (err == nil || errors.Is(err, account.ErrUnknown)):
		return who, nil
	case errors.Is(err, account.ErrUnknown):
		who = nobody(c.project, identifier)
		return who, s.assign(ctx, c, who, identifier, by)
	case err != nil:
		return named{}, err
	}
	who.account = again
	return who, nil
}

// assign writes whom a process is of.
func (s *Service) assign(ctx context.Context, c *connectCall, who named, identifier string, by func(*connectState)) error {
	updated, err := s.stored.Update(ctx, c.project.ID, process.Connect, c.visit.Process, s.now(), func(pr *process.Process) error {
		pr.User = ""
		if who.known {
			pr.User = who.account.ID
		}
		return change(pr, func(st *connectState) {
			*st = connectState{Situation: st.Situation, Invitation: st.Invitation, Flags: st.Flags, Named: st.Named + 1}
			if who.known {
				st.Identifier, st.IdentifierType = identifier, who.kind
			}
			if by != nil {
				by(st)
			}
		})
	})
	if err != nil {
		return err
	}
	c.process = updated
	c.state, err = connectStateOf(updated)
	return err
}

// find returns whom an identifier names. A user who has not verified it is not named by it: anybody may have entered it.
func (s *Service) find(ctx context.Context, p project.Project, identifier string) (named, error) {
	who := nobody(p, identifier)
	owners, err := s.owners(ctx, p.ID, identifier)
	if err != nil {
		return named{}, err
	}
	read := false
	for i, kind := range identifierTypes() {
		if owners[i] == "" {
			continue
		}
		a, _, err := s.accounts.Get(ctx, p.ID, owners[i])
		if err != nil && !errors.Is(err, account.ErrUnknown) {
			return named{}, err
		}
		read = true
		id := a.Identifier(kind, identifier)
		if id == nil {
			continue
		}
		if id.Status != account.IdentifierStatusPending {
			return named{account: a, kind: kind, known: true}, nil
		}
		who.pending = true
	}
	if read {
		return who, nil
	}
	if _, _, err := s.accounts.Get(ctx, p.ID, who.account.ID); err != nil && !errors.Is(err, account.ErrUnknown) {
		return named{}, err
	}
	return who, nil
}

// identifierTypes are what an identifier without a type may be, in the order in which they are tried.
func identifierTypes() [3]account.IdentifierType {
	return [...]account.IdentifierType{account.IdentifierTypeEmail, account.IdentifierTypePhone, account.IdentifierTypeUsername}
}

// owners returns who has reserved an identifier, by type; whether they have it only they can tell.
func (s *Service) owners(ctx context.Context, project ident.ProjectID, identifier string) (owners [3]ident.UserID, err error) {
	group, ctx := errgroup.WithContext(ctx)
	for i, kind := range identifierTypes() {
		group.Go(func() error {
			var err error
			owners[i], err = s.directory.Owner(ctx, project, kind, identifier)
			return err
		})
	}
	return owners, group.Wait()
}

// nobody is what an identifier names that no user has.
func nobody(p project.Project, identifier string) named {
	mac := hmac.New(sha256.New, p.Ring.Newest(keyring.DecoyUser).Secret)
	mac.Write([]byte("decoy of " + account.IdentifierKey(account.IdentifierTypeEmail, identifier)))
	id := ident.Seed(hex.EncodeToString(mac.Sum(nil))).UserID()
	return named{account: account.Account{Project: p.ID, ID: id, Status: account.StatusActive}}
}

// noteOf notes something of the user, unless the process has become another's meanwhile.
func (s *Service) noteOf(ctx context.Context, c connectCall, user ident.UserID, by func(*connectState)) error {
	_, err := s.stored.Update(ctx, c.project.ID, process.Connect, c.visit.Process, s.now(), func(pr *process.Process) error {
		if pr.User != user {
			return nil
		}
		return change(pr, by)
	})
	return err
}

// orphaned makes of the fault that a user does not exist the fault that there is no process: a process goes with its user, and this one was
// written too late for that.
func (s *Service) orphaned(ctx context.Context, c connectCall, err error) error {
	if !errors.Is(err, account.ErrUnknown) {
		return err
	}
	gone := s.stored.Delete(ctx, c.project.ID, process.Connect, c.visit.Process, s.now())
	if gone != nil && !errors.Is(gone, process.ErrUnknown) {
		return gone
	}
	return process.ErrUnknown
}

// ofAnswer makes a fault of the user, whom the client has not named in this call, one of the field that carried the authenticator's answer.
func ofAnswer(field string, err error) error {
	if errors.Is(err, account.ErrInactive) {
		f := fault.As(fault.At(field, refusal.OwnerFault(err)))
		f.Signals = fault.As(err).Signals
		return f
	}
	return err
}
