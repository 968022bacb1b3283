package challenge

import (
	"encoding/json"
	"errors"
	"math"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"
	"pgregory.net/rapid"

	"github.com/keyward/keyward/api/rest"
	"github.com/keyward/keyward/core/event"
	"github.com/keyward/keyward/core/ident"
	"github.com/keyward/keyward/core/keyring"
)

func ring(t rapid.TB) *keyring.Ring {
	keys, err := keyring.NewRing("pro-1", keyring.Versions{{Number: 1, Root: make([]byte, 32)}})
	if err != nil {
		t.Fatal(err)
	}
	return keys
}

func drawn(t *rapid.T) Record {
	text := rapid.StringN(0, 12, 48)
	created := rapid.Int64Range(0, math.MaxInt64/2).Draw(t, "created")
	return Record{
		ID:          ident.NewChallengeID(),
		Type:        rest.PasskeyChallengeTypeAuthenticate,
		Status:      rest.PasskeyChallengeStatusPending,
		Project:     "pro-1",
		User:        ident.UserID(rapid.SampledFrom([]string{"", "usr-1"}).Draw(t, "user")),
		Process:     text.Draw(t, "process"),
		RPID:        text.Draw(t, "rp id"),
		Origins:     rapid.SliceOfN(text, 1, 3).Draw(t, "origins"),
		Created:     created,
		Expires:     created + rapid.Int64Range(1, 3_600_000).Draw(t, "ttl"),
		Environment: ident.EnvironmentID(rapid.SampledFrom([]string{"", "env-1", "env-18446744073709551615"}).Draw(t, "environment")),
		Route:       event.Route(rapid.SampledFrom([]string{"", "local", "cda", "security-key"}).Draw(t, "route")),

		SecondFactor: rapid.Bool().Draw(t, "second factor"),
		OS:           text.Draw(t, "os"), OSVersion: text.Draw(t, "os version"),
		Browser: text.Draw(t, "browser"), BrowserVersion: text.Draw(t, "browser version"),
	}
}

func TestASealedRecordIsFoundAsItWasAndListedFromItsOffer(t *testing.T) {
	t.Parallel()
	keys := ring(t)
	rapid.Check(t, func(t *rapid.T) {
		r, err := drawn(t).Seal(keys, Asked{UserVerification: "required"})
		if err != nil {
			t.Fatal(err)
		}
		claim := Claim{
			Keys: keys, Project: r.Project, User: r.User, Value: r.Value, Type: r.Type, Process: r.Process, RPID: r.RPID,
		}
		got, err := NewStore(Places{}).Find(t.Context(), claim, time.UnixMilli(r.Created))
		if err != nil {
			t.Fatal(err)
		}
		if diff := cmp.Diff(r, got, cmpopts.IgnoreUnexported(Record{}), cmpopts.IgnoreFields(Record{}, "Origins")); diff != "" {
			t.Fatal(diff)
		}
		if diff := cmp.Diff(r.Origins, got.Accepted(append(r.Origins, "https://elsewhere.example.org/of/nobody"))); diff != "" {
			t.Fatal(diff)
		}

		offer := r.offer(event.Event{ID: "pke-1", Project: r.Project, User: r.User, Type: event.LoginOffered})
		// Through the log.
		raw, err := json.Marshal(offer)
		if err != nil {
			t.Fatal(err)
		}
		offer = event.Offer{}
		if err := json.Unmarshal(raw, &offer); err != nil {
			t.Fatal(err)
		}
		listed, err := fromOffer(offer)
		if err != nil {
			t.Fatal(err)
		}
		if listed.ID != r.ID || listed.Value != r.Value || listed.Type != r.Type || listed.Status != r.Status ||
			listed.Created != r.Created || listed.Expires != r.Expires || listed.markKey() != got.markKey() {
			t.Fatalf("listed: %+v", listed)
		}
	})
}

func TestASealedChallengeIsGoodForItsOwnCeremonyAlone(t *testing.T) {
	t.Parallel()
	keys, other := ring(t), ident.UserID("usr-2")
	foreign, err := keyring.NewRing("pro-2", keyring.Versions{{Number: 1, Root: make([]byte, 32)}})
	if err != nil {
		t.Fatal(err)
	}
	for name, c := range map[string]struct {
		process string
		change  func(*Claim, *time.Time)
		want    error
	}{
		"as it was given":                {"prc-1", func(*Claim, *time.Time) {}, nil},
		"the moment before it expires":   {"prc-1", func(_ *Claim, now *time.Time) { *now = now.Add(time.Minute - time.Millisecond) }, nil},
		"the moment it expires":          {"prc-1", func(_ *Claim, now *time.Time) { *now = now.Add(time.Minute) }, ErrExpired},
		"another user":                   {"prc-1", func(c *Claim, _ *time.Time) { c.User = other }, ErrUnknown},
		"nobody":                         {"prc-1", func(c *Claim, _ *time.Time) { c.User = "" }, ErrUnknown},
		"another project":                {"prc-1", func(c *Claim, _ *time.Time) { c.Project, c.Keys = "pro-2", foreign }, ErrUnknown},
		"another project, the same keys": {"prc-1", func(c *Claim, _ *time.Time) { c.Project = "pro-2" }, ErrUnknown},
		"the keys of another project":    {"prc-1", func(c *Claim, _ *time.Time) { c.Keys = foreign }, ErrUnknown},
		"another process":                {"prc-1", func(c *Claim, _ *time.Time) { c.Process = "prc-2" }, ErrProcess},
		"no process":                     {"prc-1", func(c *Claim, _ *time.Time) { c.Process = "" }, ErrProcess},
		"any process":                    {"prc-1", func(c *Claim, _ *time.Time) { c.Process, c.AnyProcess = "prc-2", true }, ErrProcess},
		"a process, started in none":     {"", func(*Claim, *time.Time) {}, ErrProcess},
		"any process, started in none":   {"", func(c *Claim, _ *time.Time) { c.AnyProcess = true }, nil},
		"another RP ID":                  {"prc-1", func(c *Claim, _ *time.Time) { c.RPID = "example.org" }, ErrRPID},
		"another process and RP ID": {
			"prc-1", func(c *Claim, _ *time.Time) { c.Process, c.RPID = "prc-2", "example.org" }, ErrProcess,
		},
		"a creation": {
			"prc-1", func(c *Claim, _ *time.Time) { c.Type, c.RPID = rest.PasskeyChallengeTypeRegister, "" }, ErrWrongType,
		},
		"a spelling of its own": {"prc-1", func(c *Claim, _ *time.Time) { c.Value += "=" }, ErrUnknown},
	} {
		r, err := Record{
			ID: "was-1", Project: "pro-1", User: "usr-1", Process: c.process, RPID: "example.com", Expires: time.Minute.Milliseconds(),
		}.Seal(keys, Asked{UserVerification: "required"})
		if err != nil {
			t.Fatal(err)
		}
		claim := Claim{
			Keys: keys, Project: r.Project, User: r.User, Value: r.Value, Type: rest.PasskeyChallengeTypeAuthenticate, Process: "prc-1",
			RPID: r.RPID,
		}
		now := time.UnixMilli(0)
		c.change(&claim, &now)
		if _, err := NewStore(Places{}).Find(t.Context(), claim, now); !errors.Is(err, c.want) {
			t.Errorf("%s: %v, want %v", name, err, c.want)
		}
	}
}

func TestWhatNoChallengeCanSayIsNotSealed(t *testing.T) {
	t.Parallel()
	good := Record{ID: "was-1", Project: "pro-1"}
	for name, change := range map[string]func(*Record, *Asked){
		"an ID of no number":              func(r *Record, _ *Asked) { r.ID = "was-x" },
		"an ID with a zero in front":      func(r *Record, _ *Asked) { r.ID = "was-01" },
		"an environment of no number":     func(r *Record, _ *Asked) { r.Environment = "browser" },
		"a route that nobody knows":       func(r *Record, _ *Asked) { r.Route = "by air" },
		"a verification that nobody asks": func(_ *Record, a *Asked) { a.UserVerification = "perhaps" },
		"an end before the beginning":     func(r *Record, _ *Asked) { r.Created = 1 },
	} {
		r, asked := good, Asked{}
		change(&r, &asked)
		if sealed, err := r.Seal(ring(t), asked); err == nil {
			t.Errorf("%s: %s", name, sealed.Value)
		}
	}
}

func TestAnOfferThatCarriesSomethingElseIsAnError(t *testing.T) {
	t.Parallel()
	for _, pending := range []string{"", "[]", `{"session":1}`, `{"rpID":`} {
		if _, err := fromOffer(event.Offer{Pending: json.RawMessage(pending)}); err == nil {
			t.Errorf("%q was taken for a challenge", pending)
		}
	}
}
