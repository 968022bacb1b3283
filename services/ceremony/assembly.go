package ceremony

import (
	"context"
	"sync"

	"github.com/keyward/keyward/core/account"
	"github.com/keyward/keyward/core/address"
	"github.com/keyward/keyward/services/ceremony/challenges"
	"github.com/keyward/keyward/services/ceremony/codes"
	"github.com/keyward/keyward/services/ceremony/connect"
	"github.com/keyward/keyward/services/ceremony/desk"
	"github.com/keyward/keyward/services/ceremony/directory"
	"github.com/keyward/keyward/services/ceremony/environments"
	"github.com/keyward/keyward/services/ceremony/evaluation"
	"github.com/keyward/keyward/services/ceremony/internal/attestation"
	"github.com/keyward/keyward/services/ceremony/internal/challenge"
	"github.com/keyward/keyward/services/ceremony/internal/code"
	"github.com/keyward/keyward/services/ceremony/internal/connecttoken"
	"github.com/keyward/keyward/services/ceremony/internal/credindex"
	"github.com/keyward/keyward/services/ceremony/internal/folding"
	"github.com/keyward/keyward/services/ceremony/internal/identindex"
	"github.com/keyward/keyward/services/ceremony/internal/metrics"
	"github.com/keyward/keyward/services/ceremony/internal/outbox"
	"github.com/keyward/keyward/services/ceremony/internal/process"
	"github.com/keyward/keyward/services/ceremony/internal/recheck"
	"github.com/keyward/keyward/services/ceremony/internal/session"
	"github.com/keyward/keyward/services/ceremony/internal/stepup"
	"github.com/keyward/keyward/services/ceremony/labelling"
	"github.com/keyward/keyward/services/ceremony/me"
	"github.com/keyward/keyward/services/ceremony/passkeys"
	"github.com/keyward/keyward/services/ceremony/processes"
	"github.com/keyward/keyward/services/ceremony/registrations"
	"github.com/keyward/keyward/services/ceremony/sessions"
	"github.com/keyward/keyward/services/ceremony/signin"
	"github.com/keyward/keyward/services/ceremony/stepups"
)

// stores are where the rooms keep what they are about. Several rooms work with one.
type stores struct {
	challenges *challenge.Store
	index      *credindex.Store
	names      *identindex.Store
	sessions   *session.Store
	tokens     *connecttoken.Store
	codes      *code.Store
	processes  *process.Store
	stepUps    *stepup.Store
	statements *attestation.Store
	outbox     *outbox.Store
}

func newStores(d Deps, m metrics.Metrics) stores {
	told := outbox.New(outbox.Deps{Accounts: d.Accounts, Events: d.Events, Now: d.Now, Log: d.Log, Metrics: m.Outbox})
	return stores{
		challenges: challenge.NewStore(challenge.Places{
			Records: d.Challenges, Marks: d.Marks, Offers: d.Offers, Log: d.Positions, Ends: told, Keep: d.ChallengeMaxAge,
			Forgetful: d.EventsForgotten,
		}),
		index:      credindex.NewStore(d.Index),
		names:      identindex.NewStore(d.Names),
		sessions:   session.NewStore(d.Sessions, d.SessionIDs),
		tokens:     connecttoken.NewStore(d.Tokens),
		codes:      code.NewStore(d.Codes, d.Nobodies),
		processes:  process.NewStore(d.Processes),
		stepUps:    stepup.NewStore(d.StepUps),
		statements: attestation.NewStore(d.Attested, d.Metadata),
		outbox:     told,
	}
}

// forget are the steps by which a deletion removes what the rooms keep of a user.
func (s stores) forget() []directory.Forget {
	return []directory.Forget{
		func(ctx context.Context, a account.Account) error { return s.challenges.Erase(ctx, a.Project, a.ID) },
		func(ctx context.Context, a account.Account) error { return s.sessions.EraseUser(ctx, a.Project, a.ID) },
		connect.ForgetTokens(s.tokens),
		func(ctx context.Context, a account.Account) error { return s.processes.Erase(ctx, a.Project, a.ID) },
		func(ctx context.Context, a account.Account) error { return s.codes.Erase(ctx, a.Project, a.ID) },
		func(ctx context.Context, a account.Account) error { return s.stepUps.Erase(ctx, a.Project, a.ID) },
		func(ctx context.Context, a account.Account) error { return s.statements.Erase(ctx, a.Project, a.ID) },
	}
}

// assemble makes the rooms, lower ones first: each is given those that it calls.
func assemble(cfg Config, d Deps, m metrics.Metrics) *Service {
	st := newStores(d, m)
	s := &Service{
		environmentsRoom: environments.New(environments.Deps{
			Projects: d.Projects, Accounts: d.Accounts, Outbox: st.outbox, Events: d.Events,
			MaxAge: cfg.HandleMaxAge, Handles: m.Handles, Now: d.Now,
		}),
		sessionsRoom: sessions.New(sessions.Deps{
			Config: sessions.Config{
				Lifetime: cfg.SessionLifetime, Inactivity: cfg.SessionInactivity, TokenLifetime: cfg.ShortSessionLifetime,
				FrontendURL: cfg.FrontendURL,
			},
			Projects: d.Projects, Accounts: d.Accounts, Sessions: st.sessions, Signing: d.Signing, Spent: d.Spent, Lists: d.Lists,
			Verified: m.Verified, Now: d.Now, Log: d.Log,
		}),
		labellingRoom:  labelling.New(d.Accounts, st.outbox, d.Decision),
		challengesRoom: challenges.New(d.Accounts, st.challenges, d.Now),
		directoryRoom: directory.New(directory.Deps{
			Projects: d.Projects, Accounts: d.Accounts, Index: st.index, Names: st.names, Outbox: st.outbox, Lists: d.Lists,
			Statements: st.statements,
			HostProof:  cfg.HostProof, DNS: d.DNS,
			Events: d.Events, Unfinished: d.Unfinished, Forget: st.forget(), Repaired: m.Repaired, Now: d.Now, Log: d.Log,
		}),
	}
	s.stepUpsRoom = stepups.New(stepups.Deps{
		Projects: d.Projects, Accounts: d.Accounts, StepUps: st.stepUps, Challenges: st.challenges, Index: st.index, Outbox: st.outbox,
		Statements: st.statements, Signer: s.sessionsRoom, Vouching: d.Decision, MaxPasskeys: cfg.MaxPasskeys, Counted: m.StepUps,
		Now: d.Now, Log: d.Log,
	})
	s.evaluationRoom = evaluation.New(evaluation.Deps{
		Projects: d.Projects, Accounts: d.Accounts, Directory: s.directoryRoom, Environments: s.environmentsRoom, Decision: d.Decision,
		StepUps: s.stepUpsRoom, Records: d.Records, Log: d.Positions, Told: st.outbox, Now: d.Now,
	})
	s.codesRoom = codes.New(codes.Deps{
		Projects: d.Projects, Accounts: d.Accounts, Codes: st.codes, Outbox: st.outbox, Delivery: d.Delivery, StepUps: s.stepUpsRoom,
		Limits: cfg.codeLimits(d.Audit), Calls: m.Codes, Now: d.Now, Log: d.Log,
	})
	begun := processes.New(processes.Deps{
		Projects: d.Projects, Processes: st.processes, Environments: s.environmentsRoom, Now: d.Now,
	})
	s.passkeysRoom = passkeys.New(passkeys.Deps{
		Projects: d.Projects, Accounts: d.Accounts, Challenges: st.challenges, Index: st.index, Outbox: st.outbox,
		Statements: st.statements, Environments: s.environmentsRoom, Signer: s.sessionsRoom, Decision: d.Decision, Offers: d.Offers,
		AAGUIDs: d.AAGUIDs,
		Proofs:  s.stepUpsRoom, Calls: m.Calls, Metrics: m.Passkeys, Now: d.Now, Log: d.Log,
		ChallengeTTL: cfg.ChallengeTTL, UserVerification: cfg.UserVerification, MaxPasskeys: cfg.MaxPasskeys,
		LookupTimeout: cfg.LookupTimeout, Addresses: address.Form(cfg.AddressStorage),
	})
	s.registrationsRoom = registrations.New(registrations.Deps{
		Projects: d.Projects, Accounts: d.Accounts, Challenges: st.challenges, Codes: st.codes, Outbox: st.outbox,
		Passkeys: s.passkeysRoom, Sender: s.codesRoom, Positions: d.Positions, AAGUIDs: d.AAGUIDs,
		Calls: m.Calls, CodeCalls: m.Codes, Now: d.Now, Log: d.Log,
	})
	s.signinRoom = signin.New(signin.Deps{
		Projects: d.Projects, Accounts: d.Accounts, Codes: st.codes, Stored: st.processes, Outbox: st.outbox, Delivery: d.Delivery,
		Passkeys: s.passkeysRoom, Directory: s.directoryRoom, Sessions: s.sessionsRoom, Processes: begun,
		Environments: s.environmentsRoom, Decision: d.Decision, Events: d.Events,
		Limits: cfg.codeLimits(d.Audit), ChallengeTTL: cfg.ChallengeTTL, Now: d.Now, Log: d.Log,
	})
	s.connectRoom = connect.New(connect.Deps{
		Projects: d.Projects, Accounts: d.Accounts, Stored: st.processes, Tokens: st.tokens, Outbox: st.outbox,
		Passkeys: s.passkeysRoom, Directory: s.directoryRoom, Sessions: s.sessionsRoom, Processes: begun,
		Environments: s.environmentsRoom, Decision: d.Decision, Events: d.Events, Lists: d.Lists,
		ChallengeTTL: cfg.ChallengeTTL, Calls: m.Calls, Metrics: m.Connect, Now: d.Now,
	})
	s.meRoom = me.New(me.Deps{
		Projects: d.Projects, Accounts: d.Accounts, Passkeys: s.passkeysRoom, Directory: s.directoryRoom,
		Sessions: s.sessionsRoom, Codes: s.codesRoom, Sent: st.codes,
	})
	s.deskRoom = desk.New(desk.Deps{
		Projects: d.Projects, Accounts: d.Accounts, Index: st.index, Users: s.directoryRoom, Sessions: s.sessionsRoom,
		Labels: s.labellingRoom, Passkeys: s.passkeysRoom, Events: d.Events, Standings: d.Standings, Audit: d.Acts, Now: d.Now,
	})
	s.outbox = st.outbox
	s.recheck = recheck.New(recheck.Deps{
		Models: d.Metadata, Projects: d.Projects, Accounts: d.Accounts, Log: st.outbox, Bucket: d.Attested, Now: d.Now, Logger: d.Log,
	})
	if d.Logins != nil {
		s.folder = folding.New(folding.Deps{Accounts: d.Accounts, Log: d.Logins, Bucket: d.Folded, Now: d.Now, Logger: d.Log})
	}
	return s
}

// Run brings to its end what calls have begun and could not finish: events that are in no log yet and deletions of users. It does so at
// once and then every few seconds, until ctx ends; and it stores in accounts what logins say, and tells of passkeys of whose authenticators
// something else is said than before. The service works without it, while events
// are not too old to be kept.
func (s *Service) Run(ctx context.Context) error {
	defer s.signinRoom.Wait()
	var behind sync.WaitGroup
	defer behind.Wait()
	behind.Go(func() { s.outbox.Run(ctx) })
	if s.folder != nil {
		behind.Go(func() { s.folder.Run(ctx) })
	}
	behind.Go(func() { s.recheck.Run(ctx) })
	return s.directoryRoom.Run(ctx)
}
