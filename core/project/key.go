package project

import (
	"crypto/rand"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/keyward/keyward/core/fault"
	"github.com/keyward/keyward/core/ident"
)

// AllPermissions is the permission to call everything.
const AllPermissions = "*"

const (
	keyScheme   = "kwk1"
	keyIDLength = 12
	maxKeys     = 100 // of a project: a look-up goes through them all
	maxKeyName  = 100 // bytes
)

// APIKey lets its bearer call some operations of a project. Times are Unix ms.
type APIKey struct {
	ID          string     `json:"id"` // letters and digits; no secret
	Name        string     `json:"name"`
	Hash        SecretHash `json:"hash"`
	Permissions []string   `json:"permissions"` // as the API description names them, or AllPermissions
	CreatedMs   int64      `json:"createdMs"`
	ExpiresMs   int64      `json:"expiresMs,omitempty"` // 0 = never
}

// NewAPIKey makes a key of a project and returns it with its text, of the form kwk1_<project number>_<key ID>_<secret>, which nobody can
// read again. lifetime 0 = for ever.
func NewAPIKey(project ident.ProjectID, name string, permissions []string, lifetime time.Duration, now time.Time) (APIKey, string, error) {
	switch {
	case name == "" || len(name) > maxKeyName:
		return APIKey{}, "", fault.Field("name", "must be 1 to %d bytes long", maxKeyName)
	case len(permissions) == 0:
		return APIKey{}, "", fault.Field("permissions", "cannot be blank")
	case lifetime < 0:
		return APIKey{}, "", fault.Field("expires", "must not be in the past")
	}
	secret := rand.Text()
	permissions = slices.Clone(permissions)
	slices.Sort(permissions)
	key := APIKey{
		ID: ident.Alphanumeric(
			keyIDLength,
		),
		Name:        name,
		Hash:        HashSecret(secret),
		Permissions: slices.Compact(permissions),
		CreatedMs:   now.UnixMilli(),
	}
	if lifetime > 0 {
		key.ExpiresMs = now.Add(lifetime).UnixMilli()
	}
	return key, strings.Join([]string{keyScheme, number(project), key.ID, secret}, "_"), nil
}

func number(id ident.ProjectID) string {
	_, digits, _ := strings.Cut(string(id), "-")
	return digits
}

// Permits reports whether the key may call an operation that needs the permission.
func (k APIKey) Permits(permission string) bool {
	return slices.Contains(k.Permissions, permission) || slices.Contains(k.Permissions, AllPermissions)
}

// Expired reports whether the key's time is over.
func (k APIKey) Expired(now time.Time) bool {
	return k.ExpiresMs != 0 && now.UnixMilli() >= k.ExpiresMs
}

// KeyText is what the text of a key says, before anything is known to be true of it.
type KeyText struct {
	Project    ident.ProjectID
	ID, Secret string
}

// ParseAPIKey reads the text of a key; false if it has not the form of one.
func ParseAPIKey(text string) (KeyText, bool) {
	parts := strings.Split(text, "_")
	if len(parts) != 4 || parts[0] != keyScheme || parts[2] == "" || parts[3] == "" {
		return KeyText{}, false
	}
	id, err := ident.ParseProjectID("pro-" + parts[1])
	if err != nil {
		return KeyText{}, false
	}
	return KeyText{Project: id, ID: parts[2], Secret: parts[3]}, true
}

// Key returns the key with that ID.
func (p Project) Key(id string) (APIKey, bool) {
	for _, k := range p.Keys {
		if k.ID == id {
			return k, true
		}
	}
	return APIKey{}, false
}

// AddKey adds a key. A project that has as many as it can is a fault.
func (p *Project) AddKey(k APIKey) error {
	if len(p.Keys) >= maxKeys {
		return fault.Field("keys", "a project has at most %d; revoke one first", maxKeys)
	}
	p.Keys = append(slices.Clone(p.Keys), k)
	return nil
}

// RevokeKey removes a key and reports whether it was there.
func (p *Project) RevokeKey(id string) bool {
	left := slices.DeleteFunc(slices.Clone(p.Keys), func(k APIKey) bool { return k.ID == id })
	found := len(left) < len(p.Keys)
	p.Keys = left
	return found
}

// String keeps hashes out of what is printed.
func (k APIKey) String() string {
	return fmt.Sprintf("%s %q %s", k.ID, k.Name, strings.Join(k.Permissions, ","))
}
