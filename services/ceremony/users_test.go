package ceremony_test

import (
	"context"
	"fmt"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/nats-io/nats.go/jetstream"

	"github.com/keyward/keyward/api/rest"
	"github.com/keyward/keyward/core/account"
	"github.com/keyward/keyward/core/fault"
	"github.com/keyward/keyward/core/ident"
	"github.com/keyward/keyward/core/service"
)

func ptr[T any](v T) *T { return &v }

func (st *stack) createUser(tb testing.TB, body rest.UserCreateReq) (rest.User, error) {
	tb.Helper()
	return st.CreateUser(tb.Context(), service.ForProject[rest.UserCreateReq]{Project: st.project.ID, Body: body})
}

func TestAUserIsCreatedReadChangedAndDeleted(t *testing.T) {
	t.Parallel()
	st := newStack(t)
	created, err := st.createUser(t, rest.UserCreateReq{FullName: ptr("Ada Lovelace"), Status: rest.UserStatusPending, ExplicitWebauthnID: ptr("ada")})
	if err != nil {
		t.Fatal(err)
	}
	want := rest.User{
		UserID: created.UserID, FullName: ptr("Ada Lovelace"), Status: rest.UserStatusPending, ExplicitWebauthnID: ptr("ada"),
		Updated: "2026-11-22T12:00:00", UpdatedMs: started.UnixMilli(),
	}
	if diff := cmp.Diff(want, created); diff != "" {
		t.Error(diff)
	}
	user := ident.UserID(created.UserID)
	named := service.ForUser[service.Empty]{Project: st.project.ID, User: user}
	got, err := st.GetUser(t.Context(), named)
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Error(diff)
	}
	if handle := st.get(t, user).UserHandle; string(handle) != "ada" {
		t.Errorf("user handle %q", handle)
	}

	st.clock.advance(time.Minute)
	got, err = st.UpdateUser(t.Context(), service.ForUser[rest.UserUpdateReq]{Project: st.project.ID, User: user, Body: rest.UserUpdateReq{Status: ptr(rest.UserStatusActive)}})
	if err != nil {
		t.Fatal(err)
	}
	want.Status, want.Updated, want.UpdatedMs = rest.UserStatusActive, "2026-11-22T12:01:00", st.clock.Now().UnixMilli()
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("more was changed than was asked for: %s", diff)
	}

	d := phone()
	st.enroll(t, user, d)
	st.loginStart(t, user, d)
	if _, err := st.DeleteUser(t.Context(), named); err != nil {
		t.Fatal(err)
	}
	_, err = st.GetUser(t.Context(), named)
	wantField(t, err, 400, "userID", "does not exist")
	_, err = st.DeleteUser(t.Context(), named)
	wantField(t, err, 400, "userID", "does not exist")
	if diff := cmp.Diff([]ident.UserID{user}, st.events.erased); diff != "" {
		t.Error(diff)
	}
	st.wantNoTrace(t, user)
	if _, err := st.createUser(t, rest.UserCreateReq{Status: rest.UserStatusActive, ExplicitWebauthnID: ptr("ada")}); err != nil {
		t.Errorf("the user handle of a deleted user is not free: %v", err)
	}
	st.enroll(t, st.user(t), d)
}

// wantNoTrace checks that no bucket holds anything of the user.
func (st *stack) wantNoTrace(t *testing.T, user ident.UserID) {
	t.Helper()
	b := st.buckets
	for _, kv := range []jetstream.KeyValue{b.accounts, b.challenges, b.marks, b.sessionIDs, b.codes} {
		for _, key := range st.keysIn(t, kv) {
			if strings.Contains(key, string(user)) {
				t.Errorf("left over: %s", key)
			}
		}
	}
	for _, kv := range []jetstream.KeyValue{b.index, b.names, b.sessions, b.tokens} {
		st.wantNowhereIn(t, kv, string(user), email)
	}
}

// keysIn returns what a bucket holds of the project.
func (st *stack) keysIn(t *testing.T, kv jetstream.KeyValue) []string {
	t.Helper()
	lister, err := kv.ListKeysFiltered(t.Context(), string(st.project.ID)+".>")
	if err != nil {
		t.Fatal(err)
	}
	var all []string
	for key := range lister.Keys() {
		all = append(all, key)
	}
	return all
}

// wantNowhereIn checks that no entry of the project says any of the texts.
func (st *stack) wantNowhereIn(t *testing.T, kv jetstream.KeyValue, texts ...string) {
	t.Helper()
	for _, key := range st.keysIn(t, kv) {
		entry, err := kv.Get(t.Context(), key)
		for _, text := range texts {
			if err == nil && strings.Contains(strings.ToLower(string(entry.Value())), text) {
				t.Errorf("left over in %s: %s %s", kv.Bucket(), key, entry.Value())
			}
		}
	}
}

func TestAUserWithoutAHandleGetsARandomOne(t *testing.T) {
	t.Parallel()
	st := newStack(t)
	a, b := st.get(t, st.user(t)), st.get(t, st.user(t))
	if len(a.UserHandle) != 32 || len(b.UserHandle) != 32 || string(a.UserHandle) == string(b.UserHandle) || a.ExplicitWebauthnID != nil || a.FullName != nil {
		t.Errorf("accounts: %+v %+v", a, b)
	}
}

func TestBadUsersAreRefused(t *testing.T) {
	t.Parallel()
	st := newStack(t)
	for name, c := range map[string]struct {
		body           rest.UserCreateReq
		field, message string
	}{
		"no status":              {rest.UserCreateReq{}, "status", "cannot be blank"},
		"an unknown status":      {rest.UserCreateReq{Status: "gone"}, "status", "must be one of pending, active, disabled"},
		"an empty user handle":   {rest.UserCreateReq{Status: "active", ExplicitWebauthnID: ptr("")}, "explicitWebauthnID", "must be from 1 to 64 bytes long"},
		"a user handle too long": {rest.UserCreateReq{Status: "active", ExplicitWebauthnID: ptr(strings.Repeat("ä", 33))}, "explicitWebauthnID", "must be from 1 to 64 bytes long"},
		"a name too long":        {rest.UserCreateReq{Status: "active", FullName: ptr(strings.Repeat("ä", 201))}, "fullName", "must be at most 200 characters long"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			_, err := st.createUser(t, c.body)
			wantField(t, err, 400, c.field, c.message)
		})
	}
	user := st.user(t)
	_, err := st.UpdateUser(t.Context(), service.ForUser[rest.UserUpdateReq]{Project: st.project.ID, User: user, Body: rest.UserUpdateReq{Status: ptr(rest.UserStatus("gone"))}})
	wantField(t, err, 400, "status", "must be one of pending, active, disabled")
	_, err = st.UpdateUser(t.Context(), service.ForUser[rest.UserUpdateReq]{Project: st.project.ID, User: "usr-1"})
	wantField(t, err, 400, "userID", "does not exist")
}

func TestAUserHandleBelongsToOneUserOfAProject(t *testing.T) {
	t.Parallel()
	st := newStack(t)
	body := rest.UserCreateReq{Status: rest.UserStatusActive, ExplicitWebauthnID: ptr("ada")}
	var (
		wait    sync.WaitGroup
		mu      sync.Mutex
		created int
	)
	for range 20 {
		wait.Go(func() {
			_, err := st.CreateUser(context.Background(), service.ForProject[rest.UserCreateReq]{Project: st.project.ID, Body: body})
			mu.Lock()
			defer mu.Unlock()
			if err == nil {
				created++
				return
			}
			wantField(t, err, 409, "explicitWebauthnID", "is another user's already")
		})
	}
	wait.Wait()
	if created != 1 {
		t.Errorf("%d users have one user handle", created)
	}
	if _, err := newStack(t).createUser(t, body); err != nil {
		t.Errorf("another project cannot use it: %v", err)
	}
}

func TestAUserHandleWhoseUserWasNeverStoredLapses(t *testing.T) {
	t.Parallel()
	b := openBuckets(t)
	accounts, index := &faulty{KeyValue: b.accounts}, &faulty{KeyValue: b.index}
	b.accounts, b.index = accounts, index
	st := newStackOn(t, b)
	body := rest.UserCreateReq{Status: rest.UserStatusActive, ExplicitWebauthnID: ptr("ada")}
	accounts.failCreates(1)
	index.failPurges(1)
	if _, err := st.createUser(t, body); fault.As(err).Status != 503 {
		t.Fatalf("got %v", err)
	}
	_, err := st.createUser(t, body)
	wantField(t, err, 409, "explicitWebauthnID", "is another user's already")
	st.clock.advance(time.Minute)
	if _, err := st.createUser(t, body); err != nil {
		t.Errorf("the handle did not lapse: %v", err)
	}
	st.clock.advance(time.Hour)
	_, err = st.createUser(t, body)
	wantField(t, err, 409, "explicitWebauthnID", "is another user's already")
}

func TestAnInterruptedDeletionIsRepeated(t *testing.T) {
	t.Parallel()
	for name, interrupt := range map[string]func(st *stack, accounts, challenges, index *faulty){
		"while events are erased":            func(st *stack, _, _, _ *faulty) { st.events.failNext(1) },
		"while challenges are removed":       func(_ *stack, _, challenges, _ *faulty) { challenges.failPurges(1) },
		"while marks are removed":            func(st *stack, _, _, _ *faulty) { st.buckets.marks.(*faulty).failPurges(1) },
		"while the index is cleared":         func(_ *stack, _, _, index *faulty) { index.failPurges(1) },
		"before the account itself is gone":  func(_ *stack, accounts, _, _ *faulty) { accounts.failPurges(1) },
		"before anything at all has changed": func(_ *stack, accounts, _, _ *faulty) { accounts.failUpdates(1) },
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			b := openBuckets(t)
			accounts, challenges, index := &faulty{KeyValue: b.accounts}, &faulty{KeyValue: b.challenges}, &faulty{KeyValue: b.index}
			b.accounts, b.challenges, b.index, b.marks = accounts, challenges, index, &faulty{KeyValue: b.marks}
			st := newStackOn(t, b)
			created, err := st.createUser(t, rest.UserCreateReq{Status: rest.UserStatusActive, ExplicitWebauthnID: ptr("ada")})
			if err != nil {
				t.Fatal(err)
			}
			user, d := ident.UserID(created.UserID), phone()
			data := st.enroll(t, user, d)
			st.enroll(t, user, phone())
			if _, err := st.DeleteCredential(t.Context(), service.ForUser[ident.CredentialID]{Project: st.project.ID, User: user, Body: ident.CredentialID(data.ID)}); err != nil {
				t.Fatal(err)
			}

			interrupt(st, accounts, challenges, index)
			named := service.ForUser[service.Empty]{Project: st.project.ID, User: user}
			if _, err := st.DeleteUser(t.Context(), named); fault.As(err).Status != 503 {
				t.Fatalf("got %v", err)
			}
			if _, _, err := st.accounts.Inspect(t.Context(), st.project.ID, user); err != nil {
				t.Fatalf("the account went first: %v", err)
			}
			if _, err := st.DeleteUser(t.Context(), named); err != nil {
				t.Fatal(err)
			}
			st.wantNoTrace(t, user)
		})
	}
}

func TestACeremonyUnderWayAddsNothingToAUserWhoIsBeingDeleted(t *testing.T) {
	t.Parallel()
	st := newStack(t)
	user, d := st.user(t), phone()
	answer := d.create(t, st.appendStart(t, user, d).AttestationOptions)
	st.events.onErase = func() {
		st.events.onErase = nil
		st.events.mu.Unlock()
		defer st.events.mu.Lock()
		_, err := st.appendFinish(t, user, d, answer)
		wantField(t, err, 400, "userID", "does not exist")
	}
	if _, err := st.DeleteUser(t.Context(), service.ForUser[service.Empty]{Project: st.project.ID, User: user}); err != nil {
		t.Fatal(err)
	}
	st.wantNoTrace(t, user)
}

func TestUsersAreListed(t *testing.T) {
	t.Parallel()
	st := newStack(t)
	for i, name := range []*string{ptr("Grace"), ptr("Ada"), nil, ptr("Barbara")} {
		status := account.StatusActive
		if i == 3 {
			status = account.StatusDisabled
		}
		if _, err := st.createUser(t, rest.UserCreateReq{FullName: name, Status: rest.UserStatus(status)}); err != nil {
			t.Fatal(err)
		}
		st.clock.advance(time.Minute)
	}
	newStack(t).user(t) // of another project

	for name, c := range map[string]struct {
		list  service.List
		want  []string
		items int32
	}{
		"in the order of their creation": {service.List{}, []string{"Grace", "Ada", "", "Barbara"}, 4},
		"by name":                        {service.List{Sort: "name:desc"}, []string{"Grace", "Barbara", "Ada", ""}, 4},
		"by full name":                   {service.List{Sort: "fullName:asc"}, []string{"", "Ada", "Barbara", "Grace"}, 4},
		"of one status":                  {service.List{Filter: []string{"status:eq:disabled"}}, []string{"Barbara"}, 1},
		"created after a time":           {service.List{Filter: []string{"created:gt:2026-11-22T12:01:00"}}, []string{"", "Barbara"}, 2},
		"by a part of the name":          {service.List{Filter: []string{"searchValue:eq:AR"}}, []string{"Barbara"}, 1},
		"by page":                        {service.List{Page: 2, PageSize: 3}, []string{"Barbara"}, 4},
		"beyond the last page":           {service.List{Page: 9}, []string{}, 4},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			list, err := patiently(t, func() (rest.UserList, error) {
				return st.ListUsers(t.Context(), service.ForProject[service.List]{Project: st.project.ID, Body: c.list})
			})
			if err != nil {
				t.Fatal(err)
			}
			got := []string{}
			for _, u := range list.Users {
				got = append(got, fmt.Sprint(*orBlank(u.FullName)))
				if u.EmailIdentifiers == nil || u.PhoneNumberIdentifiers == nil || u.UsernameIdentifiers == nil || u.SocialAccounts == nil {
					t.Errorf("a list is nil: %+v", u)
				}
			}
			if diff := cmp.Diff(c.want, got); diff != "" || list.Paging.TotalItems != c.items {
				t.Errorf("%s, paging %+v", diff, list.Paging)
			}
		})
	}
	_, err := st.ListUsers(t.Context(), service.ForProject[service.List]{Project: st.project.ID, Body: service.List{Sort: "email:asc"}})
	if f := fault.As(err); len(f.Validation) != 1 || f.Validation[0].Field != "sort" {
		t.Errorf("got %v", err)
	}
}

func orBlank(s *string) *string {
	if s == nil {
		return ptr("")
	}
	return s
}

func TestCredentialsAreListedAndDeleted(t *testing.T) {
	t.Parallel()
	st := newStack(t)
	user := st.user(t)
	first := st.enroll(t, user, phone())
	st.clock.advance(time.Minute)
	second := st.enroll(t, user, securityKey())

	list := func(l service.List) []string {
		t.Helper()
		rsp, err := st.ListCredentials(t.Context(), service.ForUser[service.List]{Project: st.project.ID, User: user, Body: l})
		if err != nil {
			t.Fatal(err)
		}
		ids := []string{}
		for _, c := range rsp.Credentials {
			ids = append(ids, c.ID)
		}
		return ids
	}
	for name, c := range map[string]struct {
		list service.List
		want []string
	}{
		"in the order of creation": {service.List{}, []string{first.ID, second.ID}},
		"newest first":             {service.List{Sort: "created:desc"}, []string{second.ID, first.ID}},
		"by backup state":          {service.List{Filter: []string{"backupState:eq:false"}}, []string{second.ID}},
		"by system and browser":    {service.List{Filter: []string{"osName:eq:macOS", "browserName:eq:Safari", "status:eq:active", "userID:eq:" + string(user)}}, []string{first.ID, second.ID}},
		"by status":                {service.List{Filter: []string{"status:eq:pending"}}, []string{}},
	} {
		if diff := cmp.Diff(c.want, list(c.list)); diff != "" {
			t.Errorf("%s: %s", name, diff)
		}
	}

	remove := func(user ident.UserID, id string) error {
		_, err := st.DeleteCredential(t.Context(), service.ForUser[ident.CredentialID]{Project: st.project.ID, User: user, Body: ident.CredentialID(id)})
		return err
	}
	wantField(t, remove(st.user(t), first.ID), 400, "credentialID", "does not exist")
	wantField(t, remove("usr-1", first.ID), 400, "userID", "does not exist")
	if err := remove(user, first.ID); err != nil {
		t.Fatal(err)
	}
	wantField(t, remove(user, first.ID), 400, "credentialID", "does not exist")
	if diff := cmp.Diff([]string{second.ID}, list(service.List{})); diff != "" {
		t.Error(diff)
	}
	if d := st.get(t, user).Deleted; len(d) != 1 || d[0].ID != ident.CredentialID(first.ID) {
		t.Errorf("tombstones: %+v", d)
	}
	_, err := st.ListCredentials(t.Context(), service.ForUser[service.List]{Project: st.project.ID, User: "usr-1"})
	wantField(t, err, 400, "userID", "does not exist")
}

func TestTombstonesAreBounded(t *testing.T) {
	t.Parallel()
	st := newStack(t)
	user := st.user(t)
	if _, err := st.accounts.Update(t.Context(), st.project.ID, user, func(a *account.Account) error {
		for i := range 100 {
			a.Deleted = append(a.Deleted, account.Tombstone{ID: ident.CredentialID(fmt.Sprintf("cre-%d", i)), CredentialID: []byte{byte(i)}})
		}
		return nil
	}); err != nil {
		t.Fatal(err)
	}
	data := st.enroll(t, user, phone())
	if _, err := st.DeleteCredential(t.Context(), service.ForUser[ident.CredentialID]{Project: st.project.ID, User: user, Body: ident.CredentialID(data.ID)}); err != nil {
		t.Fatal(err)
	}
	if d := st.get(t, user).Deleted; len(d) != 100 || d[0].ID != "cre-1" || string(d[99].ID) != data.ID {
		t.Errorf("%d tombstones from %v to %v", len(d), d[0].ID, d[len(d)-1].ID)
	}
}

func TestChallengesAreListedAndMoveForward(t *testing.T) {
	t.Parallel()
	st := newStack(t)
	user, d := st.user(t), phone()
	st.enroll(t, user, d)
	st.clock.advance(time.Second)
	st.loginStart(t, user, d)
	st.clock.advance(10 * time.Minute)

	all := st.challenges(t, user)
	if len(all) != 2 || all[0].Type != rest.PasskeyChallengeTypeAuthenticate || all[0].Status != rest.PasskeyChallengeStatusPending {
		t.Fatalf("challenges: %+v", all)
	}
	want := rest.PasskeyChallenge{
		ChallengeID: all[0].ChallengeID, Value: all[0].Value, Type: rest.PasskeyChallengeTypeAuthenticate, Status: rest.PasskeyChallengeStatusPending,
		Created: started.Unix() + 1, CreatedMs: started.UnixMilli() + 1000, Expires: started.Unix() + 301,
	}
	if diff := cmp.Diff(want, all[0]); diff != "" {
		t.Error(diff)
	}
	for filter, n := range map[string]int{
		"type:eq:register": 1, "status:eq:completed": 1, "status:eq:consumed": 0, "userID:eq:" + string(user): 2, "projectID:eq:" + string(st.project.ID): 2, "projectID:eq:pro-404": 0,
		"created:gt:2026-11-22T12:00:00": 1,
	} {
		if got := len(st.challenges(t, user, filter)); got != n {
			t.Errorf("%s: %d challenges, want %d", filter, got, n)
		}
	}

	patch := func(user ident.UserID, id string, status rest.PasskeyChallengeStatus) (rest.PasskeyChallenge, error) {
		return st.UpdateChallenge(t.Context(), service.ForUser[service.ChallengePatch]{
			Project: st.project.ID, User: user, Body: service.ChallengePatch{ID: ident.ChallengeID(id), Status: status},
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
	wantField(t, err, 400, "status", "cannot go back from consumed to pending")
	_, err = patch(user, want.ChallengeID, "completed")
	wantField(t, err, 400, "status", "cannot go back from consumed to completed")
	_, err = patch(user, want.ChallengeID, "expired")
	wantField(t, err, 400, "status", "must be one of pending, completed, consumed")
	_, err = patch(user, "was-404", "consumed")
	wantField(t, err, 400, "passkeyChallengeID", "does not exist")
	_, err = patch(st.user(t), want.ChallengeID, "consumed")
	wantField(t, err, 400, "passkeyChallengeID", "does not exist")
	_, err = patch("usr-1", want.ChallengeID, "consumed")
	wantField(t, err, 400, "userID", "does not exist")

	st.clock.advance(5*time.Minute - time.Second)
	if left := st.challenges(t, user); len(left) != 1 {
		t.Errorf("older than challenge_max_age: %+v", left)
	}
	st.clock.advance(time.Second)
	if left := st.challenges(t, user); len(left) != 0 {
		t.Errorf("older than challenge_max_age: %+v", left)
	}
	_, err = patch(user, want.ChallengeID, "consumed")
	wantField(t, err, 400, "passkeyChallengeID", "does not exist")
}
