package ceremony_test

import (
	"context"
	"encoding/json"
	"log/slog"
	"testing"

	"github.com/nats-io/nats.go/jetstream"
	"github.com/prometheus/client_golang/prometheus"

	"github.com/keyward/keyward/core/account"
	"github.com/keyward/keyward/core/bus"
	"github.com/keyward/keyward/core/event"
	"github.com/keyward/keyward/core/ident"
	"github.com/keyward/keyward/core/service"
	"github.com/keyward/keyward/services/ceremony"
	"github.com/keyward/keyward/services/ceremony/ceremonytest"
	"github.com/keyward/keyward/services/ceremony/ceremonytest/authenticator"
)

// BenchmarkLoginStart is the hot path but for the decision. With storage, the account is read and the offer published over embedded NATS.
// Alone, both answer at once; what is left is the service's own work and, apart from it, the decoding of the account.
func BenchmarkLoginStart(b *testing.B) {
	st := ceremonytest.New(b)
	user, d := st.NewUser(b), authenticator.Phone()
	for range 2 {
		st.Enroll(b, user, authenticator.Phone())
	}
	st.Enroll(b, user, d)
	req := st.LoginStartReq(user, d)
	start := func(svc *ceremony.Service) func(*testing.B) {
		return func(b *testing.B) {
			b.ReportAllocs()
			for b.Loop() {
				if rsp, err := svc.LoginStart(b.Context(), req); err != nil || !rsp.Body.LoginAllow {
					b.Fatal(err)
				}
			}
		}
	}
	entry, err := st.Buckets.Accounts.Get(b.Context(), string(st.Project.ID)+"."+string(user))
	if err != nil {
		b.Fatal(err)
	}
	verdict, err := st.Decision.Login(b.Context(), service.LoginQuestion{Question: st.Decision.Last()})
	if err != nil {
		b.Fatal(err)
	}
	for _, c := range st.Account(b, user).Credentials {
		verdict.AllowCredentials = append(verdict.AllowCredentials, c.ID)
	}
	at := func(accounts *account.Store, offers ceremony.Offers) *ceremony.Service {
		svc, err := ceremony.New(ceremony.DefaultConfig(), ceremony.Deps{
			Projects:        st.Projects,
			Keys:            st.Keyring,
			Accounts:        accounts,
			Challenges:      st.Buckets.Challenges,
			Marks:           st.Buckets.Marks,
			Index:           st.Buckets.Index,
			Names:           st.Buckets.Names,
			Sessions:        st.Buckets.Sessions,
			SessionIDs:      st.Buckets.SessionIDs,
			Tokens:          st.Buckets.Tokens,
			Codes:           st.Buckets.Codes,
			Nobodies:        st.Buckets.Nobodies,
			Delivery:        st.Delivery,
			Spent:           st.Buckets.Spent,
			Processes:       st.Buckets.Processes,
			StepUps:         st.Buckets.StepUps,
			Attested:        st.Buckets.Attested,
			Signing:         st.Signing,
			Events:          st.Events,
			Offers:          offers,
			Positions:       st.Events,
			DNS:             st.DNS,
			Lists:           st.Lists,
			Decision:        settled{verdict: verdict},
			Records:         st.Decision,
			Now:             st.Clock.Now,
			Log:             slog.New(slog.DiscardHandler),
			Metrics:         prometheus.NewRegistry(),
			ChallengeMaxAge: bus.DefaultConfig().ChallengeMaxAge,
		})
		if err != nil {
			b.Fatal(err)
		}
		return svc
	}
	b.Run("with storage", start(at(st.Accounts, instant{published: st.Events.Offers.PublishPending})))
	still := account.NewStore(stillness{entry: entry})
	b.Run("alone", start(at(still, instant{published: func(context.Context, event.Offer) error { return nil }})))
	b.Run("the account", func(b *testing.B) {
		b.ReportAllocs()
		for b.Loop() {
			if _, _, err := still.Get(b.Context(), st.Project.ID, user); err != nil {
				b.Fatal(err)
			}
		}
	})
}

// settled has decided already.
type settled struct {
	service.Decision
	verdict service.LoginVerdict
}

func (s settled) Login(context.Context, service.LoginQuestion) (service.LoginVerdict, error) {
	return s.verdict, nil
}

// instant publishes what a login offer carries as it is told, and nothing else.
type instant struct {
	ceremony.Offers
	published func(context.Context, event.Offer) error
}

func (i instant) PublishPending(ctx context.Context, o event.Offer) error { return i.published(ctx, o) }

// stillness is a bucket that holds one entry.
type stillness struct {
	jetstream.KeyValue
	entry jetstream.KeyValueEntry
}

func (s stillness) Get(context.Context, string) (jetstream.KeyValueEntry, error) { return s.entry, nil }

// BenchmarkCreateUser is POST /users without HTTP, on a NATS that has on disk what it acknowledges. The account alone is what it would be
// without the event that tells of it.
func BenchmarkCreateUser(b *testing.B) {
	cfg := bus.DefaultConfig()
	cfg.DataDir = b.TempDir()
	durable, err := bus.Open(b.Context(), cfg, slog.New(slog.DiscardHandler))
	if err != nil {
		b.Fatal(err)
	}
	defer durable.Close()
	st := ceremonytest.NewOn(b, ceremonytest.OpenBucketsOf(b, durable))
	deps := st.Deps(st.Buckets)
	deps.Events, deps.Metrics = published{st.Events, durable.JS}, prometheus.NewRegistry()
	if st.Service, err = ceremony.New(ceremony.DefaultConfig(), deps); err != nil {
		b.Fatal(err)
	}
	b.Run("with its event", func(b *testing.B) {
		b.ReportAllocs()
		for b.Loop() {
			st.NewUser(b)
		}
	})
	b.Run("the account alone", func(b *testing.B) {
		b.ReportAllocs()
		for b.Loop() {
			a := account.Account{
				Project: st.Project.ID, ID: ident.NewUserID(), Status: account.StatusActive, UserHandle: make([]byte, 32),
				CreatedMs: 1, UpdatedMs: 1,
			}
			if err := st.Accounts.Create(b.Context(), a); err != nil {
				b.Fatal(err)
			}
		}
	})
}

// published is a log that publishes each event by itself.
type published struct {
	*ceremonytest.Events
	js jetstream.JetStream
}

func (p published) Append(ctx context.Context, e event.Event) (service.Appended, error) {
	raw, err := json.Marshal(e)
	if err != nil {
		return service.Appended{}, err
	}
	ack, err := p.js.Publish(
		ctx, bus.EventsPrefix+"."+string(e.Project)+"."+string(e.User)+"."+string(e.Type), raw,
		jetstream.WithMsgID(string(e.ID)),
	)
	if err != nil {
		return service.Appended{}, err
	}
	return service.Appended{Sequence: ack.Sequence}, nil
}
