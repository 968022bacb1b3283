// Package operator keeps who runs the installation and writes its policy: each with a name, a role, and a token of which a hash is kept.
//
// A Store holds all of them in memory, kept true by following the bucket "operators", so that whoever is revoked is refused by every
// instance as soon as the revocation is told, within milliseconds. An operator that cannot be read is nobody. What a token is compared
// with costs the same whether or not it names somebody. The package touches its bucket and nothing else.
package operator

import (
	"encoding/json"
	"fmt"
	"slices"
	"strings"
	"time"
	"unicode"
	"unicode/utf8"

	"github.com/keyward/keyward/core/fault"
	"github.com/keyward/keyward/core/ident"
	"github.com/keyward/keyward/core/project"
)

// Role says what an operator may do. Each may do what the one before it may.
type Role string

// The roles, from the least on.
const (
	Viewer   Role = "viewer"   // reads
	Author   Role = "author"   // pushes revisions of the policy
	Approver Role = "approver" // makes them live, and takes them back
	Admin    Role = "admin"    // manages operators
)

// Roles returns every role, from the least on. It is the caller's own.
func Roles() []Role { return []Role{Viewer, Author, Approver, Admin} }

// Known reports whether it is a role.
func (r Role) Known() bool { return slices.Contains(Roles(), r) }

// Covers reports whether who has the role may do what takes another. No role covers one that there is not, and one that there is not covers
// none.
func (r Role) Covers(needed Role) bool {
	all := Roles()
	has, takes := slices.Index(all, r), slices.Index(all, needed)
	return has >= 0 && takes >= 0 && has >= takes
}

// schemaVersion is of a stored operator; members that are only added do not change it.
const schemaVersion = 1

// maxName bounds names, in characters.
const maxName = 100

// Operator is who may call the Operator API. Times are Unix ms.
type Operator struct {
	Schema    int                `json:"schema"`
	ID        ident.OperatorID   `json:"id"`
	Name      string             `json:"name"`
	Role      Role               `json:"role"`
	Hash      project.SecretHash `json:"hash"` // of the secret of the token
	CreatedMs int64              `json:"createdMs"`
	ExpiresMs int64              `json:"expiresMs,omitempty"` // 0 = never
	CreatedBy string             `json:"createdBy"`           // the command, or the ID of an operator
}

// New makes an operator, and returns the text of its token, which nobody can read again. lifetime 0 = for ever.
func New(name string, role Role, lifetime time.Duration, by string, now time.Time) (Operator, string, error) {
	switch {
	case strings.TrimSpace(name) == "" || utf8.RuneCountInString(name) > maxName:
		return Operator{}, "", fault.Field("name", "must be 1 to %d characters long", maxName)
	case !utf8.ValidString(name) || strings.ContainsFunc(name, func(r rune) bool { return !unicode.IsPrint(r) }):
		return Operator{}, "", fault.Field("name", "must have printable characters alone")
	case !role.Known():
		return Operator{}, "", fault.Field("role", "must be %s", words(Roles()))
	case lifetime < 0:
		return Operator{}, "", fault.Field("expires", "must not be in the past")
	}
	token := newToken(ident.NewOperatorID())
	o := Operator{
		Schema: schemaVersion, ID: token.ID, Name: name, Role: role, Hash: project.HashSecret(token.Secret), CreatedMs: now.UnixMilli(),
		CreatedBy: by,
	}
	if lifetime > 0 {
		o.ExpiresMs = now.Add(lifetime).UnixMilli()
	}
	return o, token.Text(), nil
}

func words(roles []Role) string {
	texts := make([]string, len(roles))
	for i, r := range roles {
		texts[i] = string(r)
	}
	last := len(texts) - 1
	return strings.Join(texts[:last], ", ") + " or " + texts[last]
}

// Expired reports whether the operator's time is over.
func (o Operator) Expired(now time.Time) bool {
	return o.ExpiresMs != 0 && now.UnixMilli() >= o.ExpiresMs
}

// String keeps the hash out of what is printed.
func (o Operator) String() string { return fmt.Sprintf("%s %q %s", o.ID, o.Name, o.Role) }

// decode reads a stored operator. What a newer version has written may mean more than is known here, so that it is not read.
func decode(raw []byte, into *Operator) error {
	if err := json.Unmarshal(raw, into); err != nil {
		return err
	}
	switch {
	case into.Schema < 1 || into.Schema > schemaVersion:
		return fmt.Errorf("an operator of version %d cannot be read by this one, which knows those up to %d", into.Schema, schemaVersion)
	case !into.Role.Known():
		return fmt.Errorf("there is no role %q", into.Role)
	}
	return nil
}
