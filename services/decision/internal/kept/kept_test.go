package kept_test

import (
	"encoding/json"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"

	"github.com/keyward/keyward/api/rest"
	"github.com/keyward/keyward/core/account"
	"github.com/keyward/keyward/core/event"
	"github.com/keyward/keyward/core/ident"
	"github.com/keyward/keyward/core/metadata"
	"github.com/keyward/keyward/core/service"
	"github.com/keyward/keyward/services/decision/internal/kept"
)

func TestNothingIsKeptThatNamesABrowserOrAnAddress(t *testing.T) {
	t.Parallel()
	text := func(s string) *string { return &s }
	q := service.Question{Client: rest.ClientInformation{
		UserAgent: strings.Repeat(
			"a", 2000,
		),
		ClientEnvHandle:       text("secret-handle"),
		JavascriptFingerprint: text("secret-print"),
		VisitorID:             text("secret-visitor"),
		ClientEnvHandleMeta:   &rest.ClientEnvHandleMeta{},
	}}
	for given, want := range map[string]string{
		"203.0.113.77":                  "203.0.113.0/24",
		"203.0.113.77:4711":             "203.0.113.0/24",
		"[2001:db8:1:2::3]:443":         "2001:db8:1::/48",
		"::ffff:203.0.113.77":           "203.0.113.0/24",
		"203.0.113.77, 10.0.0.1":        "",
		"":                              "",
		"the address is not an address": "",
	} {
		q.Client.RemoteAddress = given
		k := kept.Keep(&q, nil)
		if k.Client.RemoteAddress != want {
			t.Errorf("of %q is kept %q, want %q", given, k.Client.RemoteAddress, want)
		}
		if raw := string(
			k.AppendJSON(nil),
		); strings.Contains(raw, "secret") || strings.Contains(raw, ".77") || strings.Contains(raw, "EnvHandle") ||
			len(raw) > 1500 {
			t.Errorf("kept is %s", raw)
		}
	}
}

func TestAQuestionIsRestoredAsItWasAskedUpToItsAddress(t *testing.T) {
	t.Parallel()
	some := rapid.SampledFrom([]string{"", "Windows", "internal", "hybrid"})
	rapid.Check(t, func(t *rapid.T) {
		asked := service.Question{
			Project: "pro-1", Process: "p", LookupFailed: rapid.Bool().Draw(t, "failed"),
			Environment: service.Environment{ID: "env-1", Known: rapid.Bool().Draw(t, "known"), Rejected: rapid.Bool().Draw(t, "rejected")},
			Client:      rest.ClientInformation{UserAgent: some.Draw(t, "agent"), RemoteAddress: "203.0.113.0"},
		}
		if rapid.Bool().Draw(t, "user") {
			asked.Account = &account.Account{Project: "pro-1", ID: "usr-1", Status: account.StatusActive}
			for i := range rapid.IntRange(0, 3).Draw(t, "passkeys") {
				asked.Account.Credentials = append(asked.Account.Credentials, account.Credential{
					ID:           ident.CredentialID("cre-" + strconv.Itoa(i)),
					CredentialID: []byte{byte(i)},
					AAGUID:       some.Draw(t, "aaguid"),
					Transports: rapid.SliceOfN(some, 1, 3).
						Draw(t, "transports"),
					Attachment:     some.Draw(t, "attachment"),
					BackupEligible: rapid.Bool().Draw(t, "eligible"),
					CreatedOS: some.Draw(
						t, "os",
					),
					CreatedBrowser: some.Draw(t, "browser"),
					Environment:    "env-1",
					CreatedMs:      rapid.Int64Range(0, 1e12).Draw(t, "at"),
					UsedOn:         rapid.SliceOfN(some, 1, 3).Draw(t, "used"),
				})
				asked.Account.Deleted = append(asked.Account.Deleted, account.Tombstone{ID: "cre-9", CredentialID: []byte{9}, DeletedMs: 1})
			}
		}
		var read kept.Question
		if err := json.Unmarshal(kept.Keep(&asked, nil).AppendJSON(nil), &read); err != nil {
			t.Fatal(err)
		}
		if diff := cmp.Diff(asked, read.Restore("pro-1", "usr-1", "p")); diff != "" {
			t.Fatalf("(-asked +restored)\n%s", diff)
		}
	})
}

// happened is a log: events by their IDs, deletions as -ID.
func happened(ids ...string) []event.Event {
	var log []event.Event
	for i, id := range ids {
		e := event.Event{ID: ident.EventID(id), Type: event.LoginError, CreatedMs: int64(i)}
		if gone, deletes := strings.CutPrefix(id, "-"); deletes {
			e = event.Event{ID: ident.EventID(fmt.Sprint("d", i)), Type: event.Deleted, Deletes: ident.EventID(gone), CreatedMs: int64(i)}
		}
		log = append(log, e)
	}
	return log
}

func TestWhatHadBeenReadIsFoundInTheLog(t *testing.T) {
	t.Parallel()
	for sentence, c := range map[string]struct {
		read, log []string
		want      []string // that count; nil = they cannot be found
	}{
		"nothing had happened, and nothing has":                    {nil, nil, []string{}},
		"what happened since does not count":                       {[]string{"a", "b"}, []string{"a", "b", "c"}, []string{"a", "b"}},
		"nothing had happened, and something has since":            {nil, []string{"a"}, []string{}},
		"what was deleted since counts":                            {[]string{"a", "b"}, []string{"a", "b", "-a"}, []string{"a", "b"}},
		"what had been deleted does not":                           {[]string{"a", "b", "-a"}, []string{"a", "b", "-a", "c"}, []string{"b"}},
		"what was deleted before it came does not":                 {[]string{"-a", "a", "b"}, []string{"-a", "a", "b"}, []string{"b"}},
		"what came twice counts once":                              {[]string{"a", "b"}, []string{"a", "a", "b"}, []string{"a", "b"}},
		"the oldest has been dropped":                              {[]string{"a", "b"}, []string{"b", "c"}, nil},
		"all has been erased":                                      {[]string{"a", "b"}, nil, nil},
		"as many are there, but others":                            {[]string{"a", "b"}, []string{"b", "c"}, nil},
		"the deletion was dropped with what it deleted":            {[]string{"a", "b", "-a"}, []string{"b", "-a"}, []string{"b"}},
		"what was deleted was dropped, and not what had been read": {[]string{"a", "b", "-a"}, []string{"b"}, []string{"b"}},
	} {
		found, ok := kept.NewRead(event.NewSet(happened(c.read...)), nil, "").Within(happened(c.log...))
		if ok != (c.want != nil) {
			t.Errorf("%s: found %v", sentence, ok)
			continue
		}
		count := []string{}
		for _, e := range event.NewSet(found).All() {
			count = append(count, string(e.ID))
		}
		slices.Sort(count)
		if ok && !slices.Equal(count, c.want) {
			t.Errorf("%s: %v count, want %v", sentence, count, c.want)
		}
	}
}

func TestWhateverIsReadIsFoundAgainInEveryLongerLog(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		ids := rapid.SliceOfN(rapid.SampledFrom([]string{"a", "b", "c", "d", "e", "-a", "-b", "-c"}), 0, 12).Draw(t, "log")
		log := happened(ids...)
		until := rapid.IntRange(0, len(log)).Draw(t, "until")
		read := event.NewSet(log[:until])
		found, ok := kept.NewRead(read, nil, "").Within(log)
		if !ok {
			t.Fatal("not found")
		}
		if diff := cmp.Diff(ofIDs(read.All()), ofIDs(event.NewSet(found).Live())); diff != "" {
			t.Fatalf("(-read +found)\n%s", diff)
		}
	})
}

func ofIDs(events []event.Event) []ident.EventID {
	ids := make([]ident.EventID, 0, len(events))
	for i := range events {
		ids = append(ids, events[i].ID)
	}
	slices.Sort(ids)
	return ids
}

func TestWhatEndedACeremonyIsKeptWhole(t *testing.T) {
	t.Parallel()
	for name, q := range map[string]service.FinishQuestion{
		"a login": {
			UV: true, Login: &service.FinishedLogin{Route: event.Local, Counter: service.CounterOK, BackupChanged: true},
			Passkey: account.Credential{
				ID: "cre-1", CredentialID: []byte("a"), AAGUID: "b", BackupEligible: true, BackupState: true, CreatedMs: 1, LastUsedMs: 2,
			},
		},
		"a login with what its maker vouches for": {
			Login: &service.FinishedLogin{},
			Passkey: account.Credential{
				ID: "cre-3", CredentialID: []byte("d"), AAGUID: "e", Attestation: &account.Attestation{Format: "packed", Trust: "verified"},
			},
		},
		"a creation": {Conditional: true, Passkey: account.Credential{ID: "cre-2", CredentialID: []byte("c"), CreatedMs: 3}},
	} {
		raw, err := json.Marshal(kept.KeepFinish(&q, nil))
		if err != nil {
			t.Fatal(err)
		}
		var back kept.Finish
		if err := json.Unmarshal(raw, &back); err != nil {
			t.Fatal(err)
		}
		var again service.FinishQuestion
		if back.Restore(&again); !cmp.Equal(again, q) {
			t.Errorf("%s: %s", name, cmp.Diff(q, again))
		}
	}
}

func TestWhatHasBecomeOfAModelIsKeptAsItWasAtTheDecision(t *testing.T) {
	t.Parallel()
	of := func(id ident.CredentialID, aaguid string) account.Credential {
		return account.Credential{ID: id, AAGUID: aaguid}
	}
	said := map[string]metadata.Standing{"a": {Status: metadata.Revoked}, "b": {Status: metadata.OK, Level: 3}}
	standing := func(c *account.Credential) metadata.Standing {
		if is, known := said[c.AAGUID]; known {
			return is
		}
		return metadata.Standing{Status: metadata.Unknown}
	}
	asked := service.Question{Account: &account.Account{Credentials: []account.Credential{of("cre-1", "a"), of("cre-2", "none")}}}
	created := service.FinishQuestion{Passkey: of("cre-3", "b")}
	k := kept.Keep(&asked, standing)
	k.Finish = kept.KeepFinish(&created, standing)
	var back kept.Question
	if err := json.Unmarshal(k.AppendJSON(nil), &back); err != nil {
		t.Fatal(err)
	}
	for _, c := range append(asked.Account.Credentials, created.Passkey, of("cre-4", "a of another")) {
		if got, want := back.Standing(&c), standing(&c); got != want {
			t.Errorf("%s is %+v, want %+v", c.ID, got, want)
		}
	}
}

func TestPropertyAQuestionIsAppendedAsTheLibraryWritesIt(t *testing.T) {
	t.Parallel()
	texts := []string{"", "plain", "<a href=\"x\">&</a>", "\\ \x00 \n \u2028 \x7f é", "no UTF-8: \xff"}
	rapid.Check(t, func(t *rapid.T) {
		q := rapid.Make[kept.Question]().Draw(t, "question")
		q.Client.UserAgent = rapid.SampledFrom(texts).Draw(t, "text")
		want, err := json.Marshal(q)
		if err != nil {
			t.Fatal(err)
		}
		if got := q.AppendJSON([]byte("before")); string(got) != "before"+string(want) {
			t.Fatalf("got  %s\nwant before%s", got, want)
		}
	})
}
