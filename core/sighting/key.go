package sighting

import (
	"slices"

	"github.com/keyward/keyward/core/ident"
)

// Subject is what is counted for.
type Subject string

// The subjects.
const (
	User        Subject = "user"
	UsedPasskey Subject = "credential" // the one that a login was made with
	Address     Subject = "address"    // of IPv6 the first 64 bits, as rate limits have it
	Network     Subject = "network"    // the first 24 bits of IPv4, 48 of IPv6
	Environment Subject = "environment"
	Project     Subject = "project"
)

// Subjects returns the names of all subjects.
func Subjects() []string {
	return []string{string(User), string(UsedPasskey), string(Address), string(Network), string(Environment), string(Project)}
}

// Known reports whether s is one of the subjects.
func (s Subject) Known() bool { return slices.Contains(Subjects(), string(s)) }

// Key names a set: that of one subject and one family. Each has a hash tag of its own, so that in Redis Cluster the sets of one busy
// subject are no burden to all.
type Key struct {
	Project ident.ProjectID
	Subject Subject // User, Address, Network or Environment
	Token   string  // of the user, their ID
	Family  Family
}

// OfUser returns the key of a user's set, which is that of all their passkeys too.
func OfUser(project ident.ProjectID, user ident.UserID, of Family) Key {
	return Key{Project: project, Subject: User, Token: string(user), Family: of}
}

var prefixes = map[Subject]string{Address: "a:", Network: "n:", Environment: "e:"}

// String returns the key as Redis has it. That of a user lies where their events do.
func (k Key) String() string {
	text := "{" + string(k.Project) + "/" + prefixes[k.Subject] + k.Token + "}:"
	if k.Family == Bad {
		return text + "b"
	}
	return text + "g"
}
