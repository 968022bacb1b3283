package keyring_test

import (
	"bytes"
	"encoding/hex"
	"errors"
	"fmt"
	"go/ast"
	"go/parser"
	"go/token"
	"log/slog"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/nats-io/nats.go/jetstream"

	"github.com/keyward/keyward/core/atrest"
	"github.com/keyward/keyward/core/bus"
	"github.com/keyward/keyward/core/ident"
	"github.com/keyward/keyward/core/keyring"
)

const (
	keep  = 10 * time.Hour
	shop  = ident.ProjectID("pro-1")
	other = ident.ProjectID("pro-2")
)

// all are the purposes as ring.go has them, so that one more is in every test.
func all(t *testing.T) []keyring.Purpose {
	t.Helper()
	source, err := parser.ParseFile(token.NewFileSet(), "ring.go", nil, 0)
	if err != nil {
		t.Fatal(err)
	}
	var found []keyring.Purpose
	ast.Inspect(source, func(n ast.Node) bool {
		spec, ok := n.(*ast.ValueSpec)
		if !ok || fmt.Sprint(spec.Type) != "Purpose" {
			return true
		}
		text, err := strconv.Unquote(spec.Values[0].(*ast.BasicLit).Value)
		if err != nil {
			t.Fatal(err)
		}
		found = append(found, keyring.Purpose(text))
		return false
	})
	if !slices.Contains(found, keyring.SealedChallenge) {
		t.Fatalf("of the purposes only %q are found", found)
	}
	return found
}

type bench struct {
	kv     jetstream.KeyValue
	sealer *atrest.Keys
	now    time.Time
}

func newBench(t *testing.T) *bench {
	t.Helper()
	cfg := bus.DefaultConfig()
	cfg.DataDir = t.TempDir()
	b, err := bus.Open(t.Context(), cfg, slog.New(slog.DiscardHandler))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(b.Close)
	kv, err := b.Bucket(t.Context(), bus.ProjectKeysBucket)
	if err != nil {
		t.Fatal(err)
	}
	sealer, err := atrest.Parse(atrest.NewKey())
	if err != nil {
		t.Fatal(err)
	}
	return &bench{kv: kv, sealer: sealer.Strict(), now: time.UnixMilli(1_800_000_000_000)}
}

// open returns another instance.
func (b *bench) open(t *testing.T) *keyring.Store {
	t.Helper()
	s, err := keyring.Open(t.Context(), keyring.Deps{
		Bucket: b.kv, Sealer: b.sealer, Keep: keep, Now: func() time.Time { return b.now }, Log: slog.New(slog.DiscardHandler),
	})
	if err != nil {
		t.Fatal(err)
	}
	return s
}

func newest(t *testing.T, s *keyring.Store, project ident.ProjectID, p keyring.Purpose) keyring.Key {
	t.Helper()
	return ringOf(t, s, project).Newest(p)
}

func ringOf(t *testing.T, s *keyring.Store, project ident.ProjectID) *keyring.Ring {
	t.Helper()
	r, err := s.Ring(t.Context(), project)
	if err != nil {
		t.Fatal(err)
	}
	return r
}

func find(t *testing.T, s *keyring.Store, version int) ([]byte, bool) {
	t.Helper()
	key, err := ringOf(t, s, shop).Key(keyring.RefreshToken, version)
	if err != nil && !errors.Is(err, keyring.ErrVersion) {
		t.Fatal(err)
	}
	return key, err == nil
}

func TestNoTwoPurposesProjectsOrVersionsShareAKey(t *testing.T) {
	t.Parallel()
	b := newBench(t)
	s, seen := b.open(t), map[string]string{}
	for round := range 2 {
		for _, project := range []ident.ProjectID{shop, other} {
			for _, p := range all(t) {
				if p == keyring.SendCount && round > 0 {
					continue // handed on
				}
				k := newest(t, s, project, p)
				who := fmt.Sprint(project, p, k.Version)
				if before, taken := seen[hex.EncodeToString(k.Secret)]; taken || len(k.Secret) != 32 {
					t.Errorf("%s has the key of %s", who, before)
				}
				seen[hex.EncodeToString(k.Secret)] = who
			}
			if _, err := s.Rotate(t.Context(), project); err != nil {
				t.Fatal(err)
			}
		}
	}
}

// Whoever guesses codes is not to begin anew because an operator has rotated keys.
func TestWhatIsCountedIsCountedUnderOneKeyAcrossRotations(t *testing.T) {
	t.Parallel()
	b := newBench(t)
	s := b.open(t)
	first, others := newest(t, s, shop, keyring.SendCount), newest(t, s, other, keyring.SendCount)
	for range 3 {
		if _, err := s.Rotate(t.Context(), shop); err != nil {
			t.Fatal(err)
		}
		if now := newest(t, s, shop, keyring.SendCount); !bytes.Equal(now.Secret, first.Secret) || now.Version == first.Version {
			t.Errorf("version %d counts anew", now.Version)
		}
	}
	if _, err := s.Drop(t.Context(), shop); err != nil {
		t.Fatal(err)
	}
	if now := newest(t, b.open(t), shop, keyring.SendCount); !bytes.Equal(now.Secret, first.Secret) {
		t.Error("when the older versions are dropped, counts begin anew")
	}
	if bytes.Equal(first.Secret, others.Secret) {
		t.Error("two projects count under one key")
	}
}

// The key of old is in a project that a gateway reads: nothing is counted under it.
func TestWhatIsCountedIsNotCountedUnderAKeyOfOld(t *testing.T) {
	t.Parallel()
	s, legacy := newBench(t).open(t), []byte("a key of an earlier version")
	if err := s.Adopt(t.Context(), shop, legacy); err != nil {
		t.Fatal(err)
	}
	for range 2 {
		if bytes.Equal(newest(t, s, shop, keyring.SendCount).Secret, legacy) {
			t.Error("it is handed on")
		}
		if _, err := s.Rotate(t.Context(), shop); err != nil {
			t.Fatal(err)
		}
	}
}

// A MAC takes no key for a key, so that a purpose which some list lacks would be one that anybody can forge.
func TestAPurposeHasAKeyWhetherOrNotItIsWrittenDownAnywhere(t *testing.T) {
	t.Parallel()
	r, err := keyring.NewRing(shop, keyring.Versions{{Number: 1, Root: bytes.Repeat([]byte{1}, 32)}})
	if err != nil {
		t.Fatal(err)
	}
	const unlisted = keyring.Purpose("something new")
	makes := r.Newest(unlisted)
	verifies, err := r.Key(unlisted, makes.Version)
	if err != nil || len(makes.Secret) != 32 || !bytes.Equal(makes.Secret, verifies) {
		t.Errorf("%x makes and %x verifies, %v", makes.Secret, verifies, err)
	}
}

func TestAVersionWithoutARootSecretIsNoKey(t *testing.T) {
	t.Parallel()
	for _, number := range []int{keyring.Legacy, 1} {
		if _, err := keyring.NewRing(shop, keyring.Versions{{Number: number}}); err == nil {
			t.Errorf("version %d is one", number)
		}
	}
}

// The derivation is a promise: what was made by a version must verify as long as that is kept.
func TestADerivedKeyIsTheSameInEveryRelease(t *testing.T) {
	t.Parallel()
	r, err := keyring.NewRing(shop, keyring.Versions{{Number: 1, Root: bytes.Repeat([]byte{1}, 32)}})
	if err != nil {
		t.Fatal(err)
	}
	got := hex.EncodeToString(r.Newest(keyring.RefreshToken).Secret)
	if want := "c1a8b728663403fa76bce7d706da3848461eba5e0354771a8ccf1a144acb28c8"; got != want {
		t.Errorf("%s, want %s", got, want)
	}
}

func TestInstancesThatBeginAtOnceHaveOneKey(t *testing.T) {
	t.Parallel()
	b := newBench(t)
	one, two := b.open(t), b.open(t)
	if k, l := newest(
		t, one, shop, keyring.OneTimeCode,
	), newest(
		t, two, shop, keyring.OneTimeCode,
	); !bytes.Equal(k.Secret, l.Secret) ||
		k.Version != 1 {
		t.Errorf("%v and %v", k.Version, l.Version)
	}
}

func TestAnOlderVersionVerifiesUntilWhatItMadeHasExpired(t *testing.T) {
	t.Parallel()
	b := newBench(t)
	one, two := b.open(t), b.open(t)
	first := newest(t, one, shop, keyring.RefreshToken)
	newest(t, two, shop, keyring.RefreshToken)
	versions, err := one.Rotate(t.Context(), shop)
	if err != nil || len(versions) != 2 {
		t.Fatalf("%v, %v", versions, err)
	}
	second := newest(t, one, shop, keyring.RefreshToken)
	if second.Version != first.Version+1 || bytes.Equal(first.Secret, second.Secret) {
		t.Fatal("there is no new key")
	}
	// The other instance has not heard of it, and is asked about it already.
	if key, ok := find(t, two, second.Version); !ok || !bytes.Equal(key, second.Secret) {
		t.Error("a version that another instance made is unknown")
	}
	b.now = b.now.Add(keep - time.Millisecond)
	one.Maintain(t.Context())
	if key, ok := find(t, one, first.Version); !ok || !bytes.Equal(key, first.Secret) {
		t.Error("a version is dropped before its time")
	}
	b.now = b.now.Add(time.Millisecond)
	one.Maintain(t.Context())
	if _, ok := find(t, one, first.Version); ok {
		t.Error("a version outlives what it made")
	}
	if _, ok := find(t, one, 99); ok {
		t.Error("there is a version that nobody made")
	}
}

func TestDroppedVersionsVerifyNothingAtOnce(t *testing.T) {
	t.Parallel()
	b := newBench(t)
	s := b.open(t)
	first := newest(t, s, shop, keyring.RefreshToken)
	if _, err := s.Rotate(t.Context(), shop); err != nil {
		t.Fatal(err)
	}
	if left, err := s.Drop(t.Context(), shop); err != nil || len(left) != 1 {
		t.Fatalf("%v, %v", left, err)
	}
	if _, ok := find(t, s, first.Version); ok {
		t.Error("a dropped version still verifies")
	}
	if _, ok := find(t, b.open(t), first.Version); ok {
		t.Error("it does so elsewhere")
	}
}

func TestAKeyOfOldVerifiesAndMakesNothingNew(t *testing.T) {
	t.Parallel()
	b := newBench(t)
	s, legacy := b.open(t), []byte("a key of an earlier version")
	if err := s.Adopt(t.Context(), shop, legacy); err != nil {
		t.Fatal(err)
	}
	if key, ok := find(t, s, keyring.Legacy); !ok || !bytes.Equal(key, legacy) {
		t.Error("the key of old does not verify")
	}
	if k := newest(t, s, shop, keyring.RefreshToken); k.Version != 1 || bytes.Equal(k.Secret, legacy) {
		t.Errorf("version %d makes what is new", k.Version)
	}
	b.now = b.now.Add(keep)
	s.Maintain(t.Context())
	if _, ok := find(t, s, keyring.Legacy); ok {
		t.Error("the key of old outlives what it made")
	}
}

// Whoever can write projects, as a gateway can, must not get a key adopted that it knows.
func TestAKeyThatIsPutIntoAProjectLaterIsNotAdopted(t *testing.T) {
	t.Parallel()
	b := newBench(t)
	s := b.open(t)
	newest(t, s, shop, keyring.RefreshToken)
	if err := s.Adopt(t.Context(), shop, []byte("planted")); err != nil {
		t.Fatal(err)
	}
	if err := s.EndAdoption(t.Context()); err != nil {
		t.Fatal(err)
	}
	if err := b.open(t).Adopt(t.Context(), other, []byte("planted")); err != nil {
		t.Fatal(err)
	}
	for _, project := range []ident.ProjectID{shop, other} {
		if _, err := ringOf(t, b.open(t), project).Key(keyring.RefreshToken, keyring.Legacy); err == nil {
			t.Errorf("%s: a planted key verifies", project)
		}
	}
}

func TestRootSecretsAreEncryptedAndNeverPrinted(t *testing.T) {
	t.Parallel()
	b := newBench(t)
	versions, err := b.open(t).List(t.Context(), shop)
	if err != nil {
		t.Fatal(err)
	}
	entry, err := b.kv.Get(t.Context(), string(shop))
	if err != nil || !atrest.Sealed(entry.Value()) {
		t.Errorf("stored as %q, %v", entry.Value(), err)
	}
	if text := fmt.Sprintf(
		"%v %+v %#v %x", versions, versions, versions, versions,
	); strings.Contains(
		text, fmt.Sprintf("%x", []byte(versions[0].Root)),
	) {
		t.Error("a root secret is printed")
	}
}
