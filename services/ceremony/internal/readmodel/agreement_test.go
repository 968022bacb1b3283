package readmodel_test

import (
	"cmp"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	gocmp "github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"

	"github.com/keyward/keyward/api/rest"
	"github.com/keyward/keyward/core/account"
	"github.com/keyward/keyward/core/ident"
	"github.com/keyward/keyward/core/listing"
	"github.com/keyward/keyward/core/service"
	"github.com/keyward/keyward/services/ceremony/internal/connecttoken"
	"github.com/keyward/keyward/services/ceremony/internal/session"
)

// The lists as they would be in memory: what the read model must agree with.

type owned[T any] struct {
	account account.Account
	of      T
}

func number(id string) int64 {
	n, _ := strconv.ParseUint(id[strings.LastIndexByte(id, '-')+1:], 10, 64)
	return int64(n)
}

func fullName(a account.Account) string {
	if a.FullName == nil {
		return ""
	}
	return *a.FullName
}

var userFields = map[string]listing.Field[account.Account]{
	"id":       listing.String(func(a account.Account) string { return string(a.ID) }),
	"name":     listing.String(fullName),
	"fullName": listing.String(fullName),
	"status":   listing.String(func(a account.Account) string { return string(a.Status) }),
	"created":  listing.Time(func(a account.Account) int64 { return a.CreatedMs }),
	"updated":  listing.Time(func(a account.Account) int64 { return a.UpdatedMs }),
	"searchValue": listing.Search(func(a account.Account) []string {
		var texts []string
		if a.FullName != nil {
			texts = append(texts, *a.FullName)
		}
		for _, i := range a.Identifiers {
			texts = append(texts, i.Value)
		}
		return texts
	}),
}

var identifierFields = map[string]listing.Field[owned[account.Identifier]]{
	"userID":         listing.String(func(i owned[account.Identifier]) string { return string(i.account.ID) }),
	"identifierType": listing.String(func(i owned[account.Identifier]) string { return string(i.of.Type) }),
	"identifierValue": listing.String(func(i owned[account.Identifier]) string {
		return i.of.Value
	}),
}

var socialFields = map[string]listing.Field[owned[account.SocialAccount]]{
	"providerType": listing.String(func(s owned[account.SocialAccount]) string { return string(s.of.Provider) }),
	"foreignID":    listing.String(func(s owned[account.SocialAccount]) string { return s.of.ForeignID }),
}

var sessionFields = map[string]listing.Field[session.Session]{
	"ID":         listing.String(func(s session.Session) string { return string(s.ID) }),
	"userID":     listing.String(func(s session.Session) string { return string(s.User) }),
	"expires":    listing.Time(func(s session.Session) int64 { return s.ExpiresMs }),
	"lastAction": listing.Time(func(s session.Session) int64 { return s.LastActionMs }),
	"created":    listing.Time(func(s session.Session) int64 { return s.CreatedMs }),
	"updated":    listing.Time(func(s session.Session) int64 { return s.UpdatedMs }),
	"status":     listing.String(func(s session.Session) string { return string(s.At(started)) }),
}

var tokenFields = map[string]listing.Field[connecttoken.Token]{
	"token":     listing.String(func(t connecttoken.Token) string { return string(t.ID) }),
	"tokenType": listing.String(func(t connecttoken.Token) string { return string(t.Type) }),
	"status":    listing.String(func(t connecttoken.Token) string { return string(t.Status) }),
	"expires":   listing.Int(func(t connecttoken.Token) int64 { return t.ExpiresMs / 1000 }),
}

// Random data. Values are few, so that filters find some and sorts meet equals.

var (
	words = rapid.SampledFrom(
		[]string{"Ada", "ada lovelace", "GRACE", "Łukasz", "a\"b", "x'; DROP TABLE users;--", "", "%_", "péter", "日本語の名前", "a:b:c", "\x1f", "zz"},
	)
	values = rapid.SampledFrom(
		[]string{"ada@example.com", "Ada@Example.com", "+4915112345678", "grace", "Grace", "łu@example.com", "a\"b", "usr-1", "x:y", "日本語"},
	)
	moments  = rapid.Map(rapid.Int64Range(-2, 3000), func(n int64) int64 { return started.UnixMilli() + n - 1500 })
	statuses = rapid.SampledFrom([]account.Status{account.StatusActive, account.StatusPending, account.StatusDisabled})
)

func distinct[T ~string](t *rapid.T, name string, used map[T]bool, make func(int) T) T {
	n := rapid.IntRange(1, 60).Draw(t, name)
	for used[make(n)] {
		n++
	}
	used[make(n)] = true
	return make(n)
}

func drawAccounts(t *rapid.T, project ident.ProjectID) []account.Account {
	users, identifiers, socials := map[ident.UserID]bool{}, map[ident.IdentifierID]bool{}, map[ident.SocialAccountID]bool{}
	all := make([]account.Account, rapid.IntRange(0, 25).Draw(t, "users"))
	for i := range all {
		a := account.Account{
			Project: project, ID: distinct(t, "user", users, func(n int) ident.UserID { return ident.UserID(fmt.Sprintf("usr-%d", n)) }),
			Status: statuses.Draw(t, "status"), CreatedMs: moments.Draw(t, "created"), UpdatedMs: moments.Draw(t, "updated"),
			FullName: rapid.Ptr(words, true).Draw(t, "name"), ExplicitWebauthnID: rapid.Ptr(words, true).Draw(t, "webauthn"),
			Credentials: []account.Credential{{PublicKey: []byte("key")}},
		}
		for range rapid.IntRange(0, 3).Draw(t, "identifiers") {
			a.Identifiers = append(a.Identifiers, account.Identifier{
				ID:    distinct(t, "identifier", identifiers, func(n int) ident.IdentifierID { return ident.IdentifierID(fmt.Sprintf("ide-%d", n)) }),
				Type:  rapid.SampledFrom([]account.IdentifierType{"email", "phone", "username"}).Draw(t, "type"),
				Value: values.Draw(t, "value"),
				Status: rapid.SampledFrom([]account.IdentifierStatus{"pending", "primary", "verified"}).
					Draw(t, "status"),
				CreatedMs: moments.Draw(t, "created"),
			})
		}
		for range rapid.IntRange(0, 2).Draw(t, "socials") {
			a.SocialAccounts = append(a.SocialAccounts, account.SocialAccount{
				ID: distinct(t, "social", socials, func(n int) ident.SocialAccountID { return ident.SocialAccountID(fmt.Sprintf("soc-%d", n)) }),
				Provider: rapid.SampledFrom([]account.SocialProvider{"google", "github", "microsoft"}).
					Draw(t, "provider"),
				ForeignID: values.Draw(t, "foreignID"),
				IdentifierValue: values.Draw(
					t, "value",
				),
				AvatarURL: words.Draw(t, "avatar"),
				FullName:  words.Draw(t, "name"),
				CreatedMs: moments.Draw(t, "created"),
			})
		}
		all[i] = a
	}
	return all
}

// drawList asks for any page, mostly in a way that can be answered.
func drawList(t *rapid.T, fields []string) service.List {
	field := rapid.SampledFrom(append(fields, "color"))
	value := rapid.OneOf(words, values, rapid.SampledFrom([]string{
		"active",
		"email",
		"google",
		"initial",
		"expired",
		"1",
		"17",
		"ad",
		"a",
		"example",
		"本語の",
		started.Format("2006-01-02T15:04:05"),
		started.Add(time.Second).Format(time.RFC3339Nano),
		strconv.FormatInt(
			started.UnixMilli(), 10,
		),
		strconv.FormatInt(started.Unix(), 10),
		"9223372036854775807",
		"-9223372036854775808",
		"usr-7",
		"\xff\xfe",
		"nul\x00",
	}))
	list := service.List{
		Page:     rapid.IntRange(-1, 8).Draw(t, "page"),
		PageSize: rapid.SampledFrom([]int{0, 1, 2, 3, 7, 1000, 1001, -1}).Draw(t, "size"),
	}
	if rapid.Bool().Draw(t, "sorted") {
		list.Sort = field.Draw(t, "sort") + ":" + rapid.SampledFrom([]string{"asc", "desc", "desc", "asc", "up"}).Draw(t, "direction")
	}
	for range rapid.IntRange(0, 3).Draw(t, "filters") {
		list.Filter = append(
			list.Filter,
			field.Draw(t, "filter")+":"+rapid.SampledFrom([]string{"eq", "gt", "lt", "eq", "ne"}).Draw(t, "op")+":"+value.Draw(t, "filter value"),
		)
	}
	return list
}

// expect pages items that are in memory. Rows that compare equal are in the list's own order, or in its reverse under a descending sort.
func expect[T any](items []T, list service.List, fields map[string]listing.Field[T], own func(a, b T) int) ([]T, listing.Paging, error) {
	items = slices.Clone(items)
	slices.SortFunc(items, own)
	if strings.HasSuffix(list.Sort, ":desc") {
		slices.Reverse(items)
	}
	return listing.Apply(items, list, fields, "")
}

func prefixUsers(list service.List, field string) service.List {
	list.Filter = slices.Clone(list.Filter)
	for i, filter := range list.Filter {
		parts := strings.SplitN(filter, ":", 3)
		if len(parts) == 3 && parts[0] == field && !strings.HasPrefix(parts[2], "usr-") {
			list.Filter[i] = parts[0] + ":" + parts[1] + ":usr-" + parts[2]
		}
	}
	return list
}

func compareFault(t *rapid.T, want, got error) bool {
	if (want == nil) != (got == nil) || want != nil && want.Error() != got.Error() {
		t.Fatalf("want the error %v, got %v", want, got)
	}
	return want == nil
}

func compare(t *rapid.T, list service.List, want, got any) {
	if diff := gocmp.Diff(want, got); diff != "" {
		t.Fatalf("%+v\n(-want +got):\n%s", list, diff)
	}
}

func names[T any](fields map[string]listing.Field[T]) []string {
	var all []string
	for name := range fields {
		all = append(all, name)
	}
	slices.Sort(all)
	return all
}

func identifierOf(user ident.UserID, i account.Identifier) rest.Identifier {
	return rest.Identifier{
		IdentifierID: string(i.ID), UserID: string(user), Type: rest.IdentifierType(i.Type), Value: i.Value,
		Status: rest.IdentifierStatus(i.Status),
	}
}

func socialOf(user ident.UserID, s account.SocialAccount) rest.SocialAccount {
	return rest.SocialAccount{
		SocialAccountID: string(
			s.ID,
		),
		UserID:          string(user),
		ProviderType:    rest.SocialProviderType(s.Provider),
		ForeignID:       s.ForeignID,
		IdentifierValue: s.IdentifierValue,
		AvatarURL:       s.AvatarURL,
		FullName:        s.FullName,
	}
}

func aggregateOf(a account.Account) rest.UserAggregate {
	u := rest.UserAggregate{
		UserID: string(
			a.ID,
		),
		FullName:           a.FullName,
		Status:             rest.UserStatus(a.Status),
		ExplicitWebauthnID: a.ExplicitWebauthnID,
		Created:            account.Timestamp(a.CreatedMs),
		CreatedMS:          a.CreatedMs,
		Updated: account.Timestamp(
			a.UpdatedMs,
		),
		UpdatedMs:              a.UpdatedMs,
		EmailIdentifiers:       []rest.Identifier{},
		PhoneNumberIdentifiers: []rest.Identifier{},
		UsernameIdentifiers:    []rest.Identifier{},
		SocialAccounts:         []rest.SocialAccount{},
	}
	for _, i := range a.Identifiers {
		of := map[account.IdentifierType]*[]rest.Identifier{
			"email":    &u.EmailIdentifiers,
			"phone":    &u.PhoneNumberIdentifiers,
			"username": &u.UsernameIdentifiers,
		}[i.Type]
		*of = append(*of, identifierOf(a.ID, i))
	}
	for _, s := range a.SocialAccounts {
		u.SocialAccounts = append(u.SocialAccounts, socialOf(a.ID, s))
	}
	return u
}

func mapped[T, U any](items []T, f func(T) U) []U {
	out := make([]U, len(items))
	for i, item := range items {
		out[i] = f(item)
	}
	return out
}

func byCreated[T any](created func(T) int64, num func(T) int64) func(a, b T) int {
	return func(a, b T) int { return cmp.Or(cmp.Compare(created(a), created(b)), cmp.Compare(num(a), num(b))) }
}

func TestListsOfAccountsAgreeWithListsInMemory(t *testing.T) {
	t.Parallel()
	st := newStorage(t)
	m := newModel(t, st, "")
	rapid.Check(t, func(rt *rapid.T) {
		project := ident.NewProjectID()
		all := drawAccounts(rt, project)
		for _, a := range all {
			st.putUser(t, a)
		}
		// Some change, some go.
		for i := range all {
			if rapid.IntRange(0, 4).Draw(rt, "changes") == 0 {
				all[i].FullName, all[i].Status = rapid.Ptr(words, true).Draw(rt, "new name"), statuses.Draw(rt, "new status")
				if len(all[i].Identifiers) > 0 {
					all[i].Identifiers = all[i].Identifiers[1:]
				}
				st.putUser(t, all[i])
			}
		}
		all = slices.DeleteFunc(all, func(a account.Account) bool {
			switch rapid.IntRange(0, 9).Draw(rt, "goes") {
			case 0:
				if err := st.accounts.Purge(t.Context(), string(project)+"."+string(a.ID)); err != nil {
					t.Fatal(err)
				}
			case 1:
				a.Erasing = true
				st.putUser(t, a)
			default:
				return false
			}
			return true
		})
		var identifiers []owned[account.Identifier]
		var socials []owned[account.SocialAccount]
		for _, a := range all {
			for _, i := range a.Identifiers {
				identifiers = append(identifiers, owned[account.Identifier]{a, i})
			}
			for _, s := range a.SocialAccounts {
				socials = append(socials, owned[account.SocialAccount]{a, s})
			}
		}
		for range 4 {
			list := drawList(rt, names(userFields))
			want, paging, err := expect(all, prefixUsers(list, "id"), userFields,
				byCreated(func(a account.Account) int64 { return a.CreatedMs }, func(a account.Account) int64 { return number(string(a.ID)) }))
			got, gotErr := m.Users(t.Context(), project, list)
			if compareFault(rt, err, gotErr) {
				compare(rt, list, rest.UserList{Users: mapped(want, aggregateOf), Paging: rest.Paging(paging)}, got)
			}
		}
		for range 4 {
			list := drawList(rt, names(identifierFields))
			if slices.ContainsFunc(list.Filter, func(f string) bool { return strings.HasPrefix(f, "identifierValue:eq:") }) {
				continue // such values are compared as identifiers are
			}
			want, paging, err := expect(
				identifiers,
				prefixUsers(list, "userID"),
				identifierFields,
				byCreated(
					func(i owned[account.Identifier]) int64 { return i.of.CreatedMs },
					func(i owned[account.Identifier]) int64 { return number(string(i.of.ID)) },
				),
			)
			got, gotErr := m.Identifiers(t.Context(), project, list)
			if compareFault(rt, err, gotErr) {
				compare(rt, list, rest.IdentifierList{
					Identifiers: mapped(
						want, func(i owned[account.Identifier]) rest.Identifier { return identifierOf(i.account.ID, i.of) },
					),
					Paging: rest.Paging(paging),
				}, got)
			}
		}
		for range 2 {
			list := drawList(rt, names(socialFields))
			want, paging, err := expect(
				socials,
				list,
				socialFields,
				byCreated(
					func(s owned[account.SocialAccount]) int64 { return s.of.CreatedMs },
					func(s owned[account.SocialAccount]) int64 { return number(string(s.of.ID)) },
				),
			)
			got, gotErr := m.SocialAccounts(t.Context(), project, list)
			if compareFault(rt, err, gotErr) {
				compare(rt, list, rest.SocialAccountList{
					SocialAccounts: mapped(
						want, func(s owned[account.SocialAccount]) rest.SocialAccount { return socialOf(s.account.ID, s.of) },
					),
					Paging: rest.Paging(paging),
				}, got)
			}
		}
	})
}

func TestSessionsAndTokensAgreeWithListsInMemory(t *testing.T) {
	t.Parallel()
	st := newStorage(t)
	m := newModel(t, st, "")
	rapid.Check(t, func(rt *rapid.T) {
		project := ident.NewProjectID()
		sessionIDs, tokenIDs := map[ident.SessionID]bool{}, map[ident.ConnectTokenID]bool{}
		var ss []session.Session
		for range rapid.IntRange(0, 20).Draw(rt, "sessions") {
			s := session.Session{
				Project: project,
				ID:      distinct(rt, "session", sessionIDs, func(n int) ident.SessionID { return ident.SessionID(fmt.Sprintf("S%029d", n)) }),
				User:    ident.UserID(fmt.Sprintf("usr-%d", rapid.IntRange(1, 9).Draw(rt, "user"))),
				IdentifierValue: values.Draw(
					rt, "value",
				),
				Status:       rapid.SampledFrom([]rest.SessionStatus{"active", "active", "logged_out", "revoked"}).Draw(rt, "status"),
				CreatedMs:    moments.Draw(rt, "created"),
				UpdatedMs:    moments.Draw(rt, "updated"),
				LastActionMs: moments.Draw(rt, "used"),
				ExpiresMs:    moments.Draw(rt, "expires"),
				IdleMs:       moments.Draw(rt, "idle"),
			}
			if rapid.IntRange(0, 3).Draw(rt, "changes") == 0 {
				st.putSession(t, s)
				s.Status = rest.SessionStatusRevoked
			}
			st.putSession(t, s)
			if rapid.IntRange(0, 9).Draw(rt, "goes") == 0 {
				if err := st.sessions.Delete(t.Context(), string(project)+"."+string(s.ID)); err != nil {
					t.Fatal(err)
				}
				continue
			}
			ss = append(ss, s)
		}
		var ts []connecttoken.Token
		for range rapid.IntRange(0, 20).Draw(rt, "tokens") {
			c := connecttoken.Token{
				Project: project,
				ID:      distinct(rt, "token", tokenIDs, func(n int) ident.ConnectTokenID { return ident.ConnectTokenID(fmt.Sprintf("ctk-%d", n)) }),
				Type: rapid.SampledFrom([]rest.ConnectTokenType{"passkey-append", "passkey-login"}).
					Draw(rt, "type"),
				Identifier:  values.Draw(rt, "value"),
				DisplayName: words.Draw(rt, "name"),
				Status:      rapid.SampledFrom([]rest.ConnectTokenStatus{"initial", "consumed"}).Draw(rt, "status"),
				SecretHash:  []byte("hash"),
				CreatedMs:   moments.Draw(rt, "created"),
				ExpiresMs:   moments.Draw(rt, "expires"),
			}
			st.putToken(t, c)
			ts = append(ts, c)
		}
		for range 4 {
			list := drawList(rt, names(sessionFields))
			own := func(a, b session.Session) int {
				return cmp.Or(cmp.Compare(a.CreatedMs, b.CreatedMs), cmp.Compare(a.ID, b.ID))
			}
			want, paging, err := expect(ss, prefixUsers(list, "userID"), sessionFields, own)
			got, gotErr := m.Sessions(t.Context(), project, started, list)
			if compareFault(rt, err, gotErr) {
				compare(rt, list, rest.SessionList{Sessions: mapped(want, sessionOf), Paging: rest.Paging(paging)}, got)
			}
		}
		for range 4 {
			list := drawList(rt, names(tokenFields))
			own := func(a, b connecttoken.Token) int {
				return cmp.Or(cmp.Compare(a.CreatedMs, b.CreatedMs), cmp.Compare(a.ID, b.ID))
			}
			want, paging, err := expect(ts, list, tokenFields, own)
			got, gotErr := m.Tokens(t.Context(), project, list)
			if compareFault(rt, err, gotErr) {
				compare(rt, list, rest.ConnectTokenList{ConnectTokens: mapped(want, tokenOf), Paging: rest.Paging(paging)}, got)
			}
		}
	})
}

func sessionOf(s session.Session) rest.Session {
	return rest.Session{
		SessionID: string(
			s.ID,
		),
		UserID:          string(s.User),
		IdentifierValue: s.IdentifierValue,
		Status:          s.At(started),
		CreatedMs:       s.CreatedMs,
		LastActionMs:    s.LastActionMs,
		ExpiresMs:       s.ExpiresMs,
	}
}

func tokenOf(c connecttoken.Token) rest.ConnectToken {
	t := rest.ConnectToken{
		ID: string(c.ID), TokenType: c.Type, Data: rest.ConnectTokenData{Identifier: c.Identifier},
		ConnectTokenStatus: c.Status, Expires: time.UnixMilli(c.ExpiresMs).Unix(),
	}
	if c.DisplayName != "" {
		t.Data.DisplayName = &c.DisplayName
	}
	return t
}
