// Package operator keeps who runs the installation and writes its policy: each with a name, a role, and a token of which a hash is kept.
//
// A Store holds all of them in memory, kept true by following the bucket "operators", so that whoever is revoked is refused by every
// instance as soon as the revocation is told, within milliseconds. An operator that cannot be read is nobody. What a token is compared
// with costs the same whether or not it names somebody. The package touches its bucket and nothing else.
package operator

import (
	"encoding/json"
	"errors"
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
	Approver Role = "approver" // makes them live, takes them back, and acts on users
	Admin    Role = "admin"    // manages operators and keys, and erases users
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

// Schemas of a stored operator; members that are only added do not change it. Who is limited to some projects has one of their own: a
// version that does not know of limits would let such an operator see all, and takes nobody for what it cannot read.
const (
	schemaUnlimited = 1
	schemaLimited   = 2
	schemaSession   = 3
	schemaMember    = 4 // an identity provider knows them, and no token is theirs
)

// maxName bounds names, in characters.
const maxName = 100

// Operator is who may call the Operator API. Times are Unix ms.
type Operator struct {
	Schema    int                `json:"schema"`
	ID        ident.OperatorID   `json:"id"`
	Name      string             `json:"name"`
	Role      Role               `json:"role"`
	Projects  []ident.ProjectID  `json:"projects,omitempty"` // the only ones that the operator sees; none = all
	Hash      project.SecretHash `json:"hash"`               // of the secret of the token
	CreatedMs int64              `json:"createdMs"`
	ExpiresMs int64              `json:"expiresMs,omitempty"` // 0 = never
	CreatedBy string             `json:"createdBy"`           // the command, or the ID of an operator
	Outside   bool               `json:"-"`                   // an identity provider knows the operator, who has no token
	Member    *Member            `json:"member,omitempty"`    // what the provider said; nil = they are no member, or nobody remembers
	Passkeys  []Passkey          `json:"passkeys,omitempty"`  // that sign in to the console
	Spent     []Spent            `json:"spent,omitempty"`     // challenges that were answered a moment ago
	Forced    bool               `json:"-"`                   // revoked although nobody may be left to make others
	With      ident.CredentialID `json:"-"`                   // the passkey that a sign-in is by; empty = another way
	Session   *Session           `json:"session,omitempty"`   // whose session it is; nil = it is an operator, and no session
}

// Wanted is an operator to make.
type Wanted struct {
	Name     string
	Role     Role
	Projects []ident.ProjectID // the only ones that the operator is to see; none = all
	Lifetime time.Duration     // of the token; 0 = for ever
	By       string            // the command, or the ID of an operator
}

// maxProjects bounds to how many projects an operator may be limited: a filter for each call looks through them.
const maxProjects = 100

// New makes an operator, and returns the text of its token, which nobody can read again.
func New(w Wanted, now time.Time) (Operator, string, error) {
	switch {
	case strings.TrimSpace(w.Name) == "" || utf8.RuneCountInString(w.Name) > maxName:
		return Operator{}, "", fault.Field("name", "must be 1 to %d characters long", maxName)
	case !utf8.ValidString(w.Name) || strings.ContainsFunc(w.Name, func(r rune) bool { return !unicode.IsPrint(r) }):
		return Operator{}, "", fault.Field("name", "must have printable characters alone")
	case !w.Role.Known():
		return Operator{}, "", fault.Field("role", "must be %s", words(Roles()))
	case w.Lifetime < 0:
		return Operator{}, "", fault.Field("expires", "must not be in the past")
	case len(w.Projects) > maxProjects:
		return Operator{}, "", fault.Field("projects", "must be at most %d", maxProjects)
	}
	for _, one := range w.Projects {
		if _, err := ident.ParseProjectID(string(one)); err != nil {
			return Operator{}, "", fault.Field("projects", "%q is no ID of a project", one)
		}
	}
	token := newToken(ident.NewOperatorID())
	o := Operator{
		Schema: schemaUnlimited, ID: token.ID, Name: w.Name, Role: w.Role, Projects: slices.Clone(w.Projects),
		Hash: project.HashSecret(token.Secret), CreatedMs: now.UnixMilli(), CreatedBy: w.By,
	}
	if o.Limited() {
		o.Schema = schemaLimited
	}
	if w.Lifetime > 0 {
		o.ExpiresMs = now.Add(w.Lifetime).UnixMilli()
	}
	return o, token.Text(), nil
}

// Limited reports whether the operator sees some projects alone.
func (o Operator) Limited() bool { return len(o.Projects) > 0 }

// Sees reports whether a project is one that the operator sees.
func (o Operator) Sees(p ident.ProjectID) bool { return !o.Limited() || slices.Contains(o.Projects, p) }

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
	case into.Schema < 1 || into.Schema > schemaMember:
		return fmt.Errorf("an operator of version %d cannot be read by this one, which knows those up to %d", into.Schema, schemaMember)
	case (into.Schema == schemaSession) != (into.Session != nil):
		return errors.New("a session is of somebody, and nothing else is")
	case (into.Schema == schemaMember) != (into.Session == nil && into.Member != nil):
		return errors.New("somebody whom an identity provider knows is stored as that, and nobody else is")
	case into.Schema == schemaLimited && !into.Limited():
		return errors.New("an operator who is limited to some projects has none")
	case !into.Role.Known():
		return fmt.Errorf("there is no role %q", into.Role)
	}
	into.Outside = into.Schema == schemaMember
	return nil
}

// nameable reports whether a text is a name: of so many printable characters, and not of spaces alone.
func nameable(text string, most int) bool {
	unprintable := func(r rune) bool { return !unicode.IsPrint(r) }
	return strings.TrimSpace(text) != "" && utf8.RuneCountInString(text) <= most && utf8.ValidString(text) &&
		!strings.ContainsFunc(text, unprintable)
}
