package account

import (
	"slices"

	"github.com/keyward/keyward/core/event"
)

// maxUsedOn bounds the operating systems remembered of a passkey.
const maxUsedOn = 10

// Take takes up what a completed login says of the passkey that it was made with, unless the account knows that already. Events have to
// come in the order of the log, none left out; of other types they say nothing here. To take events once more that an earlier version of
// Keyward has forgotten to have taken does no harm.
func (a *Account) Take(e event.Event, sequence uint64) {
	if sequence <= a.UsedTo {
		return
	}
	a.UsedTo = sequence
	if e.Type != event.LoginCompleted || e.Use == nil {
		return
	}
	i := slices.IndexFunc(a.Credentials, func(c Credential) bool { return string(c.ID) == e.Credential })
	if i < 0 {
		return // deleted since
	}
	c := &a.Credentials[i]
	c.BackupState = e.Use.BackedUp
	c.LastUsedMs = max(c.LastUsedMs, e.CreatedMs)
	c.SignCount = max(c.SignCount, e.Use.Counter)
	if e.Use.Counter == 0 {
		c.SignCount = 0 // it counts no longer
	}
	if e.Route != event.Local || e.Client == nil || e.Client.OS == "" {
		return
	}
	if !slices.Contains(c.UsedOn, e.Client.OS) && len(c.UsedOn) < maxUsedOn {
		c.UsedOn = append(slices.Clip(c.UsedOn), e.Client.OS)
	}
}
