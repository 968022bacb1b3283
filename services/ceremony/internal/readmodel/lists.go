package readmodel

import (
	"context"
	"database/sql"
	"encoding/json"
	"fmt"
	"strings"
	"time"

	"github.com/keyward/keyward/api/rest"
	"github.com/keyward/keyward/core/account"
	"github.com/keyward/keyward/core/ident"
	"github.com/keyward/keyward/core/listing"
	"github.com/keyward/keyward/core/service"
	"github.com/keyward/keyward/services/ceremony/internal/readmodel/internal/listdb"
	"github.com/keyward/keyward/services/ceremony/internal/readmodel/internal/pages"
	"github.com/keyward/keyward/services/ceremony/internal/session"
)

const userPrefix = "usr-"

// prefixed completes a user ID that has lost its prefix: some clients take it off.
func prefixed(id string) string {
	if strings.HasPrefix(id, userPrefix) {
		return id
	}
	return userPrefix + id
}

func text(name string) pages.Column {
	return pages.Column{Use: listing.Use{Kind: listing.Text}, Name: name}
}
func moment(name string) pages.Column {
	return pages.Column{Use: listing.Use{Kind: listing.Moment}, Name: name}
}

// unique is a column of which an equal value finds few rows.
func unique(name string) pages.Column {
	c := text(name)
	c.Few = true
	return c
}

func userColumn() pages.Column {
	c := unique("user")
	c.Read = prefixed
	return c
}

func usersTable() pages.Table {
	id := userColumn()
	id.Ordered = "user"
	return pages.Table{Name: "users", Bucket: listdb.Accounts, Columns: map[string]pages.Column{
		"id": id, "name": unique("name"), "fullName": unique("name"), "status": text("status"),
		"created": moment("created"), "updated": moment("updated"),
		"searchValue": {Use: listing.Use{Kind: listing.Part}, Index: pages.NoIndex},
	}}
}

// Users returns a page of a project's users, oldest first unless asked otherwise, with their identifiers and social accounts. Errors are
// faults.
func (s *Store) Users(ctx context.Context, project ident.ProjectID, list service.List) (rest.UserList, error) {
	users := []rest.UserAggregate{}
	asked, total, err := s.page(ctx, usersTable(), project, time.Time{}, list, func(r listdb.Reader, page pages.Found) (err error) {
		users, err = pages.Fetch(r, page, `user, name, named, webauthn, status, created, updated`, scanUser)
		if err != nil {
			return err
		}
		return attach(r, users, page)
	})
	if err != nil {
		return rest.UserList{}, err
	}
	return rest.UserList{Users: users, Paging: rest.Paging(asked.Paging(total))}, nil
}

func scanUser(rows *sql.Rows, id *int64) (rest.UserAggregate, error) {
	u := rest.UserAggregate{
		EmailIdentifiers: []rest.Identifier{}, PhoneNumberIdentifiers: []rest.Identifier{}, UsernameIdentifiers: []rest.Identifier{},
		SocialAccounts: []rest.SocialAccount{},
	}
	var name string
	var named bool
	err := rows.Scan(id, &u.UserID, &name, &named, &u.ExplicitWebauthnID, &u.Status, &u.CreatedMS, &u.UpdatedMs)
	if named {
		u.FullName = &name
	}
	u.Created, u.Updated = account.Timestamp(u.CreatedMS), account.Timestamp(u.UpdatedMs)
	return u, err
}

// attach adds identifiers and social accounts to users, in the order in which the account holds them.
func attach(r listdb.Reader, users []rest.UserAggregate, page pages.Found) error {
	if len(users) == 0 {
		return nil
	}
	places := make(map[string]*rest.UserAggregate, len(users))
	ids := make([]string, len(users))
	for i := range users {
		ids[i] = users[i].UserID
		places[ids[i]] = &users[i]
	}
	raw, err := json.Marshal(ids)
	if err != nil {
		return fmt.Errorf("encode user IDs: %w", err)
	}
	args := []any{page.Project, string(raw)}
	err = r.Each(`SELECT id, identifier, status, type, user, value FROM identifiers INDEXED BY identifiers_user
		WHERE project = ?1 AND user IN (SELECT value FROM json_each(?2)) ORDER BY id`, args, func(rows *sql.Rows) error {
		var id int64
		i, err := scanIdentifier(rows, &id)
		if err != nil {
			return err
		}
		u := places[i.UserID]
		switch i.Type {
		case rest.IdentifierTypeEmail:
			u.EmailIdentifiers = append(u.EmailIdentifiers, i)
		case rest.IdentifierTypePhone:
			u.PhoneNumberIdentifiers = append(u.PhoneNumberIdentifiers, i)
		case rest.IdentifierTypeUsername:
			u.UsernameIdentifiers = append(u.UsernameIdentifiers, i)
		}
		return nil
	})
	if err != nil {
		return err
	}
	return r.Each(`SELECT id, avatar, foreignid, name, value, provider, social, user FROM socials INDEXED BY socials_user
		WHERE project = ?1 AND user IN (SELECT value FROM json_each(?2)) ORDER BY id`, args, func(rows *sql.Rows) error {
		var id int64
		a, err := scanSocial(rows, &id)
		if err != nil {
			return err
		}
		places[a.UserID].SocialAccounts = append(places[a.UserID].SocialAccounts, a)
		return nil
	})
}

func identifiersTable() pages.Table {
	value := unique("value")
	value.Equal, value.Keyed = sameIdentifier, "key"
	return pages.Table{Name: "identifiers", Bucket: listdb.Accounts, Columns: map[string]pages.Column{
		"userID": userColumn(), "identifierType": text("type"), "identifierValue": value,
	}}
}

// sameIdentifier is the condition that value is the same identifier as the row's, as identifiers are unique.
func sameIdentifier(q *pages.Query, value string) string {
	keys := listdb.IdentifierKeys(value)
	some, each := make([]string, len(keys)), make([]string, len(keys))
	for i, k := range keys {
		some[i] = q.Bind(k.Key)
		each[i] = `identifiers.type = ` + q.Bind(string(k.Kind)) + ` AND identifiers.key = ` + q.Bind(k.Key)
	}
	return `identifiers.key IN (` + strings.Join(some, `, `) + `) AND (` + strings.Join(each, ` OR `) + `)`
}

// Identifiers returns a page of the identifiers of a project's users, oldest first unless asked otherwise. Errors are faults.
func (s *Store) Identifiers(ctx context.Context, project ident.ProjectID, list service.List) (rest.IdentifierList, error) {
	identifiers := []rest.Identifier{}
	asked, total, err := s.page(ctx, identifiersTable(), project, time.Time{}, list, func(r listdb.Reader, page pages.Found) (err error) {
		identifiers, err = pages.Fetch(r, page, `identifier, status, type, user, value`, scanIdentifier)
		return err
	})
	if err != nil {
		return rest.IdentifierList{}, err
	}
	return rest.IdentifierList{Identifiers: identifiers, Paging: rest.Paging(asked.Paging(total))}, nil
}

func scanIdentifier(rows *sql.Rows, id *int64) (i rest.Identifier, err error) {
	err = rows.Scan(id, &i.IdentifierID, &i.Status, &i.Type, &i.UserID, &i.Value)
	return i, err
}

func socialsTable() pages.Table {
	return pages.Table{Name: "socials", Bucket: listdb.Accounts, Columns: map[string]pages.Column{
		"providerType": text("provider"), "foreignID": unique("foreignid"),
	}}
}

// SocialAccounts returns a page of the social accounts of a project's users, oldest first unless asked otherwise. Errors are faults.
func (s *Store) SocialAccounts(ctx context.Context, project ident.ProjectID, list service.List) (rest.SocialAccountList, error) {
	socials := []rest.SocialAccount{}
	asked, total, err := s.page(ctx, socialsTable(), project, time.Time{}, list, func(r listdb.Reader, page pages.Found) (err error) {
		socials, err = pages.Fetch(r, page, `avatar, foreignid, name, value, provider, social, user`, scanSocial)
		return err
	})
	if err != nil {
		return rest.SocialAccountList{}, err
	}
	return rest.SocialAccountList{SocialAccounts: socials, Paging: rest.Paging(asked.Paging(total))}, nil
}

func scanSocial(rows *sql.Rows, id *int64) (a rest.SocialAccount, err error) {
	err = rows.Scan(id, &a.AvatarURL, &a.ForeignID, &a.FullName, &a.IdentifierValue, &a.ProviderType, &a.SocialAccountID, &a.UserID)
	return a, err
}

// sessionStatus is session.At in SQL.
func sessionStatus(q *pages.Query) string {
	return `CASE WHEN sessions.status <> 'active' THEN sessions.status
		WHEN sessions.idle <= ` + q.Bind(q.Now) + ` AND sessions.idle < sessions.expires THEN 'inactivity_reached'
		WHEN sessions.expires <= ` + q.Bind(q.Now) + ` THEN 'expired' ELSE 'active' END`
}

func sessionsTable() pages.Table {
	id := unique("num")
	id.Ordered = "num"
	status := text("status")
	status.Value, status.Index = sessionStatus, pages.NoIndex
	return pages.Table{Name: "sessions", Bucket: listdb.Sessions, Columns: map[string]pages.Column{
		"ID": id, "userID": userColumn(), "expires": moment("expires"), "lastAction": moment("used"),
		"created": moment("created"), "updated": moment("updated"), "status": status,
	}}
}

// Sessions returns a page of a project's sessions as they stand at a moment, oldest first unless asked otherwise. Errors are faults.
func (s *Store) Sessions(ctx context.Context, project ident.ProjectID, now time.Time, list service.List) (rest.SessionList, error) {
	items := []rest.Session{}
	asked, total, err := s.page(ctx, sessionsTable(), project, now, list, func(r listdb.Reader, page pages.Found) (err error) {
		items, err = pages.Fetch(r, page, `num, user, value, status, created, used, idle, expires`, scanSession(now))
		return err
	})
	if err != nil {
		return rest.SessionList{}, err
	}
	return rest.SessionList{Sessions: items, Paging: rest.Paging(asked.Paging(total))}, nil
}

func scanSession(now time.Time) func(*sql.Rows, *int64) (rest.Session, error) {
	return func(rows *sql.Rows, id *int64) (rest.Session, error) {
		var stored session.Session
		err := rows.Scan(
			id, &stored.ID, &stored.User, &stored.IdentifierValue, &stored.Status,
			&stored.CreatedMs, &stored.LastActionMs, &stored.IdleMs, &stored.ExpiresMs,
		)
		return rest.Session{
			SessionID: string(stored.ID), UserID: string(stored.User), IdentifierValue: stored.IdentifierValue, Status: stored.At(now),
			CreatedMs: stored.CreatedMs, LastActionMs: stored.LastActionMs, ExpiresMs: stored.ExpiresMs,
		}, err
	}
}

func tokensTable() pages.Table {
	id := unique("num")
	id.Ordered = "num"
	return pages.Table{Name: "tokens", Bucket: listdb.Tokens, Columns: map[string]pages.Column{
		"token": id, "tokenType": text("type"), "status": text("status"),
		"expires": {Use: listing.Use{Kind: listing.Whole}, Name: "expires"},
	}}
}

// Tokens returns a page of a project's connect tokens, without their secrets, oldest first unless asked otherwise. Errors are faults.
func (s *Store) Tokens(ctx context.Context, project ident.ProjectID, list service.List) (rest.ConnectTokenList, error) {
	items := []rest.ConnectToken{}
	asked, total, err := s.page(ctx, tokensTable(), project, time.Time{}, list, func(r listdb.Reader, page pages.Found) (err error) {
		items, err = pages.Fetch(r, page, `num, type, identifier, display, status, expires`, scanToken)
		return err
	})
	if err != nil {
		return rest.ConnectTokenList{}, err
	}
	return rest.ConnectTokenList{ConnectTokens: items, Paging: rest.Paging(asked.Paging(total))}, nil
}

func scanToken(rows *sql.Rows, id *int64) (rest.ConnectToken, error) {
	var t rest.ConnectToken
	var display string
	err := rows.Scan(id, &t.ID, &t.TokenType, &t.Data.Identifier, &display, &t.ConnectTokenStatus, &t.Expires)
	if display != "" {
		t.Data.DisplayName = &display
	}
	return t, err
}
