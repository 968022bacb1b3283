package envelope_test

import (
	"bytes"
	"errors"
	"io"
	"strings"
	"testing"

	"github.com/keyward/keyward/core/backup"
	"github.com/keyward/keyward/core/backup/envelope"
)

func key(t *testing.T) (secret, public envelope.Secret) {
	t.Helper()
	text, err := envelope.NewKey()
	if err != nil {
		t.Fatal(err)
	}
	if secret, err = envelope.Key([]byte(text)); err != nil {
		t.Fatal(err)
	}
	line, _, _ := strings.Cut(strings.TrimPrefix(text, "# public key: "), "\n")
	if public, err = envelope.Key([]byte(line)); err != nil {
		t.Fatal(err)
	}
	return secret, public
}

func sealed(t *testing.T, by envelope.Secret, text []byte) []byte {
	t.Helper()
	var out bytes.Buffer
	w, err := by.Seal(&out)
	if err == nil {
		_, err = w.Write(text)
	}
	if err := errors.Join(err, w.Close()); err != nil {
		t.Fatal(err)
	}
	return out.Bytes()
}

func opened(by envelope.Secret, raw []byte) ([]byte, error) {
	r, size, err := by.Open(bytes.NewReader(raw), int64(len(raw)))
	if err != nil {
		return nil, err
	}
	return io.ReadAll(io.NewSectionReader(r, 0, size))
}

func TestWhatIsSealedIsOpenedByWhoeverHasTheSecretAlone(t *testing.T) {
	t.Parallel()
	text := bytes.Repeat([]byte("what is stored"), 20_000)
	secret, public := key(t)
	other, _ := key(t)
	passphrase, err := envelope.Passphrase([]byte("correct horse battery\n"))
	if err != nil {
		t.Fatal(err)
	}
	for name, c := range map[string]struct{ by, with envelope.Secret }{
		"with a key":                {secret, secret},
		"with a public key to seal": {public, secret},
		"with a passphrase":         {passphrase, passphrase},
	} {
		if got, err := opened(c.with, sealed(t, c.by, text)); err != nil || !bytes.Equal(got, text) {
			t.Errorf("%s: %d bytes, %v", name, len(got), err)
		}
	}
	raw := sealed(t, public, text)
	for name, c := range map[string]struct {
		with envelope.Secret
		raw  []byte
		want error
	}{
		"with another key":            {other, raw, envelope.ErrWrongKey},
		"with a passphrase":           {passphrase, raw, envelope.ErrWrongKey},
		"with the public key":         {public, raw, envelope.ErrPublic},
		"what is none":                {secret, []byte(strings.Repeat("none", 99)), backup.ErrNotABackup},
		"what ends in its first line": {secret, raw[:5], backup.ErrCutShort},
		"what was cut in its middle":  {secret, raw[:len(raw)/2], backup.ErrDamaged},
		"what was cut in its end":     {secret, raw[:len(raw)-1], backup.ErrDamaged},
		"what was changed":            {secret, bytes.Replace(raw, raw[len(raw)/2:len(raw)/2+8], make([]byte, 8), 1), backup.ErrDamaged},
	} {
		if _, err := opened(c.with, c.raw); !errors.Is(err, c.want) {
			t.Errorf("%s: %v, want %v", name, err, c.want)
		}
	}
}

func TestWhatIsNoSecretIsRefused(t *testing.T) {
	t.Parallel()
	if _, err := envelope.Key([]byte("hunter2")); !errors.Is(err, envelope.ErrNoKey) {
		t.Error(err)
	}
	if _, err := envelope.Passphrase([]byte("\nshort")); !errors.Is(err, envelope.ErrNoKey) {
		t.Error(err)
	}
}
