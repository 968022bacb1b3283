// Package entry is what the two kinds of cache have in common: whose an entry is, what a reader makes of it, and what is counted.
package entry

import (
	"github.com/keyward/keyward/core/event"
	"github.com/keyward/keyward/core/ident"
)

// RecentOffers is how many of a user's login offers and denials are told of: what happened before so many others is no part of a process
// that is under way. After as many again, a writer removes what is over.
const RecentOffers = 8

// Shares is how many histories there is at least room for in a process: one that takes more than such a part of the bound is not kept.
// Else whoever makes the history of one account grow takes the room of all others, and has all of it copied with each event. By default a
// part is some 4,000 events in memory alone, and 6,250 beside Redis.
const Shares = 16

// Owner is whose entries they are.
type Owner struct {
	Project ident.ProjectID
	User    ident.UserID
}

// Of returns an owner.
func Of(project ident.ProjectID, user ident.UserID) Owner { return Owner{Project: project, User: user} }

// OwnerOf returns whose an event is.
func OwnerOf(e *event.Event) Owner { return Of(e.Project, e.User) }

// Shelf is where an entry lies.
type Shelf struct {
	Owner
	Offers bool // and not events
}

// Trust says what a reader made of an entry.
type Trust string

// What it can be.
const (
	Trusted   Trust = "hit"
	Absent    Trust = "miss"
	Untrusted Trust = "untrusted"
	Large     Trust = "large" // there is none, since the history takes more than its share: it is not to be filled
)
