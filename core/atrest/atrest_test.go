package atrest_test

import (
	"bytes"
	"errors"
	"log/slog"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/nats-io/nats.go/jetstream"

	"github.com/keyward/keyward/core/atrest"
	"github.com/keyward/keyward/core/bus"
)

func parse(t testing.TB, keys ...string) *atrest.Keys {
	t.Helper()
	parsed, err := atrest.Parse(strings.Join(keys, ", "))
	if err != nil {
		t.Fatal(err)
	}
	return parsed
}

func TestWhatIsSealedOpensWithItsKeyAtItsPlaceAndNowhereElse(t *testing.T) {
	t.Parallel()
	one, two := atrest.NewKey(), atrest.NewKey()
	sealed, err := parse(t, one).Seal("keys/pro-1", []byte(`{"root":"secret"}`))
	if err != nil || bytes.Contains(sealed, []byte("secret")) || !atrest.Sealed(sealed) {
		t.Fatalf("sealed as %q, %v", sealed, err)
	}
	if again, _ := parse(t, one).Seal("keys/pro-1", []byte(`{"root":"secret"}`)); bytes.Equal(again, sealed) {
		t.Error("a value is sealed alike twice")
	}
	for name, c := range map[string]struct {
		keys   *atrest.Keys
		place  string
		stored []byte
		want   error
	}{
		"its key":                 {parse(t, one), "keys/pro-1", sealed, nil},
		"its key behind another":  {parse(t, two, one), "keys/pro-1", sealed, nil},
		"another key":             {parse(t, two), "keys/pro-1", sealed, atrest.ErrKey},
		"no key":                  {nil, "keys/pro-1", sealed, atrest.ErrKey},
		"another project":         {parse(t, one), "keys/pro-2", sealed, atrest.ErrBroke},
		"another bucket":          {parse(t, one), "other/pro-1", sealed, atrest.ErrBroke},
		"cut short":               {parse(t, one), "keys/pro-1", sealed[:len(sealed)-1], atrest.ErrBroke},
		"the beginning alone":     {parse(t, one), "keys/pro-1", sealed[:5], atrest.ErrBroke},
		"what is plain, strictly": {parse(t, one, atrest.Plain).Strict(), "keys/pro-1", []byte(`{"root":"secret"}`), atrest.ErrPlain},
		"what is plain":           {parse(t, one, atrest.Plain), "keys/pro-1", []byte(`{"root":"secret"}`), nil},
		"strictly":                {parse(t, one).Strict(), "keys/pro-1", sealed, nil},
	} {
		value, err := c.keys.Open(c.place, c.stored)
		if !errors.Is(err, c.want) || (err == nil && string(value) != `{"root":"secret"}`) {
			t.Errorf("%s: %q, %v, want %v", name, value, err, c.want)
		}
	}
}

func TestEveryBitOfWhatIsSealedCounts(t *testing.T) {
	t.Parallel()
	keys := parse(t, atrest.NewKey())
	sealed, err := keys.Seal("p", []byte("value"))
	if err != nil {
		t.Fatal(err)
	}
	for i := range len(sealed) * 8 {
		bent := bytes.Clone(sealed)
		bent[i/8] ^= 1 << (i % 8)
		if value, err := keys.Strict().Open("p", bent); err == nil {
			t.Fatalf("with bit %d changed it opens as %q", i, value)
		}
	}
}

func TestKeysThatAreNoneAreRefusedWithoutBeingShown(t *testing.T) {
	t.Parallel()
	for _, text := range []string{"", " , \n", "plain", "short", atrest.NewKey() + ",c2hvcnQ=", "!" + atrest.NewKey()} {
		keys, err := atrest.Parse(text)
		if err == nil || keys != nil || (len(text) > 9 && strings.Contains(err.Error(), text[:9])) {
			t.Errorf("%q: %v", text, err)
		}
	}
}

func FuzzOpen(f *testing.F) {
	keys := parse(f, atrest.NewKey())
	f.Add([]byte("kwe1"))
	f.Add([]byte("{}"))
	f.Fuzz(func(t *testing.T, stored []byte) {
		if value, err := keys.Strict().Open("p", stored); err == nil {
			t.Errorf("%q opens as %q", stored, value)
		}
	})
}

func bucket(t *testing.T) jetstream.KeyValue {
	t.Helper()
	cfg := bus.DefaultConfig()
	cfg.DataDir = t.TempDir()
	b, err := bus.Open(t.Context(), cfg, slog.New(slog.DiscardHandler))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(b.Close)
	opened, err := b.Bucket(t.Context(), bus.ProjectKeysBucket)
	if err != nil {
		t.Fatal(err)
	}
	return opened
}

func TestABucketIsEncryptedAnewUnderTheFirstKey(t *testing.T) {
	t.Parallel()
	kv, ctx := bucket(t), t.Context()
	one, two := atrest.NewKey(), atrest.NewKey()
	for _, key := range []string{"pro-1", "pro-2"} {
		if _, err := kv.Put(ctx, key, []byte("{}")); err != nil {
			t.Fatal(err)
		}
	}
	for _, step := range []struct {
		name string
		keys *atrest.Keys
		want int
		err  error
	}{
		{"what was plain, without leave", parse(t, one), 0, atrest.ErrPlain},
		{"what was plain", parse(t, one, atrest.Plain), 2, nil},
		{"what is encrypted already", parse(t, one), 0, nil},
		{"without the key", nil, 0, atrest.ErrKey},
		{"with another key", parse(t, two), 0, atrest.ErrKey},
		{"with a new key in front", parse(t, two, one), 2, nil},
		{"when the old one is gone", parse(t, two), 0, nil},
	} {
		if n, err := atrest.Rewrite(ctx, kv, step.keys); n != step.want || !errors.Is(err, step.err) {
			t.Fatalf("%s: %d, %v", step.name, n, err)
		}
	}
	entry, err := kv.Get(ctx, "pro-1")
	if err != nil {
		t.Fatal(err)
	}
	if value, err := parse(t, two).Strict().Open("project-keys/pro-1", entry.Value()); err != nil || string(value) != "{}" {
		t.Errorf("%q, %v", value, err)
	}
}

func TestAKeyFileIsMadeOnceAndIsItsOwnersAlone(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	if text, err := atrest.File(dir); text != "" || err != nil {
		t.Fatalf("%q, %v", text, err)
	}
	made, err := atrest.MakeFile(dir)
	if err != nil {
		t.Fatal(err)
	}
	parse(t, made)
	if again, err := atrest.MakeFile(dir); again != made || err != nil {
		t.Errorf("another key is made: %v", err)
	}
	info, err := os.Stat(filepath.Join(dir, atrest.FileName))
	if err != nil || info.Mode().Perm() != 0o600 {
		t.Errorf("%v, %v", info.Mode(), err)
	}
}
