package recognition

import (
	"encoding/binary"
	"reflect"
	"strings"
	"sync"

	"github.com/keyward/keyward/api/rest"
	"github.com/keyward/keyward/services/decision/internal/memo"
)

// known remembers what clients were taken for by what they said of themselves: the patterns of the tables are looked for in a user agent
// once and not for every call. Whoever sends ever other user agents only makes room for them where those are that nobody sends again.
type known struct {
	once    sync.Once // what nobody asks, as most rules of tests and replays, costs nothing
	clients *memo.Memo
}

const (
	// mostKnown bounds the memory of the clients that are known by one bundle's tables, in bytes. A client takes about 1.3 KiB: 6,000 of
	// them are beyond what a day of a large site's logins brings that is seen more than once.
	mostKnown = 8 << 20
	// whole is about what a client takes beside what it said, which its texts are parts of: the entry, and a copy of what it said.
	whole = 1024
	// longest is the most that a client may say to be known. True ones say a quarter of it.
	longest = 2048
)

func (k *known) remembered() *memo.Memo {
	k.once.Do(func() { k.clients = memo.NewBytes(mostKnown, whole) })
	return k.clients
}

// identified is who the client is, of which it is known whether it is an app: what depends on the names and versions that were said, and
// on the tables.
func (r *Rules) identified(native bool, info *rest.ClientInformation) Client {
	if r.known == nil {
		return r.identity(native, info)
	}
	var room [longest]byte
	key, fits := keyOf(room[:0], native, info)
	if !fits {
		return r.identity(native, info)
	}
	clients := r.known.remembered()
	if found, is := clients.Get(key).(*Client); is {
		return *found
	}
	found := r.identity(native, detached(info))
	clients.Put(key, &found)
	return found
}

func (r *Rules) identity(native bool, info *rest.ClientInformation) Client {
	c := Client{Native: native}
	r.identify(&c, r.said(*info))
	return c
}

// keyOf appends all that identify reads, and reports whether it is within what is remembered.
func keyOf(to []byte, native bool, info *rest.ClientInformation) (key []byte, fits bool) {
	const (
		app = 1 << iota
		hints
		mobile
		parsed
		meta
	)
	kind := byte(0)
	texts := [...]string{0: info.UserAgent, 11: ""}
	if native {
		kind |= app
	}
	if h := info.JavaScriptHighEntropy; h != nil {
		kind |= hints
		texts[1], texts[2] = h.Platform, h.PlatformVersion
		if h.Mobile {
			kind |= mobile
		}
	}
	if p := info.ParsedDeviceInfo; p != nil {
		kind |= parsed
		texts[3], texts[4], texts[5], texts[6] = p.OSName, p.OSVersion, p.BrowserName, p.BrowserVersion
	}
	if m := info.NativeMeta; m != nil {
		kind |= meta
		texts[7], texts[8] = text(m.Platform), text(m.PlatformVersion)
		texts[9], texts[10], texts[11] = text(m.Name), text(m.Version), text(m.Brand)
	}
	to = append(to, kind)
	for i := range texts {
		if len(to)+binary.MaxVarintLen16+len(texts[i]) > longest {
			return nil, false
		}
		to = append(binary.AppendUvarint(to, uint64(len(texts[i]))), texts[i]...)
	}
	return to, true
}

// detached returns what identify reads in texts of its own: those of a call are parts of its body, which would be kept with them.
func detached(info *rest.ClientInformation) *rest.ClientInformation {
	own := &rest.ClientInformation{UserAgent: strings.Clone(info.UserAgent)}
	if h := info.JavaScriptHighEntropy; h != nil {
		own.JavaScriptHighEntropy = &rest.JavaScriptHighEntropy{
			Mobile: h.Mobile, Platform: strings.Clone(h.Platform), PlatformVersion: strings.Clone(h.PlatformVersion),
		}
	}
	if p := info.ParsedDeviceInfo; p != nil {
		own.ParsedDeviceInfo = &rest.ParsedDeviceInfo{
			OSName: strings.Clone(p.OSName), OSVersion: strings.Clone(p.OSVersion),
			BrowserName: strings.Clone(p.BrowserName), BrowserVersion: strings.Clone(p.BrowserVersion),
		}
	}
	if m := info.NativeMeta; m != nil {
		own.NativeMeta = &rest.NativeMeta{
			Platform: clone(m.Platform), PlatformVersion: clone(m.PlatformVersion), Name: clone(m.Name), Version: clone(m.Version),
			Brand: clone(m.Brand),
		}
	}
	return own
}

func clone(s *string) *string {
	if s == nil {
		return nil
	}
	return new(strings.Clone(*s))
}

// Share takes the tables of other rules, and the clients that they know, if they are the same: they are then in memory once.
func (r *Rules) Share(other *Rules) {
	if other.known != nil && reflect.DeepEqual(&r.Agents, &other.Agents) {
		r.Agents, r.known = other.Agents, other.known
	}
}

// Same reports whether other rules tell and bar the same of every client.
func (r *Rules) Same(other *Rules) bool {
	a, b := *r, *other
	a.known, b.known = nil, nil
	return reflect.DeepEqual(&a, &b)
}
