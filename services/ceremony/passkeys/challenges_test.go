package passkeys_test

import (
	"context"
	"crypto/rand"
	"encoding/base64"
	"encoding/json"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/go-webauthn/webauthn/protocol"
	"github.com/go-webauthn/webauthn/webauthn"
	"github.com/google/go-cmp/cmp"
	"github.com/prometheus/client_golang/prometheus"

	"github.com/keyward/keyward/api/rest"
	"github.com/keyward/keyward/core/bus"
	"github.com/keyward/keyward/core/event"
	"github.com/keyward/keyward/core/fault"
	"github.com/keyward/keyward/core/ident"
	"github.com/keyward/keyward/core/keyring"
	"github.com/keyward/keyward/core/patch"
	"github.com/keyward/keyward/core/service"
	"github.com/keyward/keyward/services/ceremony"
	"github.com/keyward/keyward/services/ceremony/ceremonytest"
	"github.com/keyward/keyward/services/ceremony/ceremonytest/authenticator"
	"github.com/keyward/keyward/services/ceremony/ceremonytest/faulty"
	"github.com/keyward/keyward/services/ceremony/internal/challenge"
)

func TestALoginStartIsOneWrite(t *testing.T) {
	t.Parallel()
	b := ceremonytest.OpenBuckets(t)
	records, marks := &faulty.Bucket{KeyValue: b.Challenges}, &faulty.Bucket{KeyValue: b.Marks}
	b.Challenges, b.Marks = records, marks
	st := ceremonytest.NewOn(t, b)
	user, d := st.NewUser(t), authenticator.Phone()
	st.Enroll(t, user, d)
	records.FailPuts(1)
	marks.FailCreates(1)
	before := st.Events.Calls
	st.BeginLogin(t, user, d)
	if n := st.Events.Calls - before; n != 1 {
		t.Errorf("%d messages were published", n)
	}
}

// unread is a stream of offers that nobody is to read.
type unread struct {
	*ceremonytest.Events
	reads atomic.Int32
}

func (u *unread) Pending(ctx context.Context, project ident.ProjectID, user ident.UserID, challenge string) ([]event.Offer, error) {
	u.reads.Add(1)
	return u.Events.Pending(ctx, project, user, challenge)
}

func TestALoginIsFinishedWithoutAReadOfOffersHoweverManyStartsCameAfterIt(t *testing.T) {
	t.Parallel()
	st := ceremonytest.New(t)
	user, d, _ := ceremonytest.Known(t, st)
	deps, offers := st.Deps(st.Buckets), &unread{Events: st.Events}
	deps.Offers, deps.Metrics = offers, prometheus.NewRegistry()
	var err error
	if st.Service, err = ceremony.New(ceremony.DefaultConfig(), deps); err != nil {
		t.Fatal(err)
	}
	first := st.BeginLogin(t, user, d).AssertionOptions
	for range bus.OffersPerSubject {
		st.BeginLogin(t, user, d)
	}
	if _, err := st.FinishLogin(t, user, d, d.Get(t, first)); err != nil {
		t.Errorf("the first of %d: %v", bus.OffersPerSubject+1, err)
	}
	if _, err := st.FinishMediation(t, d, d.Get(t, st.BeginMediation(t, d).AssertionOptions)); err != nil {
		t.Error(err)
	}
	if n := offers.reads.Load(); n != 0 {
		t.Errorf("offers were read %d times", n)
	}
	if listed := st.Challenges(t, user, "type:eq:authenticate"); len(listed) == 0 || offers.reads.Load() != 1 {
		t.Errorf("%d logins are listed, after %d reads", len(listed), offers.reads.Load())
	}
}

func TestAMediationStoresNothing(t *testing.T) {
	t.Parallel()
	b := ceremonytest.OpenBuckets(t)
	records, marks := &faulty.Bucket{KeyValue: b.Challenges}, &faulty.Bucket{KeyValue: b.Marks}
	b.Challenges, b.Marks = records, marks
	st := ceremonytest.NewOn(t, b)
	_, d, _ := ceremonytest.Known(t, st)
	records.FailPuts(1)
	marks.FailCreates(1)
	before := st.Events.Calls
	st.BeginMediation(t, d)
	if n := st.Events.Calls - before; n != 0 {
		t.Errorf("%d messages were published", n)
	}
}

// A ceremony that begins on one instance ends on another, also over a rotation of the keys; after their loss it does not.
func TestALoginEndsOnAnotherInstanceAndAfterARotation(t *testing.T) {
	t.Parallel()
	st := ceremonytest.New(t)
	user, d := st.NewUser(t), authenticator.Phone()
	st.Enroll(t, user, d)
	instance := func() (*ceremonytest.Stack, *keyring.Store) {
		deps, other := st.Deps(st.Buckets), *st
		keys := st.OpenKeys(t)
		deps.Keys, deps.Metrics = keys, prometheus.NewRegistry()
		var err error
		if other.Service, err = ceremony.New(ceremony.DefaultConfig(), deps); err != nil {
			t.Fatal(err)
		}
		return &other, keys
	}
	one, keys := instance()
	two, _ := instance()
	begin := func(at *ceremonytest.Stack) string { return d.Get(t, at.BeginLogin(t, user, d).AssertionOptions) }
	finish := func(at *ceremonytest.Stack, answer, message string) {
		t.Helper()
		_, err := at.FinishLogin(t, user, d, answer)
		if message == "" && err != nil {
			t.Error(err)
		} else if message != "" {
			ceremonytest.WantField(t, err, 400, "assertionResponse", message)
		}
	}

	answer := begin(one)
	finish(two, answer, "")
	finish(one, answer, "the challenge has been used already")

	before := begin(one)
	if _, err := keys.Rotate(t.Context(), st.Project.ID); err != nil {
		t.Fatal(err)
	}
	finish(two, begin(one), "") // has not heard of the rotation
	finish(one, before, "")

	before = begin(two)
	if _, err := keys.Rotate(t.Context(), st.Project.ID); err != nil {
		t.Fatal(err)
	}
	if _, err := keys.Drop(t.Context(), st.Project.ID); err != nil {
		t.Fatal(err)
	}
	finish(one, before, "the challenge is unknown, or was not given to this user")
	finish(one, begin(one), "")
}

func TestAChallengeThatCannotBeSpentIsNotFinished(t *testing.T) {
	t.Parallel()
	b := ceremonytest.OpenBuckets(t)
	marks := &faulty.Bucket{KeyValue: b.Marks}
	b.Marks = marks
	st := ceremonytest.NewOn(t, b)
	user, d, _ := ceremonytest.Known(t, st)
	login := func(t *testing.T) func() error {
		answer := d.Get(t, st.BeginLogin(t, user, d).AssertionOptions)
		return func() error { _, err := st.FinishLogin(t, user, d, answer); return err }
	}
	mediation := func(t *testing.T) func() error {
		answer := d.Get(t, st.BeginMediation(t, d).AssertionOptions)
		return func() error { _, err := st.FinishMediation(t, d, answer); return err }
	}
	forged := func(t *testing.T) func() error {
		answer := authenticator.Phone().Get(t, st.BeginLogin(t, user, d).AssertionOptions)
		return func() error { _, err := st.FinishLogin(t, user, d, answer); return err }
	}
	for _, c := range []struct {
		name  string
		begin func(*testing.T) func() error
		fail  func()
		then  int // the status of a second attempt; 0 = it succeeds
	}{
		{"a login whose event cannot be stored", login, func() { st.Events.FailNext(3) }, 0},
		{"a login that is refused, and that cannot be stored", forged, func() { marks.FailCreates(1) }, 400},
		{"a mediation whose mark cannot be made", mediation, func() { marks.FailCreates(1) }, 0},
	} {
		finish, before := c.begin(t), len(st.Events.OfType(event.LoginCompleted))
		c.fail()
		if err := finish(); fault.As(err).Status != 503 {
			t.Fatalf("%s: got %v", c.name, err)
		}
		if n := len(st.Events.OfType(event.LoginCompleted)); n != before {
			t.Errorf("%s: %d completed logins were recorded", c.name, n-before)
		}
		if err := finish(); c.then == 0 && err != nil || c.then != 0 && fault.As(err).Status != c.then {
			t.Errorf("%s: the challenge was lost: %v", c.name, err)
		}
	}
}

// startedBefore returns a login as earlier versions of the server started it, with a random challenge, and the authenticator's answer.
func startedBefore(t *testing.T, st *ceremonytest.Stack, user ident.UserID, d *authenticator.Device) (r challenge.Record, answer string) {
	t.Helper()
	options := st.BeginLogin(t, user, d).AssertionOptions
	sealed := authenticator.ChallengeIn(t, options)
	_, err := st.Events.Erase(t.Context(), service.ForUser[service.Empty]{Project: st.Project.ID, User: user})
	if err != nil {
		t.Fatal(err)
	}
	r = challenge.Record{
		ID: ident.NewChallengeID(), Value: base64.RawURLEncoding.EncodeToString([]byte(rand.Text() + "012345")),
		Type: rest.PasskeyChallengeTypeAuthenticate, Status: rest.PasskeyChallengeStatusPending, Project: st.Project.ID, User: user,
		Process: ceremonytest.Process, RPID: st.Project.RPID, Origins: st.Project.Origins, Created: st.Clock.Now().UnixMilli(),
		Expires: st.Clock.Now().Add(5 * time.Minute).UnixMilli(), Session: challenge.Session{Format: "go-webauthn/0.18"},
	}
	r.Session.Data, err = json.Marshal(webauthn.SessionData{
		Challenge: r.Value, RelyingPartyID: r.RPID, UserID: st.Account(t, user).UserHandle, AllowedCredentialIDs: [][]byte{d.Key.ID},
		UserVerification: protocol.VerificationRequired,
	})
	if err != nil {
		t.Fatal(err)
	}
	return r, d.Get(t, strings.Replace(options, sealed, r.Value, 1))
}

// wantFinishedOnce finishes a login that has a status; pending ones are finished once.
func wantFinishedOnce(
	t *testing.T, st *ceremonytest.Stack, user ident.UserID, d *authenticator.Device, answer string, status rest.PasskeyChallengeStatus,
) {
	t.Helper()
	if got := st.Challenges(t, user, "type:eq:authenticate"); len(got) != 1 || got[0].Status != status {
		t.Errorf("listed: %+v", got)
	}
	_, err := st.FinishLogin(t, user, d, answer)
	if status == rest.PasskeyChallengeStatusPending {
		if err != nil {
			t.Error(err)
		}
		_, err = st.FinishLogin(t, user, d, answer)
	}
	ceremonytest.WantField(t, err, 400, "assertionResponse", "the challenge has been used already")
}

// Logins that an earlier version of the server has started keep their challenge, and its status, in the bucket "challenges".
func TestALoginStartedByAnEarlierVersionIsFinishedOnce(t *testing.T) {
	t.Parallel()
	for _, status := range []rest.PasskeyChallengeStatus{"pending", "consumed", "completed"} {
		st := ceremonytest.New(t)
		user, d := st.NewUser(t), authenticator.Phone()
		st.Enroll(t, user, d)
		r, answer := startedBefore(t, st, user, d)
		r.Status = status
		raw, err := json.Marshal(r)
		if err != nil {
			t.Fatal(err)
		}
		if _, err := st.Buckets.Challenges.Put(t.Context(), string(st.Project.ID)+"."+string(user)+"."+r.Value, raw); err != nil {
			t.Fatal(err)
		}
		wantFinishedOnce(t, st, user, d, answer, status)
	}
}

// Later ones keep it in the offer that handed it out, with the mark under the challenge itself.
func TestALoginWhoseOfferCarriesItsStateIsFinishedOnce(t *testing.T) {
	t.Parallel()
	for _, status := range []rest.PasskeyChallengeStatus{"pending", "consumed", "completed"} {
		st := ceremonytest.New(t)
		user, d := st.NewUser(t), authenticator.Phone()
		st.Enroll(t, user, d)
		r, answer := startedBefore(t, st, user, d)
		pending, err := json.Marshal(map[string]any{
			"rpID": r.RPID, "origins": r.Origins, "expires": r.Expires, "session": r.Session, "os": "iOS", "osVersion": "18",
			"browser": "Safari", "browserVersion": "18",
		})
		if err != nil {
			t.Fatal(err)
		}
		offer := event.Offer{Pending: pending, Event: event.Event{
			ID: ident.NewEventID(), Project: r.Project, User: r.User, Type: event.LoginOffered, CreatedMs: r.Created, Process: r.Process,
			Challenge: r.Value, Ceremony: r.ID, Route: event.Local,
		}}
		if err := st.Events.PublishPending(t.Context(), offer); err != nil {
			t.Fatal(err)
		}
		if status != rest.PasskeyChallengeStatusPending {
			mark := string(st.Project.ID) + "." + string(user) + "." + r.Value
			if _, err := st.Buckets.Marks.Create(t.Context(), mark, []byte(status)); err != nil {
				t.Fatal(err)
			}
		}
		wantFinishedOnce(t, st, user, d, answer, status)
	}
}

func TestChallengesAreListedAndMoveForward(t *testing.T) {
	t.Parallel()
	st := ceremonytest.New(t)
	user, d := st.NewUser(t), authenticator.Phone()
	st.Enroll(t, user, d)
	st.Clock.Advance(time.Second)
	st.BeginLogin(t, user, d)
	st.Clock.Advance(10 * time.Minute)

	all := st.Challenges(t, user)
	if len(all) != 2 || all[0].Type != rest.PasskeyChallengeTypeAuthenticate || all[0].Status != rest.PasskeyChallengeStatusPending {
		t.Fatalf("challenges: %+v", all)
	}
	want := rest.PasskeyChallenge{
		ChallengeID: all[0].ChallengeID,
		Value:       all[0].Value,
		Type:        rest.PasskeyChallengeTypeAuthenticate,
		Status:      rest.PasskeyChallengeStatusPending,
		Created:     ceremonytest.Started.Unix() + 1,
		CreatedMs:   ceremonytest.Started.UnixMilli() + 1000,
		Expires:     ceremonytest.Started.Unix() + 301,
	}
	if diff := cmp.Diff(want, all[0]); diff != "" {
		t.Error(diff)
	}
	for filter, n := range map[string]int{
		"type:eq:register": 1, "status:eq:completed": 1, "status:eq:consumed": 0, "userID:eq:" + string(user): 2,
		"projectID:eq:" + string(st.Project.ID): 2, "projectID:eq:pro-404": 0,
		"created:gt:2026-11-22T12:00:00": 1,
	} {
		if got := len(st.Challenges(t, user, filter)); got != n {
			t.Errorf("%s: %d challenges, want %d", filter, got, n)
		}
	}

	patch := func(user ident.UserID, id string, status rest.PasskeyChallengeStatus) (rest.PasskeyChallenge, error) {
		return st.UpdateChallenge(t.Context(), service.ForUser[patch.Challenge]{
			Project: st.Project.ID, User: user, Body: patch.Challenge{ID: ident.ChallengeID(id), Status: status},
		})
	}
	for _, status := range []rest.PasskeyChallengeStatus{"pending", "completed", "completed", "consumed"} {
		want.Status = status
		got, err := patch(user, want.ChallengeID, status)
		if err != nil {
			t.Fatal(err)
		}
		if diff := cmp.Diff(want, got); diff != "" {
			t.Error(diff)
		}
	}
	_, err := patch(user, want.ChallengeID, "pending")
	ceremonytest.WantField(t, err, 400, "status", "cannot go back from consumed to pending")
	_, err = patch(user, want.ChallengeID, "completed")
	ceremonytest.WantField(t, err, 400, "status", "cannot go back from consumed to completed")
	_, err = patch(user, want.ChallengeID, "expired")
	ceremonytest.WantField(t, err, 400, "status", "must be a valid value")
	_, err = patch(user, "was-404", "consumed")
	ceremonytest.WantField(t, err, 400, "passkeyChallengeID", "does not exist")
	_, err = patch(st.NewUser(t), want.ChallengeID, "consumed")
	ceremonytest.WantField(t, err, 400, "passkeyChallengeID", "does not exist")
	_, err = patch("usr-1", want.ChallengeID, "consumed")
	ceremonytest.WantField(t, err, 400, "userID", "does not exist")

	st.Clock.Advance(5*time.Minute - time.Second)
	if left := st.Challenges(t, user); len(left) != 1 {
		t.Errorf("older than challenge_max_age: %+v", left)
	}
	st.Clock.Advance(time.Second)
	if left := st.Challenges(t, user); len(left) != 0 {
		t.Errorf("older than challenge_max_age: %+v", left)
	}
	_, err = patch(user, want.ChallengeID, "consumed")
	ceremonytest.WantField(t, err, 400, "passkeyChallengeID", "does not exist")
}
