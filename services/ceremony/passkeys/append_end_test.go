package passkeys_test

import (
	"context"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"

	"github.com/keyward/keyward/api/rest"
	"github.com/keyward/keyward/core/account"
	"github.com/keyward/keyward/core/event"
	"github.com/keyward/keyward/core/fault"
	"github.com/keyward/keyward/core/ident"
	"github.com/keyward/keyward/core/service"
	"github.com/keyward/keyward/services/ceremony"
	"github.com/keyward/keyward/services/ceremony/ceremonytest"
	"github.com/keyward/keyward/services/ceremony/ceremonytest/authenticator"
	"github.com/keyward/keyward/services/ceremony/ceremonytest/faulty"
)

const usedAlready = "the challenge has been used already"

func finishReq(
	st *ceremonytest.Stack, user ident.UserID, d *authenticator.Device, answer string,
) service.ForProject[rest.PasskeyAppendFinishReq] {
	return service.ForProject[rest.PasskeyAppendFinishReq]{Project: st.Project.ID, Body: rest.PasskeyAppendFinishReq{
		UserID: string(user), ProcessID: ceremonytest.Process, AttestationResponse: answer, ClientInformation: d.Client(),
	}}
}

// twoAnswers are those of two devices to one challenge.
func twoAnswers(t *testing.T, st *ceremonytest.Stack, user ident.UserID) (devices [2]*authenticator.Device, answers [2]string) {
	t.Helper()
	devices = [2]*authenticator.Device{authenticator.Phone(), authenticator.Phone()}
	options := st.BeginAppend(t, user, devices[0]).AttestationOptions
	devices[1].Handle = devices[0].Handle
	for i, d := range devices {
		answers[i] = d.Create(t, options)
	}
	return devices, answers
}

// wantWhole checks that each passkey of the account logs in without a name.
func wantWhole(t *testing.T, st *ceremonytest.Stack, user ident.UserID, devices ...*authenticator.Device) {
	t.Helper()
	a := st.Account(t, user)
	for _, c := range a.Credentials {
		for _, d := range devices {
			if string(d.Key.ID) != string(c.CredentialID) {
				continue
			}
			d.Options.UserHandle = a.UserHandle
			rsp, err := st.FinishMediation(t, d, d.Get(t, st.BeginMediation(t, d).AssertionOptions))
			if err != nil || rsp.Error != nil {
				t.Errorf("%s does not log in: %+v, %v", c.ID, rsp.Error, err)
			}
		}
	}
}

func TestOfManyAnswersToOneChallengeThroughTwoInstancesOneMakesAPasskey(t *testing.T) {
	t.Parallel()
	st := ceremonytest.New(t)
	user := st.NewUser(t)
	instances := []*ceremony.Service{st.Mortal(t, &ceremonytest.Crash{Left: -1}), st.Mortal(t, &ceremonytest.Crash{Left: -1})}
	first := authenticator.Phone()
	options := st.BeginAppend(t, user, first).AttestationOptions
	const many = 12
	devices, made := make([]*authenticator.Device, many), atomic.Int32{}
	var finishing sync.WaitGroup
	for i := range devices {
		d := authenticator.Phone()
		d.Handle, devices[i] = first.Handle, d
		answer := d.Create(t, options)
		for _, in := range instances { // each answer comes twice
			finishing.Go(func() {
				_, err := in.AppendFinish(context.Background(), finishReq(st, user, d, answer))
				if err == nil {
					made.Add(1)
					return
				}
				ceremonytest.WantField(t, err, 400, "attestationResponse", usedAlready)
			})
		}
	}
	finishing.Wait()
	if n := len(st.Account(t, user).Credentials); made.Load() != 1 || n != 1 {
		t.Fatalf("%d were told that they have a passkey, and the account has %d", made.Load(), n)
	}
	if done := st.Events.OfType(event.AppendCompleted); len(done) != 1 || done[0].Credential != string(st.Account(t, user).Credentials[0].ID) {
		t.Errorf("in the log: %+v", done)
	}
	wantWhole(t, st, user, devices...)
	for _, d := range devices { // those that came too late have left nothing
		if string(d.Key.ID) != string(st.Account(t, user).Credentials[0].CredentialID) {
			if _, err := st.FinishAppend(t, user, d, d.Create(t, st.BeginAppend(t, user, d).AttestationOptions)); err != nil {
				t.Errorf("its credential ID is not free: %v", err)
			}
			break
		}
	}
}

func TestNoCrashMakesTwoPasskeysOfOneChallenge(t *testing.T) {
	t.Parallel()
	ceremonytest.EveryCrash(t, func(t *testing.T, c *ceremonytest.Crash) {
		st := ceremonytest.New(t)
		user := st.NewUser(t)
		devices, answers := twoAnswers(t, st, user)
		_, err := st.Mortal(t, c).AppendFinish(t.Context(), finishReq(st, user, devices[0], answers[0]))
		again := st.Restart(t)
		stored := len(st.Account(t, user).Credentials)
		status := rest.PasskeyChallengeStatusPending
		if stored == 1 {
			status = rest.PasskeyChallengeStatusCompleted
		}
		if listed := st.Challenges(t, user)[0].Status; listed != status {
			t.Errorf("with %d passkeys the challenge is listed as %s", stored, listed)
		}
		if told := len(st.Events.OfType(event.AppendCompleted)); err == nil && (stored != 1 || told != 1) {
			t.Fatalf("acknowledged, with %d passkeys and %d events", stored, told)
		}
		for i := range devices {
			_, err := again.AppendFinish(t.Context(), finishReq(st, user, devices[i], answers[i]))
			switch now := len(st.Account(t, user).Credentials); {
			case err != nil && now == stored:
				ceremonytest.WantField(t, err, 400, "attestationResponse", usedAlready)
			case err != nil || stored != 0 || now != 1:
				t.Errorf("answer %d: %v, with %d passkeys", i, err, now)
			default:
				stored = now
			}
		}
		wantWhole(t, again, user, devices[:]...)
	})
}

func TestNoCrashLeavesARefusedCreationToBeFinished(t *testing.T) {
	t.Parallel()
	ceremonytest.EveryCrash(t, func(t *testing.T, c *ceremonytest.Crash) {
		st := ceremonytest.New(t)
		user := st.NewUser(t)
		d, evil := authenticator.Phone(), authenticator.Phone()
		options := st.BeginAppend(t, user, d).AttestationOptions
		evil.Handle, evil.Origin = d.Handle, "https://evil.example"
		if _, err := st.Mortal(t, c).AppendFinish(t.Context(), finishReq(st, user, evil, evil.Create(t, options))); err == nil {
			t.Fatal("another origin made a passkey")
		}
		again := st.Restart(t)
		_, err := again.AppendFinish(t.Context(), finishReq(st, user, d, d.Create(t, options)))
		listed := st.Challenges(t, user)[0].Status
		switch {
		case err == nil && listed == rest.PasskeyChallengeStatusCompleted:
			if told := len(st.Events.OfType(event.AppendRefused)); told != 0 {
				t.Errorf("%d refusals are told that have spent nothing", told)
			}
		case err != nil && listed == rest.PasskeyChallengeStatusConsumed:
			ceremonytest.WantField(t, err, 400, "attestationResponse", usedAlready)
		default:
			t.Errorf("listed as %s, and finished with %v", listed, err)
		}
	})
}

func TestAPasskeyThatWasDeletedDoesNotFreeItsChallenge(t *testing.T) {
	t.Parallel()
	st := ceremonytest.New(t)
	user := st.NewUser(t)
	devices, answers := twoAnswers(t, st, user)
	made, err := st.FinishAppend(t, user, devices[0], answers[0])
	if err != nil {
		t.Fatal(err)
	}
	if _, err := st.DeleteCredential(
		t.Context(), service.ForUser[ident.CredentialID]{Project: st.Project.ID, User: user, Body: ident.CredentialID(made.ID)},
	); err != nil {
		t.Fatal(err)
	}
	nowMs := st.Clock.Now().UnixMilli()
	if _, err := st.Accounts.Update(t.Context(), st.Project.ID, user, func(a *account.Account) error {
		for i := range 100 { // more than are remembered otherwise
			a.Deleted = append(a.Deleted, account.Tombstone{
				ID: ident.CredentialID(fmt.Sprintf("cre-%d", i)), CredentialID: []byte{byte(i)}, DeletedMs: nowMs,
			})
		}
		return nil
	}); err != nil {
		t.Fatal(err)
	}
	last := st.Enroll(t, user, authenticator.Phone())
	if _, err := st.DeleteCredential(
		t.Context(), service.ForUser[ident.CredentialID]{Project: st.Project.ID, User: user, Body: ident.CredentialID(last.ID)},
	); err != nil {
		t.Fatal(err)
	}
	for i := range devices {
		_, err := st.FinishAppend(t, user, devices[i], answers[i])
		ceremonytest.WantField(t, err, 400, "attestationResponse", usedAlready)
	}
}

func TestOfTwoUsersWithOneCredentialIDOneHasIt(t *testing.T) {
	t.Parallel()
	st := ceremonytest.New(t)
	users, d := []ident.UserID{st.NewUser(t), st.NewUser(t)}, authenticator.Phone()
	var finishing sync.WaitGroup
	var made atomic.Int32
	for _, user := range users {
		answer := d.Create(t, st.BeginAppend(t, user, d).AttestationOptions)
		req := finishReq(st, user, d, answer)
		finishing.Go(func() {
			_, err := st.AppendFinish(context.Background(), req)
			if err == nil {
				made.Add(1)
				return
			}
			ceremonytest.WantField(t, err, 409, "attestationResponse", "the credential is registered already")
		})
	}
	finishing.Wait()
	if n := len(st.Account(t, users[0]).Credentials) + len(st.Account(t, users[1]).Credentials); made.Load() != 1 || n != 1 {
		t.Errorf("%d were told so, and %d have it", made.Load(), n)
	}
}

func TestACreationIsJudgedByTheAccountAsItIsWhenItIsStored(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		meanwhile func(t *testing.T, st *ceremonytest.Stack, user ident.UserID) error
		want      string
		field     string
	}{
		"the user is disabled": {
			func(t *testing.T, st *ceremonytest.Stack, user ident.UserID) error {
				_, err := st.UpdateUser(t.Context(), service.ForUser[rest.UserUpdateReq]{
					Project: st.Project.ID, User: user, Body: rest.UserUpdateReq{Status: new(rest.UserStatusDisabled)},
				})
				return err
			}, "is not active", "userID",
		},
		"the user is deleted": {
			func(t *testing.T, st *ceremonytest.Stack, user ident.UserID) error {
				_, err := st.DeleteUser(t.Context(), service.ForUser[service.Empty]{Project: st.Project.ID, User: user})
				return err
			}, "does not exist", "userID",
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			b := ceremonytest.OpenBuckets(t)
			index := &faulty.Watched{KeyValue: b.Index}
			b.Index = index
			st := ceremonytest.NewOn(t, b)
			user, d := st.NewUser(t), authenticator.Phone()
			answer := d.Create(t, st.BeginAppend(t, user, d).AttestationOptions)
			index.AfterCreate = func() {
				if err := c.meanwhile(t, st, user); err != nil {
					t.Error(err)
				}
			}
			_, err := st.FinishAppend(t, user, d, answer)
			ceremonytest.WantField(t, err, 400, c.field, c.want)
			if n := len(st.Events.OfType(event.AppendCompleted)); n != 0 {
				t.Errorf("%d creations are told", n)
			}
			st.Enroll(t, st.NewUser(t), d) // its credential ID is free
		})
	}
}

// lossy loses the reply to one update.
type lossy struct {
	jetstream.KeyValue
	loses bool
}

func (b *lossy) Update(ctx context.Context, key string, value []byte, last uint64) (uint64, error) {
	revision, err := b.KeyValue.Update(ctx, key, value, last)
	if b.loses {
		b.loses = false
		return 0, nats.ErrTimeout
	}
	return revision, err
}

func TestAPasskeyWhoseAccountWasStoredWithoutAReplyIsWhole(t *testing.T) {
	t.Parallel()
	b := ceremonytest.OpenBuckets(t)
	accounts := &lossy{KeyValue: b.Accounts}
	b.Accounts = accounts
	st := ceremonytest.NewOn(t, b)
	user, d := st.NewUser(t), authenticator.Phone()
	answer := d.Create(t, st.BeginAppend(t, user, d).AttestationOptions)
	accounts.loses = true
	_, err := st.FinishAppend(t, user, d, answer)
	if fault.As(err).Status != http.StatusServiceUnavailable {
		t.Errorf("got %v, want a 503", err)
	}
	if n := len(st.Account(t, user).Credentials); n != 1 {
		t.Fatalf("the account has %d passkeys", n)
	}
	if status := st.Challenges(t, user)[0].Status; status != rest.PasskeyChallengeStatusCompleted {
		t.Errorf("its challenge is %s", status)
	}
	_, err = st.FinishAppend(t, user, d, answer)
	ceremonytest.WantField(t, err, 400, "attestationResponse", usedAlready)
	wantWhole(t, st, user, d)
}

func TestAnAnswerThatComesTwiceIsToldAsTheOnePasskeyItMakes(t *testing.T) {
	t.Parallel()
	b := ceremonytest.OpenBuckets(t)
	index := &faulty.Watched{KeyValue: b.Index}
	b.Index = index
	st := ceremonytest.NewOn(t, b)
	user, d := st.NewUser(t), authenticator.Phone()
	answer := d.Create(t, st.BeginAppend(t, user, d).AttestationOptions)
	index.AfterCreate = func() { // the first has its name and is not in the account yet
		_, err := st.FinishAppend(t, user, d, answer)
		ceremonytest.WantField(t, err, 400, "attestationResponse", usedAlready)
	}
	if _, err := st.FinishAppend(t, user, d, answer); err != nil {
		t.Fatal(err)
	}
	if refused := st.Events.OfType(event.AppendRefused); len(refused) != 0 {
		t.Errorf("told as refused: %+v", refused)
	}
	if n := len(st.Events.OfType(event.AppendCompleted)); n != 1 {
		t.Errorf("%d creations are told", n)
	}
	wantWhole(t, st, user, d)
}

func TestSoManyPasskeysThatWereDeletedLatelyLetNoMoreBeCreatedForAWhile(t *testing.T) {
	t.Parallel()
	st := ceremonytest.New(t)
	user, d := st.NewUser(t), authenticator.Phone()
	nowMs := st.Clock.Now().UnixMilli()
	if _, err := st.Accounts.Update(t.Context(), st.Project.ID, user, func(a *account.Account) error {
		for i := range 1000 {
			a.Deleted = append(a.Deleted, account.Tombstone{
				ID: ident.CredentialID(fmt.Sprintf("cre-%d", i)), CredentialID: []byte{byte(i >> 8), byte(i)}, DeletedMs: nowMs,
			})
		}
		return nil
	}); err != nil {
		t.Fatal(err)
	}
	_, err := st.FinishAppend(t, user, d, d.Create(t, st.BeginAppend(t, user, d).AttestationOptions))
	ceremonytest.WantField(t, err, 409, "attestationResponse", "too many passkeys of the user were deleted within minutes")
	st.Clock.Advance(time.Hour)
	last := st.Enroll(t, user, authenticator.Phone())
	if n := len(st.Account(t, user).Deleted); n > 100 {
		t.Errorf("%d are remembered", n)
	}
	if last.ID == "" {
		t.Error("nothing was created")
	}
}

// Earlier versions drew challenges of 32 bytes, and spent them by a mark under the challenge itself.
func TestACreationThatAnEarlierVersionStartedIsFinishedOnceWhicheverVersionEndsIt(t *testing.T) {
	t.Parallel()
	for _, status := range []rest.PasskeyChallengeStatus{"pending", "consumed", "completed"} {
		st := ceremonytest.New(t)
		user, d := st.NewUser(t), authenticator.Phone()
		options := st.BeginAppend(t, user, d).AttestationOptions
		value := authenticator.ChallengeIn(t, options)
		before := base64.RawURLEncoding.EncodeToString([]byte(strings.Repeat("a", 32)))
		prefix := string(st.Project.ID) + "." + string(user) + "."
		entry, err := st.Buckets.Challenges.Get(t.Context(), prefix+value)
		if err != nil {
			t.Fatal(err)
		}
		stored := []byte(strings.ReplaceAll(string(entry.Value()), value, before))
		if !json.Valid(stored) {
			t.Fatalf("%s", stored)
		}
		if _, err := st.Buckets.Challenges.Put(t.Context(), prefix+before, stored); err != nil {
			t.Fatal(err)
		}
		if status != rest.PasskeyChallengeStatusPending {
			if _, err := st.Buckets.Marks.Create(t.Context(), prefix+before, []byte(status)); err != nil {
				t.Fatal(err)
			}
		}
		answer := d.Create(t, strings.Replace(options, value, before, 1))
		_, err = st.FinishAppend(t, user, d, answer)
		if status == rest.PasskeyChallengeStatusPending {
			if err != nil {
				t.Fatal(err)
			}
			if _, err := st.Buckets.Marks.Get(t.Context(), prefix+before); err != nil {
				t.Errorf("an instance of the earlier version would take it again: %v", err)
			}
			_, err = st.FinishAppend(t, user, d, answer)
		}
		ceremonytest.WantField(t, err, 400, "attestationResponse", usedAlready)
	}
}

// An earlier version takes challenges of 43 characters for random, finds them, and spends them by a mark, which nobody asks an account for.
func TestAChallengeThatTheAccountSpendsIsNoneThatAnEarlierVersionFinds(t *testing.T) {
	t.Parallel()
	st := ceremonytest.New(t)
	user, d := st.NewUser(t), authenticator.Phone()
	options := st.BeginAppend(t, user, d).AttestationOptions
	if value := authenticator.ChallengeIn(t, options); len(value) <= base64.RawURLEncoding.EncodedLen(32) {
		t.Errorf("an earlier version finds %s", value)
	}
	if _, err := st.FinishAppend(t, user, d, d.Create(t, options)); err != nil {
		t.Fatal(err)
	}
	ceremony := st.Events.OfType(event.AppendCompleted)[0].Ceremony
	_, err := st.Buckets.Marks.Get(t.Context(), strings.Join([]string{string(st.Project.ID), string(user), string(ceremony)}, "."))
	if !errors.Is(err, jetstream.ErrKeyNotFound) {
		t.Errorf("its mark is %v", err)
	}
}
