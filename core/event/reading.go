package event

// Reading is what was read of a user for a decision. What it points to is shared and must not be changed.
type Reading struct {
	Events       Set
	AccountStamp string // of the account as it is now, to be told to who asked; empty = not known
	AccountStale bool   // the account may have changed since the stamp that was given; then there are no events
}
