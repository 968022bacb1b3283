package account

import (
	"math"

	"github.com/maypok86/otter/v2"
)

// How many accounts a process keeps decoded. They are counted by what they take: one of many passkeys and environments counts for several,
// and one of a single passkey for about half of one.
const (
	DefaultNear = 10_000 // about 20 MB
	Auto        = -1     // as many as suit the memory that the process is to take

	usualBytes = 2048 // of an account with three passkeys
	nearShare  = 11   // of the memory: 10,240 with that of one process
)

// Fitting returns how many accounts a process keeps decoded that is to take so much memory.
func Fitting(memory int64) int { return int(memory / nearShare / usualBytes) }

// near keeps the newest stamp that was told of an account and, once it has been read again after that, the account.
type near struct{ *otter.Cache[string, *View] }

func newNear(size int) (near, error) {
	if size == Auto {
		size = DefaultNear
	}
	if size <= 0 {
		return near{}, nil
	}
	c, err := otter.New(&otter.Options[string, *View]{
		MaximumWeight: uint64(size) * usualBytes,
		Weigher:       func(key string, v *View) uint32 { return uint32(min(len(key)+v.bytes(), math.MaxUint32)) },
		Executor:      func(task func()) { task() },
	})
	return near{c}, err
}

func (n near) get(key string) *View {
	if n.Cache == nil {
		return nil
	}
	v, _ := n.GetIfPresent(key)
	return v
}

func (n near) keep(key string, v *View) {
	if n.Cache != nil {
		n.Set(key, v)
	}
}

func (n near) drop(key string) {
	if n.Cache != nil {
		n.Invalidate(key)
	}
}

// told replaces what was read before another stamp was told.
func (n near) told(key, stamp string) {
	kept := n.get(key)
	unsure := kept != nil && kept.unsure
	switch {
	case stamp == "" && kept == nil:
	case stamp == "" && !unsure:
		n.drop(key)
	case kept == nil || kept.Stamp != stamp:
		n.keep(key, &View{Stamp: stamp, unsure: unsure})
	}
}

// bytes returns about what a view takes. Of two accounts, that as it is stored and that which has taken up logins, the second shares most.
func (v *View) bytes() int {
	const view, lists = 100, 2 // of a view, and how often what an account lists is there, if logins made it another
	n := view + len(v.Stamp)
	if v.Account == nil {
		return n
	}
	n += v.Account.bytes()
	if v.stored != nil && v.stored.UsedTo != v.Account.UsedTo {
		n += v.stored.bytes() / lists
	}
	return n
}

// bytes returns about what an account takes in memory.
func (a *Account) bytes() int {
	const document, passkey, environment, short, told = 300, 430, 200, 96, 700
	n := document + environment*len(a.Environments) + short*(len(a.Deleted)+len(a.Identifiers)+len(a.SocialAccounts)+len(a.Labels)) +
		told*len(a.Unannounced)
	for i := range a.Credentials {
		c := &a.Credentials[i]
		n += passkey + len(c.CredentialID) + len(c.PublicKey)
		if c.Attestation != nil {
			n += short * (1 + len(c.Attestation.Certificates))
		}
	}
	for i := range a.Environments {
		n += len(a.Environments[i].UserAgent) + len(a.Environments[i].JSFingerprint)
	}
	return n
}
