package signing

import (
	"errors"
	"testing"
	"time"

	"pgregory.net/rapid"

	"github.com/keyward/keyward/core/ident"
)

// Whatever operators and clocks do: what was signed is accepted for as long as it may live, and a key set that is an hour old knows the key
// that signs unless somebody asked for it to sign at once.
func TestRotationNeverBreaksWhatWasSigned(t *testing.T) {
	t.Parallel()
	const maxAge = 30 * 24 * time.Hour
	made := func() (Key, error) { return Key{ID: ident.NewKeyID()}, nil }
	rapid.Check(t, func(t *rapid.T) {
		now := time.UnixMilli(1_800_000_000_000)
		keys, _ := Keys(nil).rotated(now, true, made)
		type signature struct {
			key     ident.KeyID
			expires time.Time
		}
		var (
			signed   []signature
			seen     = map[ident.KeyID]time.Time{keys[0].ID: now} // since when it has been published
			hastened = map[ident.KeyID]bool{keys[0].ID: true}
		)
		steps := rapid.SliceOfN(rapid.IntRange(0, 4), 1, 60).Draw(t, "steps")
		for _, step := range steps {
			switch step {
			case 0, 1: // time passes, and maintenance with it
				now = now.Add(time.Duration(rapid.Int64Range(0, int64(40*time.Hour)).Draw(t, "passes")))
				if keys.due(now, maxAge) {
					keys, _ = keys.rotated(now, false, made)
				}
				keys = keys.current(now)
			case 2, 3: // an operator rotates
				immediately := step == 3
				next, err := keys.rotated(now, immediately, made)
				if errors.Is(err, ErrTooMany) {
					continue
				}
				keys = next
				if immediately {
					hastened[keys[len(keys)-1].ID] = true
				}
			default: // something is signed
				lifetime := time.Duration(rapid.Int64Range(1, int64(MaxLifetime)).Draw(t, "lifetime"))
				signed = append(signed, signature{keys[keys.active(now)].ID, now.Add(lifetime)})
			}
			published, active := map[ident.KeyID]bool{}, 0
			for i, k := range keys.current(now) {
				published[k.ID] = true
				if _, known := seen[k.ID]; !known {
					seen[k.ID] = now
				}
				if i > 0 && k.SignsMs < keys.current(now)[i-1].SignsMs {
					t.Fatalf("key %d signs before key %d", i, i-1)
				}
				if keys.current(now).StateOf(i, now) == Active {
					active++
					if !hastened[k.ID] && now.Sub(seen[k.ID]) < Lead {
						t.Fatalf("a key signs that was published %s ago", now.Sub(seen[k.ID]))
					}
				}
			}
			if active != 1 {
				t.Fatalf("%d keys sign", active)
			}
			for _, s := range signed {
				if now.Before(s.expires) && !published[s.key] {
					t.Fatalf("a key is gone whose signature is good until %s", s.expires)
				}
			}
			if len(keys) > maxKeys {
				t.Fatalf("there are %d keys", len(keys))
			}
		}
	})
}
